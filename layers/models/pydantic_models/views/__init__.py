"""What lists show of each thing."""

from .summaries import CasefileSummary, ChatSessionSummary, SessionSummary

__all__ = ["CasefileSummary", "ChatSessionSummary", "SessionSummary"]
