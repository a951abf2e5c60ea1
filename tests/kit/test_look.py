"""The look keeps its promises: third-party files are the pinned ones, faces load once, the home page stays light."""

from __future__ import annotations

import gzip
import hashlib
import re

import pytest

from portal.kit.settings import ROOT
from portal.kit.web import templates

STATIC = ROOT / "static"
PINNED = re.findall(r"^\| (\S+) \|.*`([0-9a-f]{64})` \|$", (STATIC / "vendor/VERSIONS.md").read_text(), re.MULTILINE)
FIRST_PAGE = ("css/site.css", "css/pieces.css", "css/flights.css", "site.js", "icons.svg", "vendor/htmx/htmx.min.js")


@pytest.mark.parametrize(("path", "digest"), PINNED)
def test_a_third_party_file_is_the_pinned_one(path: str, digest: str) -> None:
    assert hashlib.sha256((STATIC / "vendor" / path).read_bytes()).hexdigest() == digest


def test_every_third_party_file_is_pinned() -> None:
    there = {
        str(path.relative_to(STATIC / "vendor")) for path in (STATIC / "vendor").rglob("*.*") if path.suffix != ".md"
    }
    assert there == {path for path, _ in PINNED}


def test_preloaded_faces_have_the_addresses_of_the_style_sheet() -> None:
    """Another address, and the browser fetches each face twice."""
    ui = templates().globals["ui"]
    preloaded = set(re.findall(r'href="/static/([^"]+)"', str(ui.font_preloads())))  # type: ignore[attr-defined]  # macro
    written = {
        f"vendor/{path}" for path in re.findall(r"url\(\.\./vendor/([^)]+)\)", (STATIC / "css/site.css").read_text())
    }
    assert preloaded
    assert {path for path in written if "latin-ext" not in path} == preloaded


def test_the_first_page_stays_light() -> None:
    words = sum(len(gzip.compress((STATIC / path).read_bytes())) for path in FIRST_PAGE)
    faces = sum((STATIC / "vendor/fonts" / path).stat().st_size for path in _first_faces())
    assert words + faces < 95_000


def _first_faces() -> list[str]:
    found = re.findall(r"vendor/fonts/([^?)]+)", (STATIC / "css/site.css").read_text())
    return [path for path in found if "latin-ext" not in path]


def test_every_colour_of_the_screen_has_a_light_and_a_dark_value() -> None:
    tokens = re.search(r"@layer tokens \{(.*?)\n\}", (STATIC / "css/site.css").read_text(), re.DOTALL)
    assert tokens
    for name, value in re.findall(r"(--[a-z-]+): ([^;]*oklch[^;]*);", tokens[1]):
        assert value.startswith("light-dark(") or name == "--float", name


def test_icons_that_pages_name_are_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', (STATIC / "icons.svg").read_text()))
    pages = "".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    named = set(re.findall(r'\bicon\("([a-z]+)"|icon_name="([a-z]+)"', pages))
    assert {one or two for one, two in named} <= drawn
