"""`make bench`: the same race on Casefile and on what people use today, on the local cloud."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks import race
from dev import environments, local_stack
from dev.local_cloud import LocalCloud, free_port

WRITERS = 8
APPENDS = 50
PYTHONS = {
    "casefile": environments.DEVELOPMENT.python,
    "langchain": environments.LANGCHAIN.python,
}


def main() -> None:
    """Print what each store made of the race."""
    with (
        tempfile.TemporaryDirectory() as state,
        LocalCloud(state=Path(state), port=free_port()) as cloud,
    ):
        stack = local_stack.deploy(cloud)
        variables = {"PATH": os.defpath, "PYTHONPATH": "layers/models", **stack.variables}
        print(
            f"\n{WRITERS} processes x {APPENDS} appends to one session, 30 % of them sent twice\n"
        )
        print("| store | acknowledged and lost | stored twice | out of place | gave up |")
        print("|---|---|---|---|---|")
        for store, python in PYTHONS.items():
            outcome = race.run(
                store,
                variables,
                writers=WRITERS,
                appends=APPENDS,
                closes=False,
                python=str(python),
            )
            flaws = (outcome.lost, outcome.doubled, outcome.misplaced, outcome.gave_up)
            print(f"| {store} |", " | ".join(str(len(flaw)) for flaw in flaws), "|")


if __name__ == "__main__":
    main()
