"""The naive limit with its content deflated where that saves a write unit."""

from __future__ import annotations

import zlib
from typing import Any

from benchmarks.stores import Store, create_table
from benchmarks.stores.raw import Raw, new_session

__all__ = ["new_session", "open_store", "prepare"]

BESIDE = 110
"""Bytes of an item beside its body, about."""


def _units(size: int) -> int:
    return -(-(BESIDE + size) // 1024)


class Deflated(Raw):
    """The same, smaller."""

    table = "deflated"

    def packed(self, body: str) -> Any:
        text = body.encode()
        small = zlib.compress(text, 6, -zlib.MAX_WBITS)
        return {"B": small} if _units(len(small)) < _units(len(text)) else {"S": body}

    def unpacked(self, attribute: Any) -> str:
        if "S" in attribute:
            return str(attribute["S"])
        return zlib.decompress(attribute["B"], -zlib.MAX_WBITS).decode()


def prepare() -> None:
    create_table(Deflated.table, "pk", "sk")


def open_store(session: str) -> Store:
    return Deflated(session)
