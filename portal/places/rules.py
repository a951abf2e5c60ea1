"""Pure rules of places: how names are folded for matching."""

from __future__ import annotations

import unicodedata

# Letters that Unicode does not decompose into a base letter and an accent.
UNDECOMPOSED = str.maketrans(
    {"ß": "ss", "ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ı": "i"}
)
LONGEST = 80


def plain(text: str) -> str:
    """Return `text` as autocomplete compares it: lower case, no accents, single blanks, at most 80 characters.

    Whatever is no letter or digit becomes a blank, except an apostrophe, which vanishes (`O'Hare` is `ohare`).
    """
    folded = unicodedata.normalize("NFKD", text[: 4 * LONGEST].lower().translate(UNDECOMPOSED).replace("'", ""))
    letters = (c if c.isalnum() else " " for c in folded if not unicodedata.combining(c))
    return " ".join("".join(letters).split())[:LONGEST]
