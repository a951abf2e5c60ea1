"""Words come from catalogues: a language is tried by name at once, and offered once it is nearly whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from starlette.testclient import TestClient

from portal.kit import i18n
from portal.kit.settings import ROOT

CACHES: tuple[Any, ...] = (i18n._catalogue, i18n.offered, i18n.choose)
WORDS = {"Sign in": "Anmelden", "Password": "Passwort", "E-mail": "E-Mail"}


def forget() -> None:
    for cached in CACHES:
        cached.cache_clear()


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A portal of three words, with a German catalogue that has them all and a French one that has one."""
    template = "".join(f'msgid "{word}"\nmsgstr ""\n\n' for word in WORDS)
    (tmp_path / "portal.pot").write_text(template)
    for name, words in (("de", WORDS), ("fr", {"Sign in": "Se connecter"})):
        folder = tmp_path / name / "LC_MESSAGES"
        folder.mkdir(parents=True)
        lines = "".join(f'msgid "{word}"\nmsgstr "{said}"\n\n' for word, said in words.items())
        head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
        (folder / "portal.po").write_text(head + lines, encoding="utf-8")
    monkeypatch.setattr(i18n, "CATALOGUES", tmp_path)
    forget()
    yield
    forget()


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "fr,de;q=0.5", "de"),
        ("de", "en", "de"),
        ("en", "de", "en"),
        ("xx", "de", "de"),
        ("../../etc", "*", "en"),
        ("", ";;;,,,=," * 500, "en"),
    ],
)
def test_the_reader_gets_what_suits_of_what_is_whole(whole: None, cookie: str, accepted: str, chosen: str) -> None:
    assert i18n.choose(cookie, accepted) == chosen


def test_a_page_speaks_the_readers_language(client: TestClient, whole: None) -> None:
    german = client.get("/account/sign-in", headers={"Accept-Language": "de-DE"})
    assert '<html lang="de"' in german.text
    assert "<h1>Anmelden</h1>" in german.text
    assert "Accept-Language" in german.headers["vary"]
    english = client.get("/account/sign-in", headers={"Accept-Language": "fr"})
    assert "<h1>Sign in</h1>" in english.text


def test_the_german_catalogue_speaks_numbers_and_plurals() -> None:
    with i18n.speaking("de"):
        assert i18n.gettext("Sign in") == "Anmelden"
        assert i18n.ngettext("1 traveller", "%(num)s travellers", 2) % {"num": 2} == "2 Reisende"
        assert i18n.duration(375) == "6 Std. 15 Min."
        assert i18n.price(123_450, "EUR") == "1.234,50\xa0€"
        assert i18n.short_day(date(2027, 3, 1)) == "Mo. 1 März"
        assert i18n.clock_time(datetime(2027, 3, 1, 8, 5, tzinfo=UTC)) == "08:05"
        assert i18n.gettext("never translated") == "never translated"
    assert i18n.gettext("Sign in") == "Sign in"


def test_a_begun_language_is_not_offered() -> None:
    assert i18n.offered() == ("en",)


@pytest.mark.parametrize(
    "path", sorted(i18n.CATALOGUES.glob("*/LC_MESSAGES/portal.po")), ids=lambda path: path.parts[-3]
)
def test_translations_fill_in_what_the_source_fills_in(path: Path) -> None:
    with path.open("rb") as file:
        for message in read_po(file):
            if not message.id or not message.string:
                continue
            asked = set(re.findall(r"%\(\w+\)[sd]", str(message.id)))
            said = set(re.findall(r"%\(\w+\)[sd]", str(message.string)))
            assert said == asked, message.id


def looked_into(folder: str) -> bool:
    return Path(folder).relative_to(ROOT).parts[0] in ("portal", "templates", "tasks")


def test_the_template_of_catalogues_keeps_up_with_the_pages() -> None:
    """Nine of ten is enough from day to day; the command that brings it up to date stands in babel.cfg."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(ROOT, methods, options, directory_filter=looked_into)
    used = {str(message) for _, _, message, *_ in found}
    with (ROOT / "portal" / "locale" / "portal.pot").open("rb") as file:
        known = {str(message.id) for message in read_po(file)}
    assert len(used) > 300
    assert len(used & known) / len(used) > 0.9
