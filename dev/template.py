"""Reads template.yaml as plain data, its short tags written out (`!Ref x` as `{"Ref": "x"}`)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

from dev import environments


def load(path: Path) -> dict[str, Any]:
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return template


def create_table(client: Any, name: str, *, with_stream: bool = True) -> None:
    """Create the template's table under another name, with its stream unless nobody follows it."""
    told = _table()
    if not with_stream:
        told = {key: value for key, value in told.items() if key != "StreamSpecification"}
    client.create_table(TableName=name, **told)
    client.get_waiter("table_exists").wait(TableName=name)


@functools.cache
def _table() -> dict[str, Any]:
    """What the template says of its table, read once: reading it takes a third of a second."""
    properties = load(environments.ROOT / "template.yaml")["Resources"]["Table"]["Properties"]
    keys = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    stream = {"StreamEnabled": True, **properties["StreamSpecification"]}
    return {"StreamSpecification": stream, **{key: properties[key] for key in keys}}


def _spell_out(loader: Any, tag: str, node: Any) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader: Any = type("_Loader", (yaml.SafeLoader,), {})
_Loader.add_multi_constructor("!", _spell_out)
# An unquoted date such as `Version: 2012-10-17` is text to CloudFormation.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)
