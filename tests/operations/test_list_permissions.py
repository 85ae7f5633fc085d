"""The access list: admins see everybody, others themselves."""

from tests.conftest import Invoke


def test_each_sees_what_is_theirs_to_see(invoke: Invoke) -> None:
    casefile_id = invoke("create_casefile", {"title": "Work"})["payload"]["casefile_id"]
    for name, level in (("adam", "admin"), ("vera", "viewer"), ("eve", "editor")):
        asked = {"casefile_id": casefile_id, "target_user_id": f"{name}@example.com"}
        invoke("grant_permission", asked | {"permission": level, "notes": f"for {name}"})

    def listed(user: str) -> list[str]:
        asked = {"casefile_id": casefile_id}
        told = invoke("list_permissions", asked, user=f"{user}@example.com")["payload"]
        assert told["owner_id"] == "ann@example.com"
        assert told["total_users"] == 1 + len(told["permissions"])
        return [entry["user_id"].partition("@")[0] for entry in told["permissions"]]

    assert listed("ann") == listed("adam") == ["adam", "eve", "vera"]
    assert listed("vera") == ["vera"]
    assert listed("eve") == ["eve"]
