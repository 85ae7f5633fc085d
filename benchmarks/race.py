"""A race: several processes append to one session as fast as they can, and repeat themselves.

Some requests are sent twice, at once or after others, as clients do that lost an answer. One of the
writers may close the session in the middle. In the end the session is held against what the writers
were told: what was acknowledged must be there, once, in the place that was told, each writer's own
in its order, and nothing that was refused.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SECONDS = 540
"""How long a race may take."""


@dataclass(frozen=True)
class Outcome:
    """What came of a race; all but `recorded` and `refused` should be empty.

    `branched` was acknowledged and is stored, but not where the session's readers look: some stores
    fork a session, and its newest state has one of the branches.
    """

    recorded: list[str]
    refused: set[str]
    lost: set[str]
    branched: set[str]
    doubled: set[str]
    misplaced: set[str]
    gave_up: set[str]

    @property
    def is_flawless(self) -> bool:
        """Whether all is there, once, in its place."""
        return not (self.lost or self.branched or self.doubled or self.misplaced or self.gave_up)


def run(
    store: str,
    environment: Mapping[str, str],
    *,
    writers: int,
    appends: int,
    closes: bool = False,
    repeats: float = 0.3,
    python: str = sys.executable,
    readers: Mapping[str, str] | None = None,
) -> Outcome:
    """Let writers race on a new session of a store, and judge what is in it then.

    `repeats` is the share of requests that are sent twice. `readers` is the environment of those
    who read what is there then, if that isn't to be counted with the race.
    """

    def start(
        *arguments: object, variables: Mapping[str, str] = environment
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [python, "-m", "benchmarks.worker", store, *map(str, arguments)],
            cwd=ROOT,
            env=dict(variables),
            stdout=subprocess.PIPE,
            text=True,
        )

    (session,) = _answers(start("new"))
    racing = [
        start("write", session, number, appends, repeats, closes and number == 0)
        for number in range(writers)
    ]
    try:
        told = [answer for writer in racing for answer in _answers(writer)]
    finally:
        for writer in racing:
            writer.kill()
            writer.communicate()
    recorded, on_branches = _answers(start("read", session, variables=readers or environment))
    return judge(told, recorded, on_branches)


def _answers(process: subprocess.Popen[str]) -> list[Any]:
    printed, _ = process.communicate(timeout=SECONDS)
    if process.returncode:
        raise RuntimeError(f"a writer failed with status {process.returncode}")
    return [json.loads(line) for line in printed.splitlines()]


def judge(
    told: Iterable[Mapping[str, Any]], recorded: list[str], on_branches: Iterable[str] = ()
) -> Outcome:
    """Hold what is recorded, and on all branches if there are some, against what was told."""
    acknowledged: dict[str, set[int | None]] = {}
    refused: set[str] = set()
    for answer in told:
        if "place" in answer:
            acknowledged.setdefault(answer["content"], set()).add(answer["place"])
        elif "refused" in answer:
            refused.add(answer["refused"])
    missing = set(acknowledged) - set(recorded)
    place = {content: number for number, content in enumerate(recorded, 1)}
    of_writer: dict[str, list[int]] = {}
    for content in recorded:
        writer, _, number = content.partition("/")
        of_writer.setdefault(writer, []).append(int(number))
    return Outcome(
        recorded=recorded,
        refused=refused,
        lost=missing.difference(on_branches),
        branched=missing.intersection(on_branches),
        doubled={content for content, count in Counter(recorded).items() if count > 1},
        misplaced={
            *(
                content
                for content, places in acknowledged.items()
                if not places <= {place.get(content), None}
            ),
            *(writer for writer, numbers in of_writer.items() if numbers != sorted(numbers)),
            *(refused & {*recorded, *acknowledged}),
        },
        gave_up={answer["gave_up"] for answer in told if "gave_up" in answer},
    )
