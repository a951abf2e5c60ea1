"""Passwords: how they are kept, and which will not do. Nothing here remembers one.

What will not do follows NIST SP 800-63B, 5.1.1.2: too short, known from breaches and dictionaries, repetitive or
sequential, or made of words that anybody would guess first. There are no rules about capitals, figures or signs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.kit import ids
from portal.kit.i18n import gettext as _

# OWASP's recommended minimum for Argon2id: 19 MiB, two passes, one lane.
hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

AT_LEAST, AT_MOST = 12, 128
# What hangs on a common word, such as 2026 or !!, must be longer than this to count as a thought of one's own.
SHORT_TAIL = 8
COMMON = Path(__file__).with_name("common_passwords.bin")
MARK_BYTES = 5
# Characters that stand for each other in passwords, folded into one: 1, l, i and ! look alike, and so on.
ALIKE = str.maketrans("013456789@$!|+l", "oieasgtbgasiiti")
ROWS = ("1234567890" * 2, "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "abcdefghijklmnopqrstuvwxyz")
WALKS = tuple(way for row in ROWS for way in (row, row[::-1]))


def normal(password: str) -> str:
    """Return `password` in the one spelling that is hashed, whichever keyboard typed it (NFKC, NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def kept(password: str) -> str:
    """Return the Argon2id hash that is kept of `password`."""
    return hasher.hash(normal(password))


def fits(hashed: str, password: str) -> bool:
    """True when `hashed` was made of `password`; as much work for a wrong one as for the right one."""
    try:
        return hasher.verify(hashed, normal(password))
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def nobodys() -> str:
    """Return a hash that fits nothing, to be compared with where there is no account: that takes as long."""
    return kept(ids.secret())


def objection(password: str, words: Iterable[str] = ()) -> str | None:
    """Return why `password` will not do, in a sentence, or None. `words` are guessed first: names, addresses, ours."""
    if len(password) < AT_LEAST:
        return _("Please use at least %(least)d characters.") % {"least": AT_LEAST}
    if len(password) > AT_MOST:
        return _("Please use at most %(most)d characters.") % {"most": AT_MOST}
    if _is_repetition(password) or _is_walk(password):
        return _("This repeats itself or follows the keyboard. Please use words of your own.")
    if _leans_on(password, words):
        return _("This is mostly your name, your e-mail address or our name. Please use something else.")
    if is_common(password):
        return _("This is one of the passwords that are tried first. Please use several words of your own.")
    return None


def is_common(password: str) -> bool:
    """True when it, or what is left of it without figures and signs at its ends, stands on the list of common ones."""
    letters = "".join(one if one.isalpha() else " " for one in password)
    core = password[len(letters) - len(letters.lstrip()) : len(letters.rstrip())]
    short = len(password) - len(core) <= SHORT_TAIL
    return _listed(folded(password)) or (short and len(core) >= 4 and _listed(folded(core)))


def folded(text: str) -> str:
    """Return `text` without case, accents, blanks and look-alike characters: `P@ssw0rd` is `password`, folded."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in plain if not unicodedata.combining(one) and not one.isspace()).translate(ALIKE)


def mark(text: str) -> bytes:
    """Return what the list keeps of a folded word: the beginning of its SHA-256."""
    return sha256(text.encode()).digest()[:MARK_BYTES]


def _listed(word: str) -> bool:
    """Search the sorted marks by halving."""
    marks, sought = _marks(), mark(word)
    low, high = 0, len(marks) // MARK_BYTES
    while low < high:
        middle = (low + high) // 2
        if marks[middle * MARK_BYTES : (middle + 1) * MARK_BYTES] < sought:
            low = middle + 1
        else:
            high = middle
    return marks[low * MARK_BYTES : (low + 1) * MARK_BYTES] == sought


@lru_cache(maxsize=1)
def _marks() -> bytes:
    return COMMON.read_bytes()


def _is_repetition(password: str) -> bool:
    text = password.casefold()
    return len(set(text)) <= 3 or any(
        text == (text[:unit] * len(text))[: len(text)] for unit in range(1, len(text) // 2 + 1)
    )


def _is_walk(password: str) -> bool:
    """True when a few runs along the keyboard, the alphabet or the figures make up all of it."""
    return len(list(_runs(password.casefold()))) <= len(password) // 4


def _runs(text: str) -> Iterator[str]:
    while text:
        longest = next((n for n in range(len(text), 1, -1) if any(text[:n] in way for way in WALKS)), 1)
        yield text[:longest]
        text = text[longest:]


def _leans_on(password: str, words: Iterable[str]) -> bool:
    """True when little of one's own is left once the words are taken out."""
    whole = left = folded(password)
    for word in sorted(_parts(words), key=len, reverse=True):
        left = left.replace(word, "")
    return left != whole and sum(one.isalnum() for one in left) < AT_LEAST // 2


def _parts(words: Iterable[str]) -> set[str]:
    pieces = {piece for word in words for piece in (word, *_split(word))}
    return {folded(piece) for piece in pieces if len(piece) >= 3}


def _split(word: str) -> list[str]:
    return "".join(one if one.isalnum() else " " for one in word).split()
