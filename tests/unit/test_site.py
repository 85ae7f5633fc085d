"""The site of the documentation is made without a warning, and asks no other host for anything."""

import re
import sys
from pathlib import Path

import pytest

from dev import environments, site
from dev.console import Problem
from dev.environments import ROOT
from tests.conftest import OPERATIONS, load


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site.build(Path(sys.executable), tmp_path_factory.mktemp("site")).parent


def test_every_page_is_in_it_and_in_the_list_of_pages(made: Path) -> None:
    listed = (made / "index.html").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (made / name).is_file()
        assert f'href="{name}"' in listed or name == "index.html"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_reference_tells_of_every_operation(made: Path, operation: str) -> None:
    method, _, path = load(operation).route.partition(" ")
    anchor = re.sub(r"[{}]", "", path).replace("/", "-")
    assert f'id="{method.lower()}-{anchor}"' in (made / "api.html").read_text()


def test_no_other_host_is_asked_for_anything(made: Path) -> None:
    loaded = r'<(?:script|link|img|iframe|source|video)\b[^>]*?(?:src|href)="(?:https?:)?//[^"]*'
    for page in made.rglob("*.html"):
        assert not re.findall(loaded, page.read_text()), page
    for style in made.rglob("*.css"):
        text = style.read_text()
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//|@import[^;]*//", text), style


def test_what_sphinx_warns_of_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/conf.py").write_text("")
    (tmp_path / "docs/index.rst").write_text("Title\n=====\n\n:doc:`missing`\n")
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    with pytest.raises(Problem, match="missing"):
        site.build(Path(sys.executable), tmp_path / "site")
