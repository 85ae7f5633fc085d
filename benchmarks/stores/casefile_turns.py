"""Casefile, where two instances write a session in turn: neither has seen the newest record."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import boto3

from benchmarks.stores import Store
from benchmarks.stores import casefile as one_instance
from benchmarks.stores.casefile import new_session
from casefile import session_log

__all__ = ["new_session", "open_store", "prepare"]


class Turns(one_instance.Casefile):
    """What an instance remembers of its sessions is put aside while it is the other's turn."""

    def __init__(self, session: str) -> None:
        super().__init__(session)
        self.others: dict[Any, Any] = {}

    def asking(self, request_id: str, made_at: str, content: str) -> Callable[[], Any]:
        mine, self.others = self.others, dict(session_log._memories)
        session_log._memories.clear()
        session_log._memories.update(mine)
        return super().asking(request_id, made_at, content)


def prepare() -> None:
    """The table is Casefile's own, which may be there."""
    with contextlib.suppress(boto3.client("dynamodb").exceptions.ResourceInUseException):
        one_instance.prepare()


def open_store(session: str) -> Store:
    return Turns(session)
