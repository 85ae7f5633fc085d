"""The life of a tool execution."""

LIFECYCLE_EVENT_TYPES = (
    "tool_request_received",
    "tool_execution_started",
    "tool_execution_completed",
    "tool_execution_failed",
    "tool_response_sent",
)
"""What happens to every tool execution. An agent may report events of other types besides."""
