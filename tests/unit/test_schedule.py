"""A run that breaks down is told twice: to whoever reads the log, and to Lambda."""

from typing import Any

import pytest

from casefile import dynamodb
from casefile.schedule import Scheduled
from tests.conftest import FUNCTIONS, Context, Lines, load
from tests.events import event

SCHEDULED = [name for name in FUNCTIONS if isinstance(load(name), Scheduled)]


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_run_that_breaks_down_is_a_bug_in_the_log_and_fails(
    aws: None, monkeypatch: pytest.MonkeyPatch, lines: Lines, name: str
) -> None:
    def fail() -> Any:
        raise RuntimeError("the table is not there")

    monkeypatch.setattr(dynamodb, "table", fail)
    handler: Any = load(name)
    with pytest.raises(RuntimeError, match="not there"):
        handler(event(name, "schedule"), Context())
    (line,) = lines()
    assert (line["message"], line["operation"]) == ("bug", name)
    assert (line["service"], line["level"]) == ("casefile", "ERROR"), "what the alarm looks for"
    assert "the table is not there" in line["exception"]
