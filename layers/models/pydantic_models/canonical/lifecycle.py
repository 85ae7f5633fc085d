"""The life of a tool execution."""

RECEIVED = "tool_request_received"
STARTED = "tool_execution_started"
COMPLETED = "tool_execution_completed"
FAILED = "tool_execution_failed"
SENT = "tool_response_sent"

LIFECYCLE_EVENT_TYPES = (RECEIVED, STARTED, COMPLETED, FAILED, SENT)
"""What happens to every tool execution. An agent may report events of other types besides."""
