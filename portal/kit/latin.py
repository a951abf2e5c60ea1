"""Names in the letters A–Z, as machine-readable travel documents write them (ICAO Doc 9303, part 3, section 6).

Latin, Cyrillic (Russian, Ukrainian, Belarusian, Bulgarian, Serbian, Macedonian letters) and Greek (ELOT 743) are known.
Other scripts are not guessed at: the traveller is asked for the spelling in the passport's machine-readable lines.
"""

from __future__ import annotations

import re
import unicodedata

# Letters whose base letter would be wrong or missing after taking the accent off (ICAO 9303-3, table A).
LATIN = {
    **{
        "Ä": "AE",
        "Å": "AA",
        "Æ": "AE",
        "Ð": "D",
        "Đ": "D",
        "Ħ": "H",
        "ı": "I",
        "Ĳ": "IJ",
        "ĸ": "Q",
        "Ł": "L",
        "Ŋ": "N",
    },
    **{"Ö": "OE", "Ø": "OE", "Œ": "OE", "ẞ": "SS", "ß": "SS", "Ŧ": "T", "Ü": "UE", "Þ": "TH", "Ə": "E", "Ɓ": "B"},
    **{"Ɗ": "D", "Ƙ": "K", "Ɛ": "E", "Ɔ": "O", "ʻ": "", "ʼ": "", "ʿ": "", "ʾ": ""},
}
# Each word is a letter and its spelling. ICAO 9303-3, table B; then ELOT 743.
CYRILLIC = """
    АA БB ВV ГG ДD ЕE ЁE ЖZH ЗZ ИI ЙI КK ЛL МM НN ОO ПP РR СS ТT УU ФF ХKH ЦTS ЧCH ШSH ЩSHCH ЪIE ЫY Ь ЭE ЮIU ЯIA
    ІI ЇI ЄIE ҐG ЎU ЂD ЃG ЅDZ ЈJ ЉLJ ЊNJ ЋC ЌK ЏDZ
"""
GREEK = "ΑA ΒV ΓG ΔD ΕE ΖZ ΗI ΘTH ΙI ΚK ΛL ΜM ΝN ΞX ΟO ΠP ΡR ΣS ΤT ΥY ΦF ΧCH ΨPS ΩO"
# ELOT 743: some pairs are one sound. αυ, ευ, ηυ end in f before a voiceless consonant, in v otherwise.
GREEK_PAIRS = (
    (re.compile("ΟΥ"), "OU"),
    (re.compile("([ΑΕΗ])Υ(?=[ΘΚΞΠΣΤΦΧΨ]|$|\\b)"), r"\1F"),
    (re.compile("([ΑΕΗ])Υ"), r"\1V"),
    (re.compile("Γ(?=[ΓΞΧ])"), "N"),
    (re.compile(r"\bΜΠ"), "B"),
)
TABLE = {**LATIN, **{word[0]: word[1:] for word in f"{CYRILLIC} {GREEK}".split()}}
SEPARATORS = re.compile(r"[\s\-‐‑–]+")
SILENT = re.compile(r"[.,'’‘`´ʹʺ·]")


def passport_letters(name: str) -> str | None:
    """Return `name` in A–Z with single blanks between its parts, or None where a letter's spelling is not known."""
    words = unicodedata.normalize("NFC", name).replace("ß", "SS").replace("ŉ", "N").upper()
    words = _greek(SILENT.sub("", SEPARATORS.sub(" ", words)))
    spelt = "".join(_letter(letter) for letter in words)
    spelt = " ".join(spelt.split())
    return spelt if re.fullmatch("[A-Z]+(?: [A-Z]+)*", spelt) else None


def _greek(words: str) -> str:
    if not re.search("[\u0370-\u03ff\u1f00-\u1fff]", words):
        return words
    apart = re.sub("(?<=[ΑΕΟ])Υ(?=\u0308)", "_", unicodedata.normalize("NFD", words))
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    for pair, letters in GREEK_PAIRS:
        plain = pair.sub(letters, plain)
    return plain.replace("_", "Y")


def _letter(letter: str) -> str:
    if letter in TABLE:
        return TABLE[letter]
    base = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    return "".join(TABLE.get(part, part) for part in base)
