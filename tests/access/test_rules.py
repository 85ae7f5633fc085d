"""The rules of access, as properties: whoever shares with whom, in whatever order."""

from contextlib import nullcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casefile.access import (
    ADMIN,
    EDITOR,
    NONE,
    OWNER,
    VIEWER,
    Grant,
    check_asking,
    check_erasing,
    check_filing,
    check_listing,
    check_sharing,
    includes,
    level_granted,
    level_in_casefile,
    level_in_session,
)
from casefile.errors import Forbidden
from pydantic_models.canonical import PermissionLevel

LEVELS = [NONE, VIEWER, EDITOR, ADMIN, OWNER]
PEOPLE = ["owner", "ann", "bob", "eve", "sam"]
CHANGES = st.lists(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.sampled_from(LEVELS[:-1])),
    max_size=30,
)


def shared(changes: list[tuple[str, str, PermissionLevel]]) -> list[dict[str, PermissionLevel]]:
    """The levels of all after each change that the rules allow."""
    levels = dict.fromkeys(PEOPLE, NONE) | {"owner": OWNER}
    history = [dict(levels)]
    for giver, target, level in changes:
        try:
            check_sharing(
                levels[giver],
                levels[target],
                level,
                is_owner=target == "owner",
                is_self=target == giver,
            )
        except Forbidden:
            continue
        levels[target] = level
        history.append(dict(levels))
    return history


@given(changes=CHANGES)
def test_nobody_ends_above_what_the_owner_ever_gave(
    changes: list[tuple[str, str, PermissionLevel]],
) -> None:
    given_by_owner = [level for giver, _, level in changes if giver == "owner"]
    most = max(given_by_owner, key=LEVELS.index, default=NONE)
    for levels in shared(changes):
        assert levels["owner"] is OWNER
        assert all(includes(most, level) for person, level in levels.items() if person != "owner")


@given(changes=CHANGES)
def test_each_step_is_by_somebody_above_what_was_and_as_high_as_what_is(
    changes: list[tuple[str, str, PermissionLevel]],
) -> None:
    history = shared(changes)
    for before, after in pairwise(history):
        for person in PEOPLE:
            if before[person] is not after[person]:
                if after[person] is NONE:  # They may have left.
                    continue
                givers = [who for who in PEOPLE if includes(before[who], ADMIN)]
                assert any(includes(before[who], after[person]) for who in givers)
                assert any(not includes(before[person], before[who]) for who in givers)


@given(
    changes=CHANGES.filter(
        lambda changes: all(
            not includes(level, ADMIN) for giver, _, level in changes if giver == "owner"
        )
    )
)
def test_without_an_admin_only_the_owner_shares_and_others_leave(
    changes: list[tuple[str, str, PermissionLevel]],
) -> None:
    allowed = [
        (giver, target, level)
        for giver, target, level in changes
        if giver == "owner" or (giver == target and level is NONE)
    ]
    assert shared(changes)[-1] == shared(allowed)[-1]


@given(before=st.sampled_from(LEVELS), after=st.sampled_from(LEVELS), is_owner=st.booleans())
def test_all_that_one_may_do_to_oneself_is_leaving(
    before: PermissionLevel, after: PermissionLevel, is_owner: bool
) -> None:
    def change() -> None:
        check_sharing(before, before, after, is_owner=is_owner, is_self=True)

    if after is NONE and not is_owner:
        change()
    elif is_owner or before is not OWNER:
        with pytest.raises(Forbidden):
            change()


@given(level=st.sampled_from(LEVELS[:-1]), public=st.sampled_from(LEVELS[:3]), at=st.integers())
def test_a_grant_counts_until_it_expires_and_the_public_level_always(
    level: PermissionLevel, public: PermissionLevel, at: int
) -> None:
    def found(grant: Grant | None) -> PermissionLevel:
        return level_in_casefile("ann", "owner", public, level_granted(grant, at))

    assert found(Grant(level, at)) is found(None) is public
    for grant in (Grant(level, at + 1), Grant(level)):
        assert found(grant) is max(level, public, key=LEVELS.index)
    assert level_in_casefile("owner", "owner", NONE, NONE) is OWNER


@pytest.mark.parametrize("level", LEVELS)
def test_a_session_is_written_by_its_casefiles_editors_and_owned_by_its_owner(
    level: PermissionLevel,
) -> None:
    assert level_in_session("ann", "ann", level) is OWNER
    assert level_in_session("bob", "ann", level) is (EDITOR if includes(level, EDITOR) else level)


@pytest.mark.parametrize("level", LEVELS)
def test_admins_ask_what_others_may_do_and_everybody_what_they_may_themselves(
    level: PermissionLevel,
) -> None:
    check_asking(level, is_self=True)
    with nullcontext() if includes(level, ADMIN) else pytest.raises(Forbidden):
        check_asking(level, is_self=False)


def test_what_is_ones_own_nobody_else_files_lists_or_erases() -> None:
    check_filing("ts_1", "ann", "ann")
    check_erasing("ann", "ann")
    for own in (None, "ann"):
        check_listing("ann", own, "scope=shared, those of others")
    with pytest.raises(Forbidden):
        check_filing("ts_1", "bob", "ann")
    with pytest.raises(Forbidden):
        check_erasing("bob", "ann")
    with pytest.raises(Forbidden, match="scope=shared"):
        check_listing("bob", "ann", "scope=shared, those of others")
