"""The table: one client, plain values in and out, and AWS's errors turned into ours.

The storage modules say what they read and write; how a value is spelled on the wire, and what a
failing call means to a caller, stands here alone.
"""

from __future__ import annotations

import functools
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from . import aws, transport
from .attempts import attempts
from .config import configuration
from .errors import TooLarge

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Value: TypeAlias = "str | int | bool | bytes | list[str] | list[int] | frozenset[str]"
Answer = TypeVar("Answer")

Item: TypeAlias = "dict[str, Any]"
"""Attribute names to plain values."""

Write: TypeAlias = "TransactWriteItemTypeDef"
"""One of the writes of a transaction."""

MAX_WRITES = 25
"""Items of one BatchWriteItem."""

MAX_BATCH = 100
"""Keys of one BatchGetItem."""


@functools.cache
def client() -> DynamoDBClient:
    """The one client of this execution environment: our own, or boto3's, with the same calls."""
    if configuration().uses_boto3 or not transport.is_enough():
        made: DynamoDBClient = aws.client("dynamodb")
        return made
    return cast("DynamoDBClient", transport.Client())


def table() -> str:
    """The name of the table."""
    return configuration().table_name


def to_attributes(item: Mapping[str, Value | None]) -> dict[str, Any]:
    """Spell an item for DynamoDB; what is None is left out."""
    return {name: _spell(value) for name, value in item.items() if value is not None}


def _spell(value: Value) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case bool():  # It is an int, too.
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case list():
            return {"L": [_spell(element) for element in value]}
        case frozenset():
            return {"SS": sorted(value)}


def from_attributes(attributes: Mapping[str, Any]) -> Item:
    """Read an item as DynamoDB spells it. Numbers of ours are whole."""
    return {name: _read(value) for name, value in attributes.items()}


def from_stream(image: Mapping[str, Any]) -> Item:
    """Read an item as the stream tells Lambda of it, where bytes are in Base64."""
    return from_attributes({name: _decoded(value) for name, value in image.items()})


def _decoded(spelled: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, value),) = spelled.items()
    return {kind: b64decode(value) if kind == "B" else value}


def _read(spelled: Mapping[str, Any]) -> Any:
    ((kind, value),) = spelled.items()
    match kind:
        case "N":
            return int(value)
        case "L":
            return [_read(element) for element in value]
        case "SS":
            return frozenset(value)
        case _:
            return value


def identifier(item: Mapping[str, Any]) -> str:
    """Whose item it is: what its partition is named after, behind the kind of that."""
    named: str = item["pk"].partition("#")[2]
    return named


def item_bytes(item: Mapping[str, Value | None]) -> int:
    """The size of an item in bytes as DynamoDB counts it for its limit and its prices.

    Source: the DynamoDB developer guide, "Item sizes and formats".
    """
    return sum(
        len(name.encode()) + _value_bytes(value)
        for name, value in item.items()
        if value is not None
    )


def _value_bytes(value: Value) -> int:
    match value:
        case bool():
            return 1
        case str():
            return len(value.encode())
        case int():
            return (len(str(abs(value)).rstrip("0")) + 1) // 2 + 1
        case bytes():
            return len(value)
        case list():
            return 3 + sum(1 + _value_bytes(element) for element in value)
        case frozenset():
            return sum(_value_bytes(element) for element in value)


def query_units(items: Sequence[Mapping[str, Value | None]]) -> float:
    """The read units of an eventually consistent query that found these, and left nothing out."""
    return -(-sum(map(item_bytes, items)) // 4096) / 2 or 0.5


def get_units(item: Mapping[str, Value | None]) -> int:
    """The read units of an item that is read by its key, and strongly."""
    return -(-item_bytes(item) // 4096)


class ConditionFailed(Exception):
    """A conditional write found another item than it hoped for: `item`, or None for none."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("condition failed")
        self.item = item


class TransactionFailed(Exception):
    """A transaction changed nothing.

    `found` tells, for each of its writes, None where its condition held, else the item that it met:
    that of a creation, and an empty one for any other. With none failed, another transaction was in
    the way.
    """

    def __init__(self, found: list[Item | None]) -> None:
        super().__init__("transaction failed")
        self.found = found


class Calling(aws.Calling):
    """A call to DynamoDB, which tells in our words what DynamoDB says of it.

    `with` it around the call: it raises ConditionFailed, TransactionFailed, TooLarge and
    Unavailable.
    """

    def _meaning(self, error: Exception) -> Exception:
        meant = super()._meaning(error)
        return _translated(meant.response) or meant if isinstance(meant, aws.Refused) else meant


def _translated(response: dict[str, Any]) -> Exception | None:
    """What an error answer of DynamoDB's own means to a caller; None for any other."""
    code, message = response["Error"]["Code"], response["Error"].get("Message", "")
    if code == "ConditionalCheckFailedException":
        found = response.get("Item")
        return ConditionFailed(from_attributes(found) if found else None)
    if code == "TransactionConflictException":
        return TransactionFailed([])
    reasons = response.get("CancellationReasons", [])
    codes = {reason.get("Code", "None") for reason in reasons}
    if codes and codes <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
        return TransactionFailed(
            [
                from_attributes(reason.get("Item", {}))
                if reason.get("Code") == "ConditionalCheckFailed"
                else None
                for reason in reasons
            ]
        )
    if "Item size" in message or any("Item size" in why.get("Message", "") for why in reasons):
        return TooLarge("This is more than one item of the table can hold (400 KB).")
    if codes & {"ProvisionedThroughputExceeded", "ThrottlingError"}:
        return aws.come_back()
    return None


def key_of(item: Mapping[str, Any]) -> Item:
    """The key of an item."""
    return {"pk": item["pk"], "sk": item["sk"]}


def get(key: Item) -> Item | None:
    """The item as it is now (a strongly consistent read), or None."""
    with Calling():
        answer = client().get_item(TableName=table(), Key=to_attributes(key), ConsistentRead=True)
    found = answer.get("Item")
    return from_attributes(found) if found else None


def get_many(keys: Iterable[Item], *, strong: bool = True) -> Iterator[Item]:
    """The items of several keys, in any order, those that are there; as they are now if strong."""
    waiting = [to_attributes(key) for key in keys]
    while waiting:
        chosen, waiting = waiting[:MAX_BATCH], waiting[MAX_BATCH:]
        for _ in attempts("The table"):
            with Calling():
                answer = client().batch_get_item(
                    RequestItems={table(): {"Keys": chosen, "ConsistentRead": strong}}
                )
            yield from (from_attributes(item) for item in answer["Responses"].get(table(), []))
            unread = answer["UnprocessedKeys"].get(table())
            chosen = list(unread["Keys"]) if unread else []
            if not chosen:
                break


def creating(item: Mapping[str, Value | None]) -> Write:
    """The write of an item that must not be there yet."""
    write = putting(item, condition="attribute_not_exists(pk)")
    write["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return write


def putting(
    item: Mapping[str, Value | None],
    *,
    condition: str | None = None,
    values: Mapping[str, Value | None] | None = None,
) -> Write:
    """The write of an item, on a condition if one is given."""
    return {"Put": _write(condition, values, Item=to_attributes(item))}


def updating(
    key: Item, expression: str, *, condition: str, values: Mapping[str, Value | None], **more: Any
) -> Write:
    """The write that changes an item."""
    arguments = {"Key": to_attributes(key), "UpdateExpression": expression, **more}
    return {"Update": _write(condition, values, **arguments)}


def checking(key: Item, *, condition: str, values: Mapping[str, Value]) -> Write:
    """The check of an item that is left as it is."""
    return {"ConditionCheck": _write(condition, values, Key=to_attributes(key))}


def _write(
    condition: str | None, values: Mapping[str, Value | None] | None, **arguments: Any
) -> Any:
    arguments["TableName"] = table()
    if condition:
        arguments["ConditionExpression"] = condition
    if values:
        arguments["ExpressionAttributeValues"] = to_attributes(values)
    return arguments


def create(item: Mapping[str, Value | None]) -> None:
    """Write an item that must not be there yet.

    Raises ConditionFailed with the one that is, and TooLarge.
    """
    _undisturbed(lambda: client().put_item(**creating(item)["Put"]))


def put(item: Mapping[str, Value | None]) -> None:
    """Write an item, whatever is there."""
    _undisturbed(lambda: client().put_item(**putting(item)["Put"]))


def setting(fields: Mapping[str, Value]) -> tuple[str, Item]:
    """The expression that sets fields, and its values."""
    expression = "SET " + ", ".join(f"{name} = :{name}" for name in fields)
    return expression, {f":{name}": value for name, value in fields.items()}


def update(key: Item, expression: str, *, condition: str, values: Mapping[str, Value]) -> Item:
    """Change an item and return it as it is then. Raises ConditionFailed with the item found."""
    write = updating(key, expression, condition=condition, values=values)["Update"]
    write["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    changed = _undisturbed(lambda: client().update_item(**write, ReturnValues="ALL_NEW"))
    return from_attributes(changed["Attributes"])


def _undisturbed(write: Callable[[], Answer]) -> Answer:
    """Write, again if a transaction was under way with the item."""
    for _ in attempts("An item"):
        try:
            with Calling():
                return write()
        except TransactionFailed:
            continue
    raise AssertionError("attempts() ends by raising")


def put_many(items: Sequence[Mapping[str, Value | None]]) -> None:
    """Write items, whatever is there, each by itself."""
    _write_many([{"PutRequest": {"Item": to_attributes(item)}} for item in items])


def delete_many(keys: Sequence[Mapping[str, Value]]) -> None:
    """Delete items, whether they are there or not, each by itself."""
    _write_many([{"DeleteRequest": {"Key": to_attributes(key)}} for key in keys])


def _write_many(waiting: list[Any]) -> None:
    while waiting:
        chosen, waiting = waiting[:MAX_WRITES], waiting[MAX_WRITES:]
        for _ in attempts("The table"):
            with Calling():
                answer = client().batch_write_item(RequestItems={table(): chosen})
            chosen = list(answer["UnprocessedItems"].get(table(), []))
            if not chosen:
                break


def transact(writes: Sequence[Write]) -> None:
    """Do all writes or none. Raises TransactionFailed."""
    with Calling():
        client().transact_write_items(TransactItems=writes)


def query(
    condition: str, values: Mapping[str, Value], **more: Any
) -> Iterator[tuple[list[Item], bool]]:
    """The pages of a Query, each a list of items, and whether it is the last; each is one call."""
    arguments = more | {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": to_attributes(values),
    }
    while True:
        with Calling():
            found = client().query(TableName=table(), **arguments)
        is_last = "LastEvaluatedKey" not in found
        yield [from_attributes(item) for item in found["Items"]], is_last
        if is_last:
            return
        arguments["ExclusiveStartKey"] = found["LastEvaluatedKey"]
