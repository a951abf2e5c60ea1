"""Which passwords will not do: no network is needed, spelling tricks do not help, long sentences always do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts import passwords

WORDS = ("robin.wood@example.com", "Robin", "Wood", "Meridian Air")
ROW = "qwertyuiopasdfghjkl"


@pytest.mark.parametrize(
    "guessed",
    [
        "password1234!",
        "P@ssw0rd2024!",
        "PASSWORD  1234",
        "123password123",
        "unbelievable",
        "Elephant2024!",
        "iloveyou1234!!",
        "Sunsh1ne!!!!",
        "123456789012",
        "qwertyuiopas",
        "poiuytrewqlk",
        "aaaaaaaaaaaa",
        "abababababab",
        "abcabcabcabc",
        "abcdefghijkl",
        "Robin.Wood.1999",
        "robin.wood@example.com",
        "meridianair2026",
        "M3ridian-A1r!!",
        "elevenchars",
        "",
    ],
)
def test_what_is_guessed_first_will_not_do(guessed: str) -> None:
    assert passwords.objection(guessed, WORDS)


@pytest.mark.parametrize(
    "thought_of",
    [
        "a quiet blue morning",
        "correct horse battery",
        "Fly-the-demo-1",
        "wQ7#kz!pLr2v",
        "robin sings at the wide river",
        "каждый охотник желает",
        "富士山に登りたいのですが",
        "zwölf kleine Segelboote",
    ],
)
def test_what_somebody_thought_of_will_do(thought_of: str) -> None:
    assert passwords.objection(thought_of, WORDS) is None


@given(
    st.lists(
        st.sampled_from(["river", "lamp", "seven", "cloud", "window", "apple", "thursday", "copper"]),
        min_size=4,
        max_size=9,
    )
)
def test_four_different_words_always_do(chosen: list[str]) -> None:
    if len(set(chosen)) >= 4 and len(" ".join(chosen)) <= passwords.AT_MOST:
        assert passwords.objection(" ".join(chosen), WORDS) is None


@given(st.integers(0, len(ROW) - 4), st.integers(12, 40))
def test_a_walk_along_the_keyboard_never_does(start: int, length: int) -> None:
    assert passwords.objection((ROW[start:] + ROW * 3)[:length])


@given(st.text(min_size=1, max_size=40))
def test_spelling_does_not_change_what_is_found(text: str) -> None:
    assert passwords.is_common(text) == passwords.is_common(text.casefold())
    assert passwords.objection(text) == passwords.objection(text)


@given(st.text(max_size=200))
def test_any_text_gets_an_answer_and_what_fits_is_the_same_password(text: str) -> None:
    assert passwords.objection(text, [text]) is not None or len(text) >= passwords.AT_LEAST


def test_the_list_is_long_sorted_small_and_only_read_when_asked() -> None:
    marks = passwords.COMMON.read_bytes()
    kept = [marks[at : at + passwords.MARK_BYTES] for at in range(0, len(marks), passwords.MARK_BYTES)]
    assert len(kept) > 50_000
    assert kept == sorted(set(kept))
    assert len(marks) < 1_000_000
    assert b"password" not in marks


def test_a_hash_fits_only_its_password() -> None:
    kept = passwords.kept("caf\u00e9 in the morning")
    assert kept.startswith("$argon2id$")
    assert passwords.fits(kept, "cafe\u0301 in the morning")
    assert not passwords.fits(kept, "cafe in the morning")
    assert not passwords.fits(passwords.nobodys(), "anything")
    assert not passwords.fits("not a hash", "anything")
