"""What lists show of each thing."""

from typing import TYPE_CHECKING

from ..lazily import finding

if TYPE_CHECKING:
    from .summaries import *

_NAMES = {".summaries": ("CasefileSummary", "ChatSessionSummary", "SessionSummary")}

__all__ = sorted(name for names in _NAMES.values() for name in names)
__getattr__ = finding(__name__, _NAMES)
