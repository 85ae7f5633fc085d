"""Replicas that lag: reads that are not strong miss what was written of late."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from unittest import mock

from casefile import dynamodb


@contextmanager
def lagging(
    misses: Callable[[str], bool], stale: Mapping[str, dict[str, Any]] | None = None
) -> Iterator[None]:
    """Let eventually consistent reads miss the items of some sort keys; not those of an index.

    Of others, `stale` has what they were before.
    """
    real = dynamodb.client

    def shown(items: list[Any]) -> list[Any]:
        kept = [item for item in items if not misses(item["sk"]["S"])]
        return [(stale or {}).get(item["sk"]["S"], item) for item in kept]

    class Replica:
        def __getattr__(self, name: str) -> Any:
            return getattr(real(), name)

        def query(self, **arguments: Any) -> Any:
            if arguments.get("ConsistentRead") or "IndexName" in arguments:
                return real().query(**arguments)
            limit = arguments.pop("Limit", None)
            return {"Items": shown(real().query(**arguments)["Items"])[:limit]}

        def get_item(self, **arguments: Any) -> Any:
            found = real().get_item(**arguments)
            if arguments.get("ConsistentRead") or "Item" not in found:
                return found
            left = shown([found["Item"]])
            return {"Item": left[0]} if left else {}

        def batch_get_item(self, **arguments: Any) -> Any:
            found = real().batch_get_item(**arguments)
            for table, asked in arguments["RequestItems"].items():
                if not asked.get("ConsistentRead"):
                    found["Responses"][table] = shown(found["Responses"][table])
            return found

    with mock.patch.object(dynamodb, "client", Replica):
        yield


@contextmanager
def indexes_standing_still() -> Iterator[None]:
    """Let each query of an index be answered as it was the first time, whatever is written."""
    real, known = dynamodb.client, dict[str, Any]()

    class Replica:
        def __getattr__(self, name: str) -> Any:
            return getattr(real(), name)

        def query(self, **arguments: Any) -> Any:
            if "IndexName" not in arguments:
                return real().query(**arguments)
            asked = json.dumps(arguments, sort_keys=True)
            if asked not in known:
                known[asked] = real().query(**arguments)
            return deepcopy(known[asked])

    with mock.patch.object(dynamodb, "client", Replica):
        yield
