"""Levels of access to a casefile."""

from enum import Enum


class PermissionLevel(str, Enum):
    """What somebody may do with a casefile; each level includes those after it."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"
    NONE = "none"
