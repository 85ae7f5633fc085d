"""Casefiles: folders of sessions, and who may see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typing_extensions import Unpack

from pydantic_models import canonical, views
from pydantic_models import operations as of
from pydantic_models.base import kind_of

from .. import operations
from .connection import Connection


class Casefiles:
    """All one's casefiles."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        title: str,
        *,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        **envelope: Unpack[operations.Envelope],
    ) -> Casefile:
        """Open a casefile."""
        fields = {"title": title, "description": description, "tags": tags}
        created = self._connection.call(operations.CREATE_CASEFILE, fields, envelope)
        return Casefile(self._connection, created.payload.casefile_id)

    def list(self, *, limit: int | None = None, **filters: Any) -> Iterator[views.CasefileSummary]:
        """Casefiles, the last created first; filters as in `ListCasefilesPayload`."""
        return self._connection.listed(
            operations.LIST_CASEFILES, filters, lambda page: page.casefiles, limit
        )


class Casefile:
    """One casefile, by its id. Making this object asks nothing of the service."""

    def __init__(self, connection: Connection, casefile_id: str) -> None:
        self._connection = connection
        self.casefile_id = casefile_id

    def read(self) -> canonical.CasefileModel:
        """What it says of itself, with a hundred who may use it, and its last hundred sessions."""
        fields = {"casefile_id": self.casefile_id}
        return (self._connection.call(operations.GET_CASEFILE, fields)).payload.casefile

    def update(
        self,
        *,
        title: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        notes: str | None = None,
        **envelope: Unpack[operations.Envelope],
    ) -> canonical.CasefileModel:
        """Change what it says of itself; what is None stays."""
        fields = {
            "casefile_id": self.casefile_id,
            "title": title,
            "description": description,
            "tags": tags,
            "notes": notes,
        }
        answer = self._connection.call(operations.UPDATE_CASEFILE, fields, envelope)
        return answer.payload.casefile

    def set_legal_hold(
        self, hold: bool, *, reason: str | None = None, **envelope: Unpack[operations.Envelope]
    ) -> of.LegalHoldPayload:
        """Keep it, and what is filed in it, from any deletion, or let that be possible again."""
        fields = {"casefile_id": self.casefile_id, "hold": hold, "reason": reason}
        return (self._connection.call(operations.SET_LEGAL_HOLD, fields, envelope)).payload

    def delete(self, *, delete_sessions: bool = False) -> of.CasefileDeletedPayload:
        """Delete it; its sessions stay with their owners, unless they are to go with it."""
        fields = {
            "casefile_id": self.casefile_id,
            "confirm": True,
            "delete_sessions": delete_sessions,
        }
        return (self._connection.call(operations.DELETE_CASEFILE, fields)).payload

    def add(
        self, session_id: str, **envelope: Unpack[operations.Envelope]
    ) -> of.SessionAddedPayload:
        """File a session in it."""
        fields = {
            "casefile_id": self.casefile_id,
            "session_id": session_id,
            "session_type": kind_of(session_id.lower()),
        }
        answer = self._connection.call(operations.ADD_SESSION_TO_CASEFILE, fields, envelope)
        return answer.payload

    def remove(self, session_id: str) -> of.SessionRemovedPayload:
        """Take a session out of it."""
        fields = {"casefile_id": self.casefile_id, "session_id": session_id}
        answer = self._connection.call(operations.REMOVE_SESSION_FROM_CASEFILE, fields)
        return answer.payload

    def sessions(
        self, *, limit: int | None = None, **filters: Any
    ) -> Iterator[views.SessionSummary | views.ChatSessionSummary]:
        """Its sessions, the last created first; filters as in `ListCasefileSessionsPayload`."""
        fields = {"casefile_id": self.casefile_id, **filters}
        return self._connection.listed(
            operations.LIST_CASEFILE_SESSIONS, fields, lambda page: page.sessions, limit
        )

    def share(
        self,
        user_id: str,
        permission: canonical.PermissionLevel | str = canonical.PermissionLevel.VIEWER,
        *,
        expires_at: str | None = None,
        notes: str | None = None,
        **envelope: Unpack[operations.Envelope],
    ) -> of.PermissionGrantedPayload:
        """Let somebody use it, or everybody signed in ("*")."""
        fields = {
            "casefile_id": self.casefile_id,
            "target_user_id": user_id,
            "permission": permission,
            "expires_at": expires_at,
            "notes": notes,
        }
        return (self._connection.call(operations.GRANT_PERMISSION, fields, envelope)).payload

    def unshare(self, user_id: str) -> of.PermissionRevokedPayload:
        """Take away what somebody was granted."""
        fields = {"casefile_id": self.casefile_id, "target_user_id": user_id}
        return (self._connection.call(operations.REVOKE_PERMISSION, fields)).payload

    def permissions(self) -> of.PermissionListPayload:
        """Who may do what with it, all pages in one."""
        fields: dict[str, Any] = {"casefile_id": self.casefile_id}
        entries: list[canonical.PermissionEntry] = []
        while True:
            page = (self._connection.call(operations.LIST_PERMISSIONS, fields)).payload
            entries += page.permissions
            if page.cursor is None:
                return page.model_copy(update={"permissions": entries})
            fields["cursor"] = page.cursor

    def check(
        self,
        user_id: str,
        required: canonical.PermissionLevel | str = canonical.PermissionLevel.VIEWER,
    ) -> of.PermissionCheckPayload:
        """What somebody may do with it."""
        fields = {
            "casefile_id": self.casefile_id,
            "user_id": user_id,
            "required_permission": required,
        }
        return (self._connection.call(operations.CHECK_PERMISSION, fields)).payload
