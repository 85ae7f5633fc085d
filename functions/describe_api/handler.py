"""Serve what there is to read about the API: its OpenAPI document, and a page to try it on."""

from pathlib import Path

from casefile.web_pages import VIEWER, Pages

HERE = Path(__file__).parent

handle = Pages(
    {
        "/openapi.json": HERE / "openapi.json",
        "/docs": HERE / "docs.html",
        "/docs/docs.js": HERE / "docs.js",
        "/docs/viewer.js": VIEWER / "swagger-ui-bundle.min.js",
        "/docs/viewer.css": VIEWER / "swagger-ui.min.css",
    }
)
