"""Figures as files: CSV, XLSX and JSON, written piece by piece, so that memory stays flat however many rows there are.

Every file says what it holds (its filters), has a header, and ends in a sum for each currency. Money is a real number
in XLSX and a decimal text elsewhere; no cell can be taken for a formula.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any, Protocol

import xlsxwriter

from portal.analytics.rules import safe_cell
from portal.kit.money import Money, decimal_text, digits

PIECE_BYTES = 256 * 1024
ROWS_A_STEP = 500
Cell = str | int | date | datetime | Money | None
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Some way on: rows written so far, and the next piece of the file where one is full."""

    rows: int
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Table:
    """What a file is made of: its name, its columns as (key, title), and its filters in words."""

    name: str
    columns: Sequence[tuple[str, str]]
    filters: Mapping[str, str]


class Sheet(Protocol):
    """A file being written; `take` hands over what is written so far, if it is enough for a piece or all."""

    def row(self, cells: Sequence[Cell]) -> None:
        """Write a row."""

    def sums(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write the sums under all rows, and close the file."""

    def take(self, *, all_of_it: bool = False) -> bytes:
        """Return what may be handed over; nothing when it is too little yet."""


def write(sheet: Sheet, rows: Iterable[Sequence[Cell]], sums: Iterable[Sequence[Cell]]) -> Iterator[Step]:
    """Write rows and then sums, which are asked for last; yields how far it is, and the file piece by piece."""
    done = 0
    for cells in rows:
        sheet.row(cells)
        done += 1
        if done % ROWS_A_STEP == 0:
            yield Step(done, sheet.take())
    sheet.sums(sums)
    while piece := sheet.take(all_of_it=True):
        yield Step(done, piece)


def sheet_for(format_: str, table: Table, folder: Path) -> Sheet:
    """Return an empty file of the format; what must lie on disk lies in `folder`."""
    kinds: dict[str, Any] = {"csv": CsvSheet, "json": JsonSheet}
    return XlsxSheet(table, folder / "export.xlsx") if format_ == "xlsx" else kinds[format_](table)


class _Pieces:
    """Text that is handed over in pieces."""

    def __init__(self) -> None:
        self.buffer = io.StringIO()

    def take(self, *, all_of_it: bool = False) -> bytes:
        """Return what may be handed over."""
        if not all_of_it and self.buffer.tell() < PIECE_BYTES:
            return b""
        text = self.buffer.getvalue()
        self.buffer.seek(0)
        self.buffer.truncate()
        return text.encode()


class CsvSheet(_Pieces):
    """RFC 4180 in UTF-8: a header, the rows, the sums, and the filters in the last line."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table
        self.writer = csv.writer(self.buffer)
        self.writer.writerow([title for _, title in table.columns])

    def row(self, cells: Sequence[Cell]) -> None:
        """Write a row."""
        self.writer.writerow([_plain(cell) for cell in cells])

    def sums(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write the sums and the filters."""
        for cells in rows:
            self.row(cells)
        self.writer.writerow([safe_cell(_told(self.table.filters))])


def _plain(cell: Cell) -> str:
    if isinstance(cell, str):
        return safe_cell(cell)
    return "" if cell is None else str(_json(cell, whole=False))


def _told(filters: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in filters.items())


def _json(cell: Cell, *, whole: bool = True) -> Any:
    if isinstance(cell, Money):
        return cell.wire() if whole else decimal_text(cell.minor, cell.currency)
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return cell.isoformat() if isinstance(cell, date) else cell


class JsonSheet(_Pieces):
    """One object: `report`, `filters`, `rows` and `totals`."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.keys = [key for key, _ in table.columns]
        self.between = ""
        begun = json.dumps({"report": table.name, "filters": dict(table.filters)}, ensure_ascii=False)
        self.buffer.write(begun[:-1] + ', "rows": [')

    def row(self, cells: Sequence[Cell]) -> None:
        """Write a row."""
        values = {key: _json(cell) for key, cell in zip(self.keys, cells, strict=True)}
        self.buffer.write(f"{self.between}\n{json.dumps(values, ensure_ascii=False)}")
        self.between = ","

    def sums(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write the sums."""
        self.buffer.write('\n], "totals": [')
        self.between = ""
        for cells in rows:
            self.row(cells)
        self.buffer.write("\n]}\n")


class XlsxSheet:
    """A workbook: the rows with their sums on one sheet, what they are about on another. Written row by row to disk."""

    def __init__(self, table: Table, path: Path) -> None:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        self.book = xlsxwriter.Workbook(str(path), {**options, "tmpdir": str(path.parent)})
        self.table, self.path, self.next, self.bold = table, path, 1, False
        self.file: IO[bytes] | None = None
        self.formats: dict[tuple[str, bool], Any] = {}
        self.sheet = self.book.add_worksheet(table.name)
        self.sheet.freeze_panes(1, 0)
        for at, (_, title) in enumerate(table.columns):
            self.sheet.set_column(at, at, max(12, len(title) + 2))
            self.sheet.write_string(0, at, title, self._format("General", bold=True))

    def row(self, cells: Sequence[Cell]) -> None:
        """Write a row."""
        for at, cell in enumerate(cells):
            self._write(at, cell)
        self.next += 1

    def _write(self, at: int, cell: Cell) -> None:
        if isinstance(cell, str):
            self.sheet.write_string(self.next, at, cell, self._format("General"))
        elif isinstance(cell, Money):
            places = digits(cell.currency)
            shape = "#,##0" + ("." + "0" * places if places else "")
            self.sheet.write_number(self.next, at, float(decimal_text(*_parts(cell))), self._format(shape))
        elif isinstance(cell, datetime):
            local = cell.astimezone(UTC).replace(tzinfo=None)
            self.sheet.write_datetime(self.next, at, local, self._format("yyyy-mm-dd hh:mm"))
        elif isinstance(cell, date):
            self.sheet.write_datetime(self.next, at, cell, self._format("yyyy-mm-dd"))
        elif cell is not None:
            self.sheet.write_number(self.next, at, cell, self._format("#,##0"))

    def sums(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Write the sums and the sheet that says what this is, and close the workbook."""
        self.bold = True
        for cells in rows:
            self.row(cells)
        self.sheet.autofilter(0, 0, max(1, self.next - 1), len(self.table.columns) - 1)
        about = self.book.add_worksheet("About")
        about.set_column(0, 1, 24)
        for at, (name, value) in enumerate(self.table.filters.items()):
            about.write_string(at, 0, name)
            about.write_string(at, 1, value)
        self.book.close()

    def _format(self, shape: str, *, bold: bool = False) -> Any:
        key = (shape, bold or self.bold)
        if key not in self.formats:
            self.formats[key] = self.book.add_format({"num_format": shape, "bold": key[1]})
        return self.formats[key]

    def take(self, *, all_of_it: bool = False) -> bytes:
        """Return the next piece of the closed workbook; nothing before that."""
        if not all_of_it:
            return b""
        if self.file is None:
            self.file = self.path.open("rb")
        piece: bytes = self.file.read(PIECE_BYTES)
        if not piece:
            self.file.close()
        return piece


def _parts(money: Money) -> tuple[int, str]:
    return money.minor, money.currency
