"""The heads of casefiles: where one lies, and the writes that others make beside their own.

Whatever is granted or filed in a casefile is written with its head in one transaction, on condition
that the head is as it was seen. So a change that crosses a hand-over or a deletion is not made.

A head tells when what somebody was granted was last taken away or limited. So whoever reads it
knows of any grant, as an index that lags shows it, whether it is to be believed.

    pk CASEFILE#<casefile_id>   sk HEAD
"""

from __future__ import annotations

import contextlib
from typing import TypeGuard

from . import dynamodb, lists
from .dynamodb import ConditionFailed, Item, Write

HEAD = "HEAD"

KIND = "casefile"
"""Of the lists that its owner finds it in."""

_NARROWING = "SET narrowed_at = :narrowed_at REMOVE news"
_NOT_BACK = "(attribute_not_exists(narrowed_at) OR narrowed_at <= :narrowed_at)"


def partition(casefile_id: str) -> str:
    """The partition that holds everything of a casefile."""
    return f"CASEFILE#{casefile_id}"


def key(casefile_id: str) -> Item:
    """The key of a casefile's head."""
    return {"pk": partition(casefile_id), "sk": HEAD}


def find(casefile_id: str) -> Item | None:
    """The head of a casefile as it is now, or its tombstone, if there is one."""
    return dynamodb.get(key(casefile_id))


def is_head(item: Item) -> bool:
    """Whether an item is the head of a casefile, or its tombstone."""
    return dynamodb.key_of(item) == key(dynamodb.identifier(item))


def is_alive(item: Item | None) -> TypeGuard[Item]:
    """Whether an item is the head of a casefile that is not deleted, nor about to be."""
    return item is not None and "deleting_at" not in item


def handing_over(casefile: Item, user_id: str, at: int) -> Write:
    """The write that makes a user the owner, if its owner still is who it was."""
    casefile_id = dynamodb.identifier(casefile)
    setting, values = dynamodb.setting(
        {"user_id": user_id, "owner_list": lists.name(KIND, user_id), **active(casefile_id, at)}
    )
    return if_owned(casefile_id, casefile["user_id"], f"{setting} REMOVE news", values)


def keeping_owner(casefile: Item) -> Write:
    """The condition that the casefile's owner still is who it was."""
    return dynamodb.checking(
        dynamodb.key_of(casefile),
        condition="user_id = :owner AND attribute_not_exists(deleting_at)",
        values={":owner": casefile["user_id"]},
    )


def narrowing(casefile: Item, at: int) -> Write:
    """The write that tells that a grant is taken away or limited, if its owner still is who it was.

    The time that is told never goes back.
    """
    return if_owned(
        dynamodb.identifier(casefile),
        casefile["user_id"],
        _NARROWING,
        {":narrowed_at": at},
        _NOT_BACK,
    )


def narrow(casefile_id: str, at: int) -> None:
    """Tell that a grant is taken away, whoever the owner is."""
    with contextlib.suppress(ConditionFailed):  # It tells a later time, or is gone.
        dynamodb.update(
            key(casefile_id),
            _NARROWING,
            condition=f"attribute_exists(pk) AND {_NOT_BACK}",
            values={":narrowed_at": at},
        )


def active(casefile_id: str, at: int) -> Item:
    """What shows in a head that something happened at a time."""
    return {"updated_at": at, "activity": lists.sort_key(at, casefile_id)}


def if_owned(casefile_id: str, owner: str, expression: str, values: Item, *terms: str) -> Write:
    """The write of a head if its owner still is who it was, and if some other terms hold."""
    condition = ("user_id = :owner", "attribute_not_exists(deleting_at)", *terms)
    return dynamodb.updating(
        key(casefile_id),
        expression,
        condition=" AND ".join(condition),
        values=values | {":owner": owner},
    )
