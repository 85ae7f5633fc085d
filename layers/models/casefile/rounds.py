"""Rounds: all that is at a stage, one by one, from where the last run had come to.

Sessions are at one from their creation to their end, casefiles and users while they are deleted.

A run goes once round the stage's list, from the place that it finds noted, and does something about
each. What is done moves on to the next stage and has left the list; a run that is stopped anywhere
leaves the rest in it. When its time is up, it notes the place behind what it tried last, so what
can't be done, however long that takes, holds up no other; the round comes back to it. The place
behind a page is noted before that is worked on, in case the run breaks off. The note is a hint, and
may be any place.

    pk PLACE#<stage>   sk HEAD   where the next run goes on
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from . import dynamodb, lists
from .attempts import check_time, sparing
from .dynamodb import Item
from .errors import LegalHold, NotFound, Overtaken, Unavailable
from .lists import Stage, StagePlace
from .log import logger
from .parallel import in_parallel

NOTING_SECONDS = 10
"""Kept back to note the place, also after a call that took as long as one may."""


@dataclass
class Round:
    """What a run did: how many it came to, how many it dealt with, and could not deal with.

    `is_complete` tells whether it came all the way round.
    """

    seen: int = 0
    done: int = 0
    failed: int = 0
    is_complete: bool = False


def go_round(
    stage: Stage,
    before: int,
    do: Callable[[str], bool],
    sift: Callable[[list[str]], Iterable[str]] = iter,
    at_once: int = 1,
) -> Round:
    """Do something about all that is at a stage since before a time, as far as its own time goes.

    `sift` is given a page of ids and leaves those to be dealt with. `do` is called with each of
    them, up to `at_once` at the same time, and tells whether it did anything. What it can't do is
    logged, and left to the next run. Times are in milliseconds since 1970.
    """
    found, place = Round(), None
    try:
        place = _noted(stage)
        for page, place_after in lists.in_stage(stage, before, place):
            if not page:
                continue
            _note(stage, place_after)
            found.seen += len(page)
            sifted = {*sift([*page])}
            chosen = [each for each in page if each in sifted]
            with sparing(NOTING_SECONDS):
                for begin in range(0, len(chosen), at_once):
                    check_time()
                    tries = chosen[begin : begin + at_once]
                    place = page[tries[-1]]
                    results = in_parallel(lambda each: _try(stage, do, each), tries)
                    found.done += results.count(True)
                    found.failed += results.count(None)
            place = place_after
        found.is_complete = True
    except Unavailable as error:  # The time is up, or the table doesn't answer.
        logger.info("stopped", stage=stage, reason=str(error))
        if place is not None:
            with contextlib.suppress(Unavailable):
                _note(stage, place)
    return found


def _try(stage: Stage, do: Callable[[str], bool], identifier: str) -> bool | None:
    """Whether it was done; None if it could not be."""
    try:
        return do(identifier)
    except (LegalHold, NotFound, Overtaken):  # It must stay, or was deleted, or went on, just now.
        return False
    except Unavailable as error:
        logger.info("not done", stage=stage, identifier=identifier, reason=str(error))
        return None
    except Exception:
        logger.exception("not done", stage=stage, identifier=identifier)
        return None


def _place(stage: Stage) -> Item:
    return {"pk": f"PLACE#{stage}", "sk": "HEAD"}


def _noted(stage: Stage) -> StagePlace:
    item = dynamodb.get(_place(stage))
    return StagePlace(item["shard"], item["below"]) if item else StagePlace()


def _note(stage: Stage, place: StagePlace) -> None:
    dynamodb.put(_place(stage) | place._asdict())
