"""Importing a timetable: every bad row is named, all or nothing, twice changes nothing, nights with odd clocks."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Row, text

from portal import cli
from portal.flights import service
from portal.flights.errors import TimetableRefused
from portal.flights.forms import COLUMNS, timetable_rows
from portal.flights.queries import flights_by_id
from portal.flights.service import SeatWish
from portal.flights.timetable import Counts
from portal.kit import db
from portal.kit.settings import Settings

GOOD = "ME,101,JFK,LAX,2027-03-01T08:00,2027-03-01T11:15,A320,175.00,USD"


def keep(rows: Sequence[str], *, dry_run: bool = False, header: str = ",".join(COLUMNS)) -> Counts:
    with db.writing() as session:
        lines = timetable_rows(io.StringIO("\n".join([header, *rows]), newline=""))
        return service.import_timetable(
            session, lines, bad_row=lambda line, reason: said.append((line, reason)), progress=quiet, dry_run=dry_run
        )


said: list[tuple[int, str]] = []


def quiet(doing: str, rows: int) -> None:
    """Progress is for people."""


@pytest.fixture(autouse=True)
def silence() -> None:
    said.clear()


def rows_of(sql: str, **values: object) -> Sequence[Row[tuple[object, ...]]]:
    with db.reading() as session:
        return session.execute(text(sql), values).all()


def row(**changed: str) -> str:
    cells = dict(zip(COLUMNS, GOOD.split(","), strict=True)) | changed
    return ",".join(cells.values())


BAD = {
    row(origin="XXX"): "unknown airport 'XXX'",
    row(destination="jfk"): "unknown airport 'jfk'",
    row(aircraft="C172"): "unknown aircraft 'C172'",
    row(destination="JFK"): "origin and destination are the same: JFK",
    row(
        departure_local="2027-03-01 08:00"
    ): "bad departure time '2027-03-01 08:00': such as 2027-03-28T23:55 is wanted",
    row(arrival_local="2027-02-30T08:00"): "bad arrival time '2027-02-30T08:00': such as 2027-03-28T23:55 is wanted",
    row(departure_local="2027-03-01T08:00+01:00"): "bad departure time '2027-03-01T08:00+01:00': such as "
    "2027-03-28T23:55 is wanted",
    row(departure_local="0001-01-01T00:00"): "departure year 1 is out of range: 1990 to 2100",
    row(departure_local="2027-03-14T02:30", arrival_local="2027-03-14T06:00"): "2027-03-14T02:30 does not exist at "
    "JFK: clocks go forward that night",
    row(departure_local="2027-03-13T23:30", arrival_local="2027-03-14T02:10"): "2027-03-14T02:10 does not exist at "
    "LAX: clocks go forward that night",
    row(arrival_local="2027-03-01T04:00"): "arrival 2027-03-01T04:00 is not after departure 2027-03-01T08:00",
    row(arrival_local="2027-03-02T01:30"): "20 h 30 min in the air: more than 20 h",
    row(fare="free"): "bad fare 'free': a positive amount such as 175.00 is wanted",
    row(fare="-5"): "bad fare '-5': a positive amount such as 175.00 is wanted",
    row(fare="0"): "fare 0 is out of range",
    row(fare="1.999"): "'1.999' has more digits than USD knows",
    row(fare="NaN"): "bad fare 'NaN': a positive amount such as 175.00 is wanted",
    row(currency="XYZ"): "unknown currency 'XYZ'",
    row(fare="100.50", currency="JPY"): "'100.50' has more digits than JPY knows",
    row(number="0"): "flight number 0 is out of range: 1 to 9999",
    row(number="12345"): "flight number 12345 is out of range: 1 to 9999",
    row(number="1a"): "bad flight number '1a': a whole number is wanted",
    row(carrier="M"): "bad carrier code 'M': it has two characters, A–Z or 0–9",
    row(carrier="12"): "bad carrier code '12': it has two characters, A–Z or 0–9",
    row(carrier="<b"): "bad carrier code '<b': it has two characters, A–Z or 0–9",
    "ME,101,JFK": "3 columns instead of 9",
    GOOD + ",more": "10 columns instead of 9",
}


def test_every_bad_row_is_named_with_its_line_and_reason(settings: Settings) -> None:
    with pytest.raises(TimetableRefused) as no:
        keep([*BAD, row(number="7")])
    assert said == [(line, reason) for line, reason in enumerate(BAD.values(), 2)]
    assert str(no.value) == f"{len(BAD)} bad rows; nothing was imported."


def test_a_row_with_several_faults_names_them_all(settings: Settings) -> None:
    with pytest.raises(TimetableRefused):
        keep([row(carrier="?", number="x", origin="QQQ", aircraft="", fare="", currency="")])
    assert [line for line, _ in said] == [2] * 6


def test_one_bad_row_keeps_all_others_out(settings: Settings) -> None:
    with pytest.raises(TimetableRefused):
        keep([row(number=str(number)) for number in range(1, 50)] + [row(fare="x")])
    assert rows_of("select 1 from flights") == []


def test_the_same_flight_twice_in_a_file_is_refused(settings: Settings) -> None:
    with pytest.raises(TimetableRefused):
        keep([GOOD, row(number="102"), row(fare="99"), row(carrier="PA")])
    assert said == [(4, "the same flight as in line 2")]


@pytest.mark.parametrize("header", ["", "carrier,number", ",".join(COLUMNS) + ",more", GOOD])
def test_a_file_without_the_header_is_refused(settings: Settings, header: str) -> None:
    with pytest.raises(TimetableRefused, match="first line must name"):
        keep([GOOD], header=header)


def test_columns_may_come_in_any_order(settings: Settings) -> None:
    assert keep([",".join(reversed(GOOD.split(",")))], header=",".join(reversed(COLUMNS))) == Counts(1, 0, 0)


def test_the_same_file_twice_changes_nothing(settings: Settings) -> None:
    file = [row(number=str(number)) for number in range(1, 20)]
    assert keep(file) == Counts(19, 0, 0)
    before = rows_of("select f.*, c.* from flights f join flight_cabins c on c.flight_id = f.id order by f.id, c.cabin")
    assert keep(file) == Counts(0, 0, 19)
    after = rows_of("select f.*, c.* from flights f join flight_cabins c on c.flight_id = f.id order by f.id, c.cabin")
    assert before == after


def test_a_flight_is_kept_as_it_was_written(settings: Settings) -> None:
    keep([GOOD])
    (kept,) = rows_of("select * from flights")
    with db.reading() as session:
        view = flights_by_id(session, [kept.id])[kept.id]
    assert (view.designator, view.origin.code, view.destination.code) == ("ME101", "JFK", "LAX")
    assert view.departure.isoformat() == "2027-03-01T08:00:00-05:00"
    assert view.arrival.isoformat() == "2027-03-01T11:15:00-08:00"
    assert view.duration_minutes == 375
    assert (kept.fare_minor, kept.currency, kept.distance_km) == (17_500, "USD", 3974)
    cabins = rows_of("select cabin, capacity, sold, held from flight_cabins order by cabin")
    assert [tuple(cabin) for cabin in cabins] == [("business", 12, 0, 0), ("economy", 150, 0, 0)]


def test_an_unsold_flight_is_changed_and_refitted(settings: Settings) -> None:
    keep([GOOD])
    assert keep([row(aircraft="E190", arrival_local="2027-03-01T11:30", fare="180")]) == Counts(0, 1, 0)
    (kept,) = rows_of("select aircraft, arrival_local::text, fare_minor from flights")
    assert tuple(kept) == ("E190", "2027-03-01 11:30:00", 18_000)
    assert {cabin.capacity for cabin in rows_of("select capacity from flight_cabins")} == {9, 88}


def test_a_sold_flight_keeps_its_times_but_not_its_fare(settings: Settings) -> None:
    keep([GOOD])
    (flight,) = rows_of("select id from flights")
    with db.writing() as session:
        wishes = [SeatWish(flight.id, "economy", 1)]
        service.take_seats(session, holder=uuid4(), wishes=wishes, minutes=15)
    with pytest.raises(TimetableRefused):
        keep([row(arrival_local="2027-03-01T11:30")])
    assert [line for line, _ in said] == [2]
    assert "held or sold" in said[0][1]
    assert keep([row(fare="200")]) == Counts(0, 1, 0)


def test_a_dry_run_counts_and_keeps_nothing(settings: Settings) -> None:
    assert keep([GOOD], dry_run=True) == Counts(1, 0, 0)
    assert rows_of("select 1 from flights") == []


def test_two_imports_at_once_wait_for_each_other(settings: Settings) -> None:
    file = [row(number=str(number)) for number in range(1, 300)]
    with ThreadPoolExecutor(3) as both:
        counts = list(both.map(lambda _: keep(file), range(3)))
    assert sorted(count.added for count in counts) == [0, 0, 299]
    assert sum(count.unchanged for count in counts) == 598


def test_unknown_airlines_are_made_with_prefixes_of_their_own(settings: Settings) -> None:
    keep([row(carrier=code) for code in ("AA", "ZZ", "Z9", "9Z", "WN")])
    made = {kept.code: kept for kept in rows_of("select * from carriers")}
    assert (made["AA"].name, made["AA"].ticket_prefix) == ("American Airlines", "001")
    assert made["ZZ"].name == "Airline ZZ"
    assert len({kept.ticket_prefix for kept in made.values()}) == len(made)


def test_only_airports_with_departures_are_served(settings: Settings) -> None:
    keep([GOOD])
    assert [kept.code for kept in rows_of("select code from airports where served")] == ["JFK"]


def test_the_night_when_clocks_go_forward_is_an_hour_shorter(settings: Settings) -> None:
    keep([row(departure_local="2027-03-14T00:30", arrival_local="2027-03-14T05:30", destination="ORD")])
    (kept,) = rows_of("select id from flights")
    with db.reading() as session:
        assert flights_by_id(session, [kept.id])[kept.id].duration_minutes == 300
    keep(
        [
            row(
                number="2",
                origin="LHR",
                departure_local="2027-03-27T23:30",
                arrival_local="2027-03-28T03:00",
                destination="MUC",
            )
        ]
    )
    (late,) = rows_of("select id from flights where number = 2")
    with db.reading() as session:
        assert flights_by_id(session, [late.id])[late.id].duration_minutes == 90


def test_in_the_night_when_clocks_go_back_an_arrival_may_be_the_second(settings: Settings) -> None:
    keep(
        [
            row(departure_local="2027-11-07T01:50", arrival_local="2027-11-07T01:20", destination="ORD"),
            row(number="2", departure_local="2027-11-07T00:50", arrival_local="2027-11-07T01:20", destination="ORD"),
        ]
    )
    with db.reading() as session:
        ids = [kept.id for kept in rows_of("select id from flights order by number desc")]
        minutes = [flights_by_id(session, ids)[key].duration_minutes for key in ids]
    assert minutes == [30, 90] or minutes == [90, 30]


def test_the_date_line_is_crossed_both_ways(settings: Settings) -> None:
    keep(
        [
            row(origin="NRT", departure_local="2027-03-02T17:00", arrival_local="2027-03-02T10:00"),
            row(origin="LAX", destination="NRT", departure_local="2027-03-01T12:00", arrival_local="2027-03-02T16:30"),
        ]
    )
    with db.reading() as session:
        ids = [kept.id for kept in rows_of("select id from flights order by origin desc")]
        east, west = (flights_by_id(session, ids)[key] for key in ids)
    assert (east.duration_minutes, east.day_shift) == (600, 0)
    assert (west.duration_minutes, west.day_shift) == (690, 1)


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setenv("PORTAL_DATABASE_URL", settings.database_url)
    code = cli.main(["schedule", "import", *words])
    db.connect(settings)
    return code


def test_the_command_reports_and_refuses(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("\n".join([",".join(COLUMNS), GOOD, row(origin="QQQ")]))
    assert run(settings, monkeypatch, str(file)) == 1
    printed = capsys.readouterr()
    assert "line 3: unknown airport 'QQQ'" in printed.out
    assert "1 bad row; nothing was imported." in printed.err
    assert rows_of("select 1 from flights") == []


def test_the_command_reads_gzip_and_a_byte_order_mark(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "good.csv.gz"
    file.write_bytes(gzip.compress(("\ufeff" + "\r\n".join([",".join(COLUMNS), GOOD, ""])).encode()))
    assert run(settings, monkeypatch, str(file), "--dry-run") == 0
    assert "Would be: 1 added" in capsys.readouterr().out
    assert rows_of("select 1 from flights") == []
    assert run(settings, monkeypatch, str(file)) == 0
    assert len(rows_of("select 1 from flights")) == 1


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8bbroken", gzip.compress(b"carrier,number\n" * 9999)[:60], b"\xff\xfe\x00"]
)
def test_a_broken_file_is_one_sentence(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
) -> None:
    file = tmp_path / "broken.csv"
    file.write_bytes(content)
    assert run(settings, monkeypatch, str(file)) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert run(settings, monkeypatch, str(tmp_path / "missing.csv")) == 1
