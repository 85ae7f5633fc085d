"""A casefile: a folder of sessions with an access list."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from ..base.model import Model
from ..base.times import now_text
from .permission_level import PermissionLevel

Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Tags = Annotated[list[Tag], Field(max_length=50)]


class CasefileMetadata(Model):
    """What a casefile is about."""

    title: Title
    description: str = Field("", max_length=2000)
    tags: Tags = Field(default_factory=list)
    created_by: str
    created_at: str = Field(default_factory=now_text)
    updated_at: str = Field(default_factory=now_text)
    request_metadata: dict[str, Any] = Field(
        default_factory=dict, description="What the caller kept with it at creation"
    )


class PermissionEntry(Model):
    """What one person was granted, by whom, until when."""

    user_id: str
    permission: PermissionLevel
    granted_by: str
    granted_at: str = Field(default_factory=now_text)
    expires_at: str | None = None
    notes: str | None = Field(None, min_length=1, max_length=2000)


class CasefileACL(Model):
    """Who may see and change a casefile."""

    owner_id: str
    permissions: list[PermissionEntry] = Field(
        default_factory=list,
        description="By name, the first page: all of them to admins, to others their own",
    )
    public_access: PermissionLevel = PermissionLevel.NONE
    inherit_from_parent: bool = False
    cursor: str | None = Field(
        None, description="Where list_permissions goes on; null if there are no more"
    )


class LegalHoldEntry(Model):
    """That a casefile and what is filed in it must be kept: by whose word, since when, and why."""

    placed_by: str
    placed_at: str
    reason: str | None = None


class ResourceReference(Model):
    """Something outside Casefile that a casefile points to."""

    resource_id: str
    resource_type: str
    added_at: str = Field(default_factory=now_text)
    metadata: dict[str, Any] = Field(default_factory=dict)


class CasefileModel(Model):
    """A casefile as its readers see it."""

    casefile_id: str
    metadata: CasefileMetadata
    acl: CasefileACL
    resources: list[ResourceReference] = Field(default_factory=list)
    session_ids: list[str] = Field(
        default_factory=list,
        description="The sessions filed in it, the last created first, a page of them. A session "
        "filed this second may be missing for an instant",
    )
    session_count: int = Field(0, ge=0, description="How many sessions are filed in it, exactly")
    notes: str | None = None
    legal_hold: LegalHoldEntry | None = Field(
        None, description="While it is there, nothing here can be deleted or taken out"
    )
