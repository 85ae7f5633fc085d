"""Retention: closed sessions go to the archive, and later leave the table.

1. What is closed is written to the archive, whole and verified; then its head says so.
2. So many days after its closing, its records leave the table, but for a few; its head stays, for
   lists and for who may see it. Whoever reads a record that has left gets it from the archive.

Each step is found by the list of the sessions that wait for it, and may be repeated: killed
anywhere, a run leaves a session in its list, with nothing lost, and readable. A session in a
casefile under legal hold stays in the table; so does one whose archive is not what it was.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta

from pydantic_models.base.times import now, to_milliseconds
from pydantic_models.canonical.record import Record

from . import archives, casefiles, contents, dynamodb, lists, metrics, records, sessions
from .attempts import sparing
from .errors import NotFound, Unavailable
from .parallel import AT_ONCE
from .rounds import Round, go_round
from .sessions import SessionHead

LONGEST_MEMORY = timedelta(days=1)
"""How long after a closing its records stay at least: far longer than any instance remembers."""


ARCHIVING_SECONDS = 600
"""Of a run's fifteen minutes, what archiving has at least; so neither waits for the other."""

STAYING = ("closed", "rewind")
"""Kinds of records that stay: the end, above which nothing may be put, and those whose items hold
what no other has (see standing.py)."""


@dataclass
class Retained:
    """What a run did: sessions that were archived, and those that left the table."""

    archived: Round
    expired: Round


def archive_sessions(keep: timedelta | None) -> Retained:
    """Archive what is closed; take from the table what was closed longer ago than `keep`, if given.

    What can't be done is logged, and left to the next run.
    """
    contents.client()  # Before several need it at once.
    at = to_milliseconds(now())
    with contextlib.suppress(Unavailable):  # Whatever else comes of this run.
        oldest = lists.oldest_in_stage("closed")
        metrics.count("ArchiveLag", 0 if oldest is None else max(0, (at - oldest) // 1000))
    expired = Round(is_complete=True)
    if keep is not None:
        before = to_milliseconds(now() - max(keep, LONGEST_MEMORY))
        with sparing(ARCHIVING_SECONDS):
            expired = go_round("archived", before, _expire, at_once=AT_ONCE)
    archived = go_round("closed", at + 1, _archive, at_once=AT_ONCE)
    return Retained(archived, expired)


def _archive(session_id: str) -> bool:
    head, closing = _closed(session_id)
    if head.archived_at is not None:  # Another run did it, and its records may have left since.
        return False
    archives.write(head, records.stored(session_id))
    try:
        sessions.mark_archived(head, closing.at)
    except NotFound:  # It was deleted meanwhile, and what is deleted leaves nothing behind.
        archives.delete(session_id)
        raise
    return True


def _expire(session_id: str) -> bool:
    closing = _not_held(session_id)
    if not archives.is_whole(session_id, closing):
        raise archives.Broken(f"The archive of session {session_id} is not what it was.")
    for page in records.slots(session_id):
        _not_held(session_id)  # It may be now.
        leaving = [number for number, kind in page if kind not in STAYING]
        dynamodb.delete_many([records.slot_key(session_id, number) for number in leaving])
    sessions.mark_settled(session_id, "archived")
    return True


def _not_held(session_id: str) -> Record:
    """The closing of a session under no legal hold. Raises NotFound, and LegalHold."""
    head, closing = _closed(session_id)
    if head.casefile_id is not None:
        casefiles.check_hold(head.casefile_id)
    return closing


def _closed(session_id: str) -> tuple[SessionHead, Record]:
    """The head and the closing of a session that the index shows as closed. Raises NotFound."""
    item, newest = records.top(session_id)
    head = sessions.from_item(item)
    if head is None or newest is None or newest["kind"] != "closed":
        raise NotFound(f"There is no closed session {session_id}.")
    return head, records.from_item(newest)
