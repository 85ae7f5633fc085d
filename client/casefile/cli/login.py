"""Who one is on the command line: kept in a file that only its owner can read.

CASEFILE_URL, CASEFILE_TOKEN and CASEFILE_API_KEY go before what the file says. What is kept is for
its URL alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import TypeAdapter, ValidationError

from ..credentials import CognitoUser, Token
from ..doors import HttpDoor
from ..errors import Unauthenticated

_LOGIN = TypeAdapter(dict[str, str | None])


def file() -> Path:
    """Where it is kept."""
    return platformdirs.user_config_path("casefile") / "login.json"


def keep(said: dict[str, Any]) -> None:
    """Keep a login, in place of the one before."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(said, opened)
    aside.replace(path)


def forget() -> bool:
    """Forget the login; whether there was one."""
    existed = file().exists()
    file().unlink(missing_ok=True)
    return existed


def door() -> HttpDoor:
    """The way to the service, as who one is. Raises Unauthenticated."""
    url, token = os.environ.get("CASEFILE_URL"), os.environ.get("CASEFILE_TOKEN")
    said = {} if url and token else _kept()
    kept_for = said.get("url")
    url = url or kept_for
    if url is None:
        raise Unauthenticated("You are not logged in: casefile login URL")
    if not token and kept_for is not None and url.rstrip("/") != kept_for.rstrip("/"):
        raise Unauthenticated(
            f"You are logged in to {kept_for}, and CASEFILE_URL is {url}: "
            "set CASEFILE_TOKEN for it, or unset CASEFILE_URL"
        )
    token = token or said.get("token")
    api_key = os.environ.get("CASEFILE_API_KEY") or said.get("api_key")
    if token is not None:
        return HttpDoor(url, Token(token), api_key)
    if not {"refresh_token", "pool_id", "client_id"} <= said.keys():
        raise Unauthenticated("There is no token: casefile login URL, or set CASEFILE_TOKEN")
    user = CognitoUser(
        str(said["pool_id"]),
        str(said["client_id"]),
        refresh_token=said["refresh_token"],
        endpoint=said.get("endpoint"),
    )
    return HttpDoor(url, user, api_key)


def _kept() -> dict[str, str | None]:
    """What the file says, if there is one. Raises Unauthenticated for one that says nothing."""
    if not file().exists():
        return {}
    try:
        said = _LOGIN.validate_json(file().read_bytes())
    except ValidationError:
        said = {}
    if not said.get("url"):  # Whose what it says is, nobody can tell.
        raise Unauthenticated(f"{file()} is damaged: log in again, casefile login URL")
    return said
