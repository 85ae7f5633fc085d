"""Identifiers are checked before they reach a key, and compared in lower case.

`ts_yymmdd_code` is a tool session, `cs_…` a chat session, `cf_yymmdd_code` a casefile. A request's
is any UUID; one that carries its time tells how far to look back for a retry, if at all.
"""

from __future__ import annotations

import time
from string import ascii_lowercase, ascii_uppercase
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import BeforeValidator, StringConstraints

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def lowered(identifier: str) -> str:
    """An identifier as it is compared.

    Letters of ASCII only: elsewhere, two different letters may share one in lower case.
    """
    return identifier.strip().translate(_ASCII_LOWER)


def _lower(value: Any) -> Any:
    return lowered(value) if isinstance(value, str) else value


lower_case = BeforeValidator(_lower)
"""Of an identifier's annotation."""

ToolSessionId = Annotated[
    str, StringConstraints(pattern=r"^ts_[0-9]{6}_[a-z0-9]{1,64}$"), lower_case
]
ChatSessionId = Annotated[str, StringConstraints(pattern=r"^cs_[a-z0-9_]{1,64}$"), lower_case]
SessionId = Annotated[
    str,
    StringConstraints(pattern=r"^(ts_[0-9]{6}_[a-z0-9]{1,64}|cs_[a-z0-9_]{1,64})$"),
    lower_case,
]
CasefileId = Annotated[str, StringConstraints(pattern=r"^cf_[0-9]{6}_[a-z0-9]{1,64}$"), lower_case]

UserId = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, pattern=r"^[^\s\x00-\x1f\x7f]+$"),
    lower_case,
]
"""An e-mail address or a service name (`svc_…`)."""

SessionRequestId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""The caller's own name for what it asks for; if none is given, the request id stands in."""

SessionKind = Literal["tool", "chat"]


def kind_of(session_id: str) -> SessionKind:
    """Tell a tool session from a chat session by its identifier."""
    return "tool" if session_id.startswith("ts_") else "chat"


def uuid7() -> UUID:
    """A new UUID of version 7: 48 bits of milliseconds, then random ones (RFC 9562, 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    random = uuid4().int & ((1 << 76) - 1)  # And the two bits that say where they come from.
    return UUID(int=milliseconds << 80 | 7 << 76 | random)
