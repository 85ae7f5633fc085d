"""What somebody may do: everybody may ask about themselves, admins about anybody."""

from typing import Any

import pytest

from casefile.errors import Forbidden
from tests.conftest import Invoke

MAY = ("can_read", "can_write", "can_share", "can_delete")


@pytest.mark.parametrize(
    ("level", "may"),
    [
        ("owner", [True, True, True, True]),
        ("admin", [True, True, True, False]),
        ("editor", [True, True, False, False]),
        ("viewer", [True, False, False, False]),
        ("none", [False, False, False, False]),
    ],
)
def test_each_level_includes_those_after_it(invoke: Invoke, level: str, may: list[bool]) -> None:
    casefile_id = invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"]
    who = "ann@example.com" if level == "owner" else "bob@example.com"
    asked = {"casefile_id": casefile_id, "target_user_id": who}
    if level not in ("owner", "none"):
        invoke("grant_permission", asked | {"permission": level})

    def check(required: str, **more: Any) -> dict[str, Any]:
        about = {"casefile_id": casefile_id, "user_id": who, "required_permission": required}
        told: dict[str, Any] = invoke("check_permission", about, **more)["payload"]
        return told

    told = check("editor")
    assert (told["permission"], [told[name] for name in MAY]) == (level, may)
    assert told["has_required_permission"] == may[1]
    assert check("none")["has_required_permission"]
    if level != "none":
        assert check("viewer", user=who)["permission"] == level


def test_a_viewer_may_not_ask_about_others(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"]
    asked = {"casefile_id": casefile_id, "target_user_id": "bob@example.com"}
    invoke("grant_permission", asked | {"permission": "editor"})
    about = {"casefile_id": casefile_id, "user_id": "eve@example.com"}
    with pytest.raises(Forbidden, match="Only admins"):
        invoke(
            "check_permission", about | {"required_permission": "viewer"}, user="bob@example.com"
        )
