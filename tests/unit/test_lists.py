"""Paging, against a list that is simply sorted: whatever is merged, left out or bounded."""

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casefile import cursors, dynamodb, lists
from pydantic_models.operations import ListPayload

Entry = dict[str, Any]

STRETCHES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 7), st.booleans()), min_size=1, max_size=14
)
"""From the newest on, how many entries follow one another in which list, and whether a filter lets
them through. So lists that are merged are read to different depths."""


class Shelf:
    """Lists as an index keeps them, and the units that were taken to read and to sift them."""

    def __init__(self, stretches: list[tuple[int, int, bool]]) -> None:
        of = [(name, fits) for name, length, fits in stretches for _ in range(length)]
        self.entries: list[Entry] = [
            {
                "pk": f"{n}",
                "list": str(name),
                "fits": fits,
                "activity": lists.sort_key(999 - n, "x"),
                "units": n % 2,
            }
            for n, (name, fits) in enumerate(of)
        ]
        self.read = 0  # In units.

    def pages(
        self, _: str, __: str, name: str, low: str, high: str, at_once: int
    ) -> Iterator[tuple[list[Entry], bool]]:
        """As Query does: a page that is full may have none after it."""
        found = [e for e in self.entries if e["list"] == name and low <= e["activity"] <= high]
        for start in range(0, len(found) + 1, at_once):
            page = found[start : start + at_once]
            self.read += len(page)
            yield page, len(page) < at_once

    def sift(self, entries: list[Entry]) -> tuple[list[Entry], int]:
        """What fits; beside the unit that each takes to be read, every other takes one more."""
        units = sum(each["units"] for each in entries)
        self.read += units
        return [each for each in entries if each["fits"]], units


@settings(max_examples=500)
@given(
    stretches=STRETCHES,
    limit=st.integers(1, 3),
    offset=st.integers(0, 3),
    at_once=st.integers(1, 4),
    sifted_at_once=st.none() | st.integers(1, 3),
    at_most=st.integers(2, 25),
    is_sifted=st.booleans(),
    is_counted=st.booleans(),
)
# The list that stops the page is not the first of them, nor the one that was read the furthest.
@example([(0, 1, False), (1, 7, False), (0, 7, False), (1, 3, True)], 1, 0, 1, None, 4, True, False)
@example([(2, 7, False), (0, 1, True), (1, 1, True), (3, 7, True)], 1, 0, 1, None, 9, True, False)
# An offset for which the first list alone has more to be read than a page may.
@example([(0, 7, True), (1, 7, True)], 1, 3, 1, None, 2, True, False)
def test_pages_of_merged_lists_repeat_and_skip_nothing(
    stretches: list[tuple[int, int, bool]],
    limit: int,
    offset: int,
    at_once: int,
    sifted_at_once: int | None,
    at_most: int,
    is_sifted: bool,
    is_counted: bool,
) -> None:
    shelf = Shelf(stretches)
    fitting = [each["pk"] for each in shelf.entries if each["fits"] or not is_sifted]
    sift = lists.Sift(shelf.sift, sifted_at_once, read_at_once=at_once, at_most=at_most)
    chosen = lists.Lists("owner", ["0", "1", "2", "3"])
    asked = ListPayload(limit=limit, offset=offset, exact_total=is_counted)
    shown: list[str] = []
    was_exact = False
    with (
        mock.patch.object(lists, "_pages", shelf.pages),
        mock.patch.object(lists, "READ_AHEAD", at_once * len(chosen.names)),
        mock.patch.object(dynamodb, "query_units", len),
        mock.patch.object(cursors, "sign", lambda place, _: json.dumps(place)),
        mock.patch.object(cursors, "read", lambda cursor, _: json.loads(cursor)),
    ):
        for _ in range(len(shelf.entries) + 1):  # Each page goes on, be it by one entry.
            shelf.read = 0
            page = lists.read(chosen, asked, "ann", sift if is_sifted else None)
            shown += [each["pk"] for each in page.items]
            assert shown == fitting[offset : offset + len(shown)]
            if page.total_is_exact:
                assert page.total_count == len(fitting)
            else:
                assert len(shown) <= page.total_count <= len(fitting)
            assert page.total_is_exact >= (was_exact or is_counted or page.cursor is None)
            was_exact = page.total_is_exact
            if is_sifted and not asked.exact_total:
                entries = min(max(at_once, limit + offset + 2), at_most)  # Of one list, at a time.
                reading = 2 * entries
                assert shelf.read < max(at_most, 3 * reading + 1) + reading
                assert len(page.items) == limit or page.cursor is None or shelf.read >= at_most
            else:
                assert len(page.items) == limit or page.cursor is None
                assert (page.cursor is None) == (shown == fitting[offset:])
            if page.cursor is None:
                break
            asked = ListPayload(limit=limit, cursor=page.cursor)
    assert page.cursor is None
    assert shown == fitting[offset:]


@pytest.mark.parametrize("shards", [1, 10])
def test_the_first_of_a_stage_is_found_in_whichever_shard_it_is(
    aws: None, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    monkeypatch.setattr(lists, "STAGE_SHARDS", shards)
    assert lists.oldest_in_stage("closed") is None
    for at in range(20, 0, -1):
        key = {"pk": f"SESSION#{at}", "sk": "HEAD"}
        dynamodb.create(key | lists.at_stage("closed", at, str(at)))
        assert lists.oldest_in_stage("closed") == at
    assert lists.oldest_in_stage("open") is None
