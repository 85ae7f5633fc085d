"""Paging, against a list that is simply sorted: whatever is merged, left out or bounded."""

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from casefile import cursors, lists
from pydantic_models.operations import ListPayload

ENTRIES = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60)
"""For each, from the newest on: the list that it is in, and whether the filter lets it through."""


@given(
    entries=ENTRIES,
    limit=st.integers(1, 2),
    more=st.integers(4, 9),
    offset=st.integers(0, 2),
    is_sifted=st.booleans(),
)
def test_pages_of_merged_lists_repeat_and_skip_nothing(
    entries: list[tuple[int, bool]], limit: int, more: int, offset: int, is_sifted: bool
) -> None:
    items: list[dict[str, Any]] = [
        {"pk": f"{n}", "list": str(of), "fits": fits, "activity": lists.place(1000 - n, f"{n}")}
        for n, (of, fits) in enumerate(entries)
    ]

    def pages(*asked: Any) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        _, _, name, low, high, at_once = asked
        found = [each for each in items if each["list"] == name and low <= each["activity"] <= high]
        while len(found) > at_once:
            yield found[:at_once], False
            found = found[at_once:]
        yield found, True

    def sift(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in found if each["fits"]]

    at_most = 4 * (limit + offset + 1) + more  # More than each list's first reading.
    expected = [each["pk"] for each in items if each["fits"] or not is_sifted][offset:]
    shown: list[str] = []
    asked = ListPayload(limit=limit, offset=offset)
    with (
        mock.patch.object(lists, "_pages", pages),
        mock.patch.object(cursors, "seal", lambda place, _: json.dumps(place)),
        mock.patch.object(cursors, "unseal", lambda cursor, _: json.loads(cursor)),
        mock.patch.object(lists, "READ_AHEAD", 8),
    ):
        while True:
            chosen = lists.Lists("owner", ["0", "1", "2", "3"])
            page = lists.read(
                chosen, asked, "ann", sift if is_sifted else None, at_once=1, at_most=at_most
            )
            shown += [each["pk"] for each in page.items]
            if page.cursor is None:
                break
            asked = ListPayload(limit=limit, cursor=page.cursor)
    assert shown == expected
    assert page.total_is_exact
    assert page.total_count == len(expected) + min(
        offset, sum(each["fits"] or not is_sifted for each in items)
    )
