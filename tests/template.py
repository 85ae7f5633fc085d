"""template.yaml as the tests read it: CloudFormation's short tags become what they stand for."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


class _Loader(yaml.SafeLoader):
    pass


def _tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {name: value}


_Loader.add_multi_constructor("!", _tag)


def template() -> dict[str, Any]:
    """The whole template."""
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    return loaded


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Logical names to properties of the resources of one type."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def create_table(client: Any, name: str) -> None:
    """Create the template's table under another name."""
    (properties,) = resources("AWS::DynamoDB::Table").values()
    keys = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    client.create_table(TableName=name, **{key: properties[key] for key in keys})
