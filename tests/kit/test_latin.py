"""Names in A–Z: the spellings of ICAO Doc 9303, part 3, and refusal where none is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kit.latin import passport_letters


@pytest.mark.parametrize(
    ("typed", "spelt"),
    [
        ("Müller", "MUELLER"),
        ("Strauß", "STRAUSS"),
        ("Ångström", "AANGSTROEM"),
        ("Þórarinn", "THORARINN"),
        ("Łukasz", "LUKASZ"),
        ("Đặng", "DANG"),
        ("İbrahim Işık", "IBRAHIM ISIK"),
        ("Nuñez", "NUNEZ"),
        ("O'Brien", "OBRIEN"),
        ("d’Arc", "DARC"),
        ("Jean-Luc", "JEAN LUC"),
        ("Smith Jr.", "SMITH JR"),
        ("Щербаков", "SHCHERBAKOV"),
        ("Юлія", "IULIIA"),
        ("Ольга", "OLGA"),
        ("Παπαδόπουλος", "PAPADOPOULOS"),
        ("Ευαγγελία", "EVANGELIA"),
        ("Μπάμπης", "BAMPIS"),
        ("ﬁnn", "FINN"),
    ],
)
def test_letters_are_spelt_as_in_a_passport(typed: str, spelt: str) -> None:
    assert passport_letters(typed) == spelt


@pytest.mark.parametrize("typed", ["", " ", "-", "'", "李", "Anna2", "أحمد", "<b>", "😀", "a\x00b", "Anna/Maria"])
def test_what_cannot_be_spelt_is_not_guessed(typed: str) -> None:
    assert passport_letters(typed) is None


@given(st.text(max_size=60))
def test_the_answer_is_letters_and_stays_itself(typed: str) -> None:
    spelt = passport_letters(typed)
    if spelt is not None:
        assert spelt == " ".join(spelt.split())
        assert spelt.replace(" ", "").isascii()
        assert passport_letters(spelt) == spelt
