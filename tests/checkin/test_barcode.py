"""The bar code: IATA's published examples to the letter, fixed places, ASCII only, and what scanners read back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st

from portal.checkin import barcode
from portal.checkin.barcode import Leg, Repeated, Unique, decode, encode, short_name

PLAIN = "M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 326J001A0025 100"
SIGNATURE = "GIWVC5EH7JNT684FVNJ91W2QA4DVN5J8K4F0L0GEQ3DF5TGBN8709HKT5D3DW3GBHFCVHMY7J5T6HFR41W2QA4DVN5J8K4F0L0GE"
WHOLE = (
    "M2DESMARAIS/LUC       EABC123 YULFRAAC 0834 226F001A0025 14D>6181WW6225BAC 00141234560032A0141234567890 1AC AC "
    "1234567890123    20KYLX58ZDEF456 FRAGVALH 3664 227C012C0002 12E2A0140987654321 1AC AC 1234567890123    2PCNWQ"
    f"^164{SIGNATURE}"
)
LUC = "DESMARAIS/LUC"
FIRST = Leg("ABC123", "YUL", "FRA", "AC", 834, date(2026, 11, 22), "J", "1A", 25)
CODES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
NAMES = st.from_regex(r"[A-Z]{1,30}( [A-Z]{1,12})?(/[A-Z]{1,25}( [A-Z]{1,12})?)?", fullmatch=True)
LEGS = st.builds(
    Leg,
    reference=st.text("23456789ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=6, max_size=6),
    origin=CODES,
    destination=CODES,
    carrier=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=2, max_size=2),
    number=st.integers(1, 9999),
    day=st.dates(date(2020, 1, 1), date(2040, 12, 31)),
    compartment=st.sampled_from("FCWY"),
    seat=st.one_of(st.just("INF"), st.from_regex(r"[1-9][0-9]?[A-K]", fullmatch=True)),
    sequence=st.integers(1, 9999),
    repeated=st.one_of(
        st.none(),
        st.builds(Repeated, airline_number=st.just("999"), document_serial=st.from_regex("[0-9]{10}", fullmatch=True)),
    ),
)


def take(text: str, *widths: int) -> list[str]:
    """Cut `text` into pieces of these widths, and the rest."""
    pieces = []
    for width in widths:
        pieces.append(text[:width])
        text = text[width:]
    return [*pieces, text]


def read(text: str) -> tuple[str, list[dict[str, str]]]:
    """Read a bar code by the table of Resolution 792, attachment A: written apart from the portal's own reader."""
    form, count, name, ticket, rest = take(text, 1, 1, 20, 1)
    assert (form, ticket) == ("M", "E")
    legs = []
    for _leg in range(int(count)):
        cells = take(rest, 7, 3, 3, 3, 5, 3, 1, 4, 5, 1, 2)
        size = int(cells[10], 16)
        conditional, rest = cells[11][:size], cells[11][size:]
        assert len(conditional) == size
        keys = ("pnr", "from", "to", "carrier", "flight", "day", "compartment", "seat", "sequence", "status")
        legs.append({**dict(zip(keys, cells[:10], strict=True)), "conditional": conditional})
    assert rest == "" or rest[0] == "^"
    return name, legs


def test_the_published_example_of_one_flight() -> None:
    assert encode(LUC, [FIRST]) == PLAIN
    assert len(PLAIN) == 60


def test_the_published_example_of_two_flights_with_everything() -> None:
    there = Repeated("014", "1234567890", "", "1", "AC", "AC", "1234567890123", "", "20K", "Y", "LX58Z")
    on = Repeated("014", "0987654321", "", "1", "AC", "AC", "1234567890123", "", "2PC", "N", "WQ")
    legs = [
        replace(FIRST, day=date(2016, 8, 13), compartment="F", repeated=there),
        Leg("DEF456", "FRA", "GVA", "LH", 3664, date(2015, 8, 15), "C", "12C", 2, repeated=on),
    ]
    unique = Unique("1", "W", "W", date(2016, 8, 12), "AC", bag_tags=("0014123456003",))
    assert encode(LUC, legs, unique=unique, security=SIGNATURE) == WHOLE


def test_our_own_reader_finds_the_flights_of_the_examples() -> None:
    assert [(one.carrier, one.number, one.seat, one.sequence) for one in decode(PLAIN)] == [("AC", 834, "1A", 25)]
    assert [(one.carrier, one.number, one.seat, one.sequence) for one in decode(WHOLE)] == [
        ("AC", 834, "1A", 25),
        ("LH", 3664, "12C", 2),
    ]


@given(NAMES, st.lists(LEGS, min_size=1, max_size=4))
def test_every_item_stands_in_its_place_and_is_read_back(name: str, legs: list[Leg]) -> None:
    text = encode(name, legs, unique=Unique("0", "W", "W", date(2026, 11, 23), "ME"))
    assert text.isascii()
    assert text.isprintable()
    printed, found = read(text)
    assert printed == short_name(name).ljust(20)
    assert len(found) == len(legs)
    for leg, seen in zip(legs, found, strict=True):
        assert (seen["pnr"].strip(), seen["from"], seen["to"]) == (leg.reference, leg.origin, leg.destination)
        assert (seen["carrier"].strip(), int(seen["flight"])) == (leg.carrier, leg.number)
        assert date(leg.day.year, 1, 1).toordinal() + int(seen["day"]) - 1 == leg.day.toordinal()
        assert seen["seat"].strip().lstrip("0") == leg.seat
        assert (seen["compartment"], int(seen["sequence"]), seen["status"]) == (leg.compartment, leg.sequence, "1")
        assert ("999" in seen["conditional"]) >= (leg.repeated is not None)
    assert found[0]["conditional"].startswith(">60B0WW6327BME ")
    assert [(one.carrier, one.seat, one.sequence) for one in decode(text)] == [
        (leg.carrier, leg.seat, leg.sequence) for leg in legs
    ]


@given(NAMES)
def test_a_long_name_loses_given_names_first_and_keeps_an_initial(name: str) -> None:
    cut = short_name(name)
    family, _, given_names = name.partition("/")
    assert len(cut) <= 20
    assert name.startswith(cut) or cut[:18] == family[:18]
    if given_names and len(name) > 20:
        assert cut.split("/")[1][:1] == given_names[:1]
        assert cut.split("/")[0] == family[:18]


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        (LUC, LUC),
        ("FEATHERSTONEHAUGHCHOLMONDELEY/WOLFE", "FEATHERSTONEHAUGHC/W"),
        ("HARRISON/ALEXANDRINA MARY", "HARRISON/ALEXANDRINA"),
        ("SUKARNO", "SUKARNO"),
        ("WOLFESCHLEGELSTEINHAUSEN", "WOLFESCHLEGELSTEINHA"),
    ],
)
def test_names_are_cut_by_the_rule(name: str, cut: str) -> None:
    assert short_name(name) == cut


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: encode(LUC, []),
        lambda: encode(LUC, [FIRST] * 5),
        lambda: encode("MÜLLER/ANA", [FIRST]),
        lambda: encode(LUC, [replace(FIRST, number=10_000)]),
        lambda: encode(LUC, [replace(FIRST, seat="1234A")]),
        lambda: encode(LUC, [replace(FIRST, sequence=10_000)]),
    ],
)
def test_what_no_scanner_could_read_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"wider|digits|ASCII|four"):
        wrong()  # type: ignore[operator]  # a list of functions


@pytest.mark.parametrize(
    "text", ["", "M1", "hello", PLAIN[:-5], "M3" + PLAIN[2:], "\0" * 60, "M1" + "é" * 60, "X" * 2000]
)
def test_what_is_no_boarding_pass_names_no_flight(text: str) -> None:
    assert decode(text) == []


@given(st.text(max_size=200))
def test_the_reader_survives_any_text(text: str) -> None:
    assert isinstance(decode(text), list)


@pytest.mark.parametrize(
    ("today", "number", "meant"),
    [
        (date(2026, 12, 31), 1, date(2027, 1, 1)),
        (date(2027, 1, 1), 365, date(2026, 12, 31)),
        (date(2028, 2, 29), 60, date(2028, 2, 29)),
        (date(2029, 1, 1), 366, date(2028, 12, 31)),
        (date(2026, 11, 23), 326, date(2026, 11, 22)),
    ],
)
def test_a_day_without_a_year_is_the_nearest_one(today: date, number: int, meant: date) -> None:
    assert replace(decode(PLAIN)[0], day_of_year=number).day_near(today) == meant


@pytest.mark.parametrize("kind", [barcode.AZTEC, barcode.PDF417])
@pytest.mark.parametrize("text", [PLAIN, WHOLE])
def test_a_drawing_is_what_the_reader_of_another_house_reads(kind: zxingcpp.BarcodeFormat, text: str) -> None:
    drawn = barcode.draw(text, kind)
    assert drawn.width > drawn.height if kind == barcode.PDF417 else drawn.width == drawn.height
    assert set(drawn.path) <= set("MhvZ0123456789- ")
