"""Pages that anybody may read: files that are served by HTTP just as they are.

They tell of the API and of nobody's sessions, so nobody is asked who they are. A browser runs them
with a token typed into them; so it is told to load and to call nothing but the API that served
them, and to run no script that isn't one of these files.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic_models.base import FailedResponse

from . import api
from .errors import NotFound
from .starting import start

VIEWER = Path(str(files("aws_lambda_powertools"))) / "event_handler/openapi/swagger_ui"
"""Swagger UI, which Powertools brings along, so the layer has it already."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)


@dataclass(frozen=True)
class Pages:
    """A Lambda handler that serves each file at its path, to whoever asks."""

    files: Mapping[str, Path]

    def __post_init__(self) -> None:
        start()

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer with the file, or that the reader's copy is still what it is."""
        file = self.files.get(_path(event))
        if file is None:
            return api.answer(NotFound.status, _not_found(context.aws_request_id))
        text, tag = _read(file)
        headers = {
            "Content-Type": _TYPES[file.suffix],
            "Cache-Control": "no-cache",  # kept, and asked about each time
            "Content-Security-Policy": _POLICY,
            "ETag": tag,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        if tag in api.headers(event).get("if-none-match", ""):
            return api.answer(304, "", headers)
        return api.answer(200, text, headers)


def _path(event: dict[str, Any]) -> str:
    """The path as the template's routes have it, whatever stage or domain it was asked through."""
    path = str(event.get("resource") or event.get("rawPath"))
    for name, value in (event.get("pathParameters") or {}).items():
        path = path.replace(f"{{{name}}}", value)
    return path


@functools.cache
def _read(file: Path) -> tuple[str, str]:
    """What a file says, and the tag by which a browser knows that its copy says the same."""
    content = file.read_bytes()
    return content.decode(), f'"{sha256(content).hexdigest()[:32]}"'


def _not_found(request_id: Any) -> str:
    return FailedResponse(
        request_id=request_id,
        error="There is no such page. There are /openapi.json and /docs.",
        metadata={"error_code": NotFound.code},
    ).model_dump_json()
