"""The contract's four documents, fact by fact, and the fields of the operations around them.

`*.schema.json` and `fields.txt` are the facts as the contract's owner gave them. What our models
generate must say the same; where they deliberately say more, it is listed here with the reason.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import pydantic_models.base
import pydantic_models.canonical
import pydantic_models.operations
import pydantic_models.views

HERE = Path(__file__).parent
FIXED: dict[str, type[BaseModel]] = {
    "CreateSessionResponse": pydantic_models.operations.CreateSessionResponse,
    "CloseSessionResponse": pydantic_models.operations.CloseSessionResponse,
    "AddSessionToCasefileResponse": pydantic_models.operations.AddSessionToCasefileResponse,
    "ChatSession": pydantic_models.canonical.ChatSession,
}


def facts(schema: Any) -> Any:
    """A JSON schema without its prose."""
    if isinstance(schema, list):
        return [facts(element) for element in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            kept[key] = {name: facts(inner) for name, inner in value.items()}
        elif key not in ("title", "description", "example", "examples"):
            kept[key] = facts(value)
    return kept


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_document_says_what_the_contract_says(name: str) -> None:
    given = json.loads((HERE / f"{name}.schema.json").read_text())
    assert facts(FIXED[name].model_json_schema()) == given


FIELDS = [
    (line.partition(": ")[0], *field)
    for line in (HERE / "fields.txt").read_text().splitlines()
    for field in re.findall(
        r"(\w+) (\S+(?: \d+\.\.\d*)?(?: or null)?) \((required|default [^)]*)\)",
        line.partition(": ")[2],
    )
]

EXPLAINED = {
    ("base.BaseRequest", "payload"): "RequestPayload, required: the base of all payloads",
    ("base.BaseResponse", "payload"): "ResponsePayload, required: the base of all payloads",
    ("canonical.CasefileACL", "owner_id"): "string, required: an owner may be a service",
    ("canonical.PermissionEntry", "user_id"): "string, required: may be a service",
    ("canonical.PermissionEntry", "granted_by"): "string, required: may be a service",
    ("canonical.CasefileMetadata", "description"): "string(..2000), optional: may be empty",
    ("operations.CreateCasefilePayload", "description"): "string(..2000), optional: may be empty",
    ("canonical.ToolEvent", "status"): "success/error/pending or null, optional: all there is",
    ("views.SessionSummary", "casefile_id"): "string or null, optional: not all are filed",
    ("views.CasefileSummary", "description"): "string(..2000), required: may be empty",
    ("operations.SessionDataPayload", "casefile_id"): "string or null, required: not all are filed",
    ("operations.ChatRequestPayload", "message"): "string or null, optional: or messages",
    ("operations.ChatResultPayload", "message"): "ChatMessage, required: with its id and place",
    ("operations.ChatResultPayload", "related_messages"): "[ChatMessage], optional: likewise",
}


def described(schema: dict[str, Any]) -> str:
    """The type of a property, in the notation of fields.txt."""
    if "anyOf" in schema:
        return " or ".join(described(choice) for choice in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return "/".join(schema["enum"])
    match schema.get("type"):
        case "array":
            return f"[{described(schema['items'])}]"
        case "object":
            inner = schema.get("additionalProperties")
            return "{}" if inner in (True, None) else f"{{str:{described(inner)}}}"
        case "integer" if "minimum" in schema:
            return f"integer {schema['minimum']}..{schema.get('maximum', '')}"
        case "string" if "format" in schema:
            return f"string({schema['format']})"
        case "string" if "maxLength" in schema and "pattern" not in schema:
            return f"string({schema.get('minLength') or ''}..{schema['maxLength']})"
        case kind:
            return str(kind)


def test_every_field_of_the_contract_was_read() -> None:
    assert len(FIELDS) == (HERE / "fields.txt").read_text().count(";") + len(
        (HERE / "fields.txt").read_text().splitlines()
    )


@pytest.mark.parametrize(("model", "field", "type_", "presence"), FIELDS)
def test_a_field_has_the_name_type_and_presence_of_the_contract(
    model: str, field: str, type_: str, presence: str
) -> None:
    package, _, name = model.partition(".")
    class_: type[BaseModel] = getattr(getattr(pydantic_models, package), name)
    schema = class_.model_json_schema()
    ours = schema["properties"][field]
    is_required = field in schema.get("required", [])
    explained = EXPLAINED.get((model, field))
    if explained:
        expected = explained.partition(":")[0]
        assert f"{described(ours)}, {'required' if is_required else 'optional'}" == expected
        return
    told = described(ours)
    # Bounds that we add to what the contract leaves open do not make it another type.
    unbound = re.sub(r"\([^)]*\)|(?<=integer) \d+\.\.\d*", "", told)
    assert told == type_ or (not re.search(r"\(|\.\.", type_) and unbound == type_)
    assert is_required == (presence == "required")
    if presence.startswith("default ") and "/" not in presence:
        assert ours["default"] == json.loads(presence.removeprefix("default "))


def test_casefile_model_names_what_a_casefile_has() -> None:
    assert {"casefile_id", "metadata", "acl", "resources", "session_ids"} <= set(
        pydantic_models.canonical.CasefileModel.model_fields
    )
