"""Hospital CSV files: text only, nothing guessed about a cell; what would shift or change values is refused."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from store.records import RefusedError

MISSING = frozenset(("", "na", "n/a", "nan", "null", "not collected", "not available", "missing", "."))
DELIMITERS = (",", ";", "\t")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")
FEWEST_NAMED = 4  # one column in so many that is named by a number or a date: the names are missing
MOST_BYTES = 1 << 28
_YEAR, _MONTH, _DAY = r"(19|20)\d{2}", r"(0?[1-9]|1[0-2])", r"(0?[1-9]|[12]\d|3[01])"
_MONTH_NAME = (
    r"(jan|january?|janvier|janv|jänner|januari|janeiro|enero|gennaio|feb|february?|februari|févr?|février|fevrier"
    r"|febrero|febbraio|fevereiro|mar|march|mär|märz|maerz|mrz|mars|marzo|maart|mrt|março|apr|april|aprile|avr|avril|abril"
    r"|may|mai|mayo|maggio|mei|maio|june?|juni|juin|junio|giugno|junho|july?|juli|juill?|juillet|julio|luglio|julho"
    r"|aug|august|août|aout|agosto|augustus|sept?|september|septembre|septiembre|settembre|setembro"
    r"|oct|okt|october|oktober|octobre|octubre|ottobre|outubro|nov|november|novembre|noviembre|novembro"
    r"|dec|dez|déc|december|dezember|décembre|decembre|diciembre|dicembre|dezembro)\.?"
)
_SHORT_NAME = r"(gen|mag|giu|lug|ago|sett?|ott|dic|ene|abr|fev|out|maj|marts|augusti|desember)\.?"  # words elsewhere
# 2019-03-04, 04/03/2019, 4.3.19, 20190304, 2019-03, 3/2019, 3 March 2019, 4. März 1950: a date, whatever its order
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})([T ].*)?|(19|20)\d{6}"
    rf"|{_YEAR}[-/]{_MONTH}|{_MONTH}[-/]{_YEAR}"
    rf"|\d{{1,2}}\.?[- ]?({_MONTH_NAME}|{_SHORT_NAME})[- ,]*(\d{{4}}|'?\d{{2}})",
    re.IGNORECASE,
)
MONTH_POINT_YEAR = re.compile(rf"(0[1-9]|1[0-2])\.{_YEAR}|[1-9]\.(19|20)(?!00)\d{{2}}")  # 3.1951, not 1.2000
# 4.3.19 behind a word is a version or days of treatment (syngo 4.1.10, Cis 1-8-15) but for these words and numbers
_DATE_WORD = r"(on|am|vom|seit|since|dated?|datum|born|geb|geboren|dob|née?|op|ed|died|gest)"
_SHORT_DATE = (
    rf"(?<!\d-)({_DAY}(?P<b>[-/.]){_DAY}(?P=b)(3[2-9]|[4-9]\d)"
    rf"|(0[1-9]|1[3-9]|2\d|3[01])(?P<c>[-/.]){_DAY}(?P=c)\d{{2}}"
    rf"|{_DAY}(?P<d>[-/.])(0[1-9]|1[3-9]|2\d|3[01])(?P=d)\d{{2}}"
    rf"|(?<![^\W\d_])(?<![^\W\d_] ){_DAY}(?P<e>[-/.]){_DAY}(?P=e)\d{{2}})"
    rf"|(\*|\b{_DATE_WORD}\.? ?)({_DAY}(?P<f>[-/.]){_DAY}(?P=f)\d{{2}}|{_MONTH}\.{_YEAR})"
)
_CLASSIFICATION = "".join(rf"(?<!\b{name} )" for name in ("who", "tnm", "uicc", "ajcc", "iaslc", "itmig"))
# the same inside a text; month before year, without a day, leaves out editions of classifications
DATE_WITHIN = re.compile(
    rf"(?<!\d)(?<!\d[/.])({_YEAR}(?P<a>[-/.]){_MONTH}(?P=a){_DAY}|{_YEAR}[-/]{_MONTH}"
    rf"|{_CLASSIFICATION}{_MONTH}[-/]{_YEAR}|0[1-9]\.{_YEAR}"
    rf"|{_DAY}(?P<g>[-/.]){_DAY}(?P=g){_YEAR}|{_SHORT_DATE}"
    r"|(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
    r"|(0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])(19|20)\d{2}|(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(19|20)\d{2}"
    rf"|{_DAY}(st|nd|rd|th)?[. -]*((of|de) +)?{_MONTH_NAME}[ ,-]*(de +)?({_YEAR}|'?\d{{2}})"
    rf"|\b(?!mayo\b){_MONTH_NAME}[ -]*({_DAY}(st|nd|rd|th)?[ ,]+)?{_YEAR})(?!\d)(?![/.]\d)",
    re.IGNORECASE,
)
YEARS = re.compile(r"(19|20)(?P<first>\d{2})[-/](?P<last>\d{2})")
FIRST_RANGE = 2005  # 2008-10 may be years, 1950-03 is a month
# 19500304 or 04031950, also as a spreadsheet or pandas writes it: 19500304.0, 4031950
COMPACT_DAYS = (
    re.compile(r"(?P<year>(19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})(\.0+)?"),
    re.compile(r"(?P<day>[0-9]{1,2})(?P<month>[0-9]{2})(?P<year>(19|20)[0-9]{2})(\.0+)?"),
    re.compile(r"(?P<month>[0-9]{1,2})(?P<day>[0-9]{2})(?P<year>(19|20)[0-9]{2})(\.0+)?"),
)
NAMED_DATE = re.compile(
    r"\b((birth|death|surgery|operation|op|scan|ct|visit|diagnosis|start|end|event)?dates?|\w*datum"
    r"|birth(day)?|born|geburt(stag)?|geb|dob|day of|naissance|nacimiento|nascita)\b"
)
NAMED_NUMBER = re.compile(r"\b(days|tage|jours|age|alter|since|seit|count|diff(erence)?|interval|weight|to date)\b")
SERIAL = re.compile(r"(?P<day>[0-9]{4,5})(\.0+)?")
FIRST_SERIAL, LAST_SERIAL = 7_000, 47_000  # days that a spreadsheet counts from 1900: March 1919 to September 2028
# an id such as 00123E45 or 123456789012 after a spreadsheet has turned it into a number
DAMAGED_ID = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
WIDE_TEXT = (b"\xff\xfe", b"\xfe\xff")
BLANKS = " \t\r\n\f\v"  # not the no-break space: an id that ends in one is another id to every other program


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A CSV as text: column names without stray blanks, rows of stripped cells, and each row's line in the file."""

    role: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def place(self, column: str) -> int:
        """Place of a column; RefusedError with near names where there is none."""
        if column not in self.columns:
            near = get_close_matches(column, self.columns, n=3, cutoff=0.5)
            remedy = f"Did you mean {', '.join(near)}?" if near else "Name a column of the file in study.toml."
            raise RefusedError("no_column", self.role, f"there is no column {column!r}.", remedy)
        return self.columns.index(column)

    def column(self, column: str) -> tuple[str, ...]:
        """The cells of one column in row order."""
        place = self.place(column)
        return tuple(row[place] for row in self.rows)


def read_table(path: Path, role: str) -> Table:
    """Read a .csv or .csv.gz in UTF-8, separated by comma, semicolon or tab, as text.

    RefusedError for another encoding, NUL bytes, ragged rows, an empty table, values where column names belong and
    repeated names; messages carry line numbers, never cells.
    """
    records = read_rows(path, role)
    if len(records) < 2:
        raise _refuse("empty_table", role, "the table has no rows.", "Export it again.")
    columns = records[0][1]
    _check_columns(columns, role)
    ragged = [line for line, row in records[1:] if len(row) != len(columns)]
    if ragged:
        text = f"rows with another number of cells than the header, at lines {few_lines(ragged)}."
        raise _refuse("ragged_rows", role, text, "Quote cells that hold the separator.")
    return Table(role, columns, tuple(row for _, row in records[1:]), tuple(line for line, _ in records[1:]))


def read_rows(path: Path, role: str) -> list[tuple[int, tuple[str, ...]]]:
    """Line number and stripped cells of every row that is not blank, a header among them; refuses as `read_table`."""
    text, delimiter = delimited_text(path, role)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [
            (lines.line_num, tuple(cell.strip(BLANKS) for cell in row)) for row in lines if any(c.strip() for c in row)
        ]
    except csv.Error as error:
        raise _refuse("malformed_csv", role, f"line {lines.line_num} is not valid CSV.", "Export it again.") from error


def delimited_text(path: Path, role: str) -> tuple[str, str]:
    """A table's text as it is written, and its separator; refuses as `read_table`."""
    text = _text_of(path, role)
    return text, _delimiter(text, role)


def is_missing(cell: str) -> bool:
    """Whether a cell says that a value is not there (empty, NA, Not Collected, ...)."""
    return cell.strip().lower() in MISSING


def number_in(cell: str, table: Table, row: int, column: str) -> float | None:
    """A cell as a finite number, None where missing; RefusedError for a decimal comma, text or infinity."""
    value = float_in(cell, table, row, column)
    if value is not None and math.isinf(value):
        text = f"column {column!r}, line {table.lines[row]} is infinite."
        raise _refuse("not_a_number", table.role, text, "Correct it.")
    return value


def float_in(cell: str, table: Table, row: int, column: str) -> float | None:
    """A cell as a number, which may be infinite, None where missing; RefusedError for a decimal comma or text."""
    if is_missing(cell):
        return None
    where = f"column {column!r}, line {table.lines[row]}"
    if DATE.fullmatch(cell) and not cell.isdigit():
        text = f"{where} is a date, whose order of day and month cannot be known."
        raise _refuse("date_cell", table.role, text, "Give days from time zero instead of dates.")
    if DECIMAL_COMMA.fullmatch(cell):
        raise _refuse("decimal_comma", table.role, f"{where} has a decimal comma.", "Export with a decimal point.")
    try:
        value = as_float(cell)
    except ValueError as error:
        text = f"{where} is not a number."
        raise _refuse("not_a_number", table.role, text, "Correct it, or declare the column a category.") from error
    return None if value != value else value


def as_float(cell: str) -> float:
    """A cell as a number; ValueError where it is none. Python's `float` alone would read `6_5` as 65."""
    if "_" in cell:
        raise ValueError("a number holds no underscore")
    return float(cell)


def are_days(cells: Sequence[str]) -> bool:
    """Whether every cell is a day, 1900 to 2099, written YYYYMMDD, DDMMYYYY or MMDDYYYY; False without a cell."""
    return bool(cells) and all(_is_day(cell) for cell in cells)


def are_serials(name: str, cells: Sequence[str]) -> bool:
    """Whether a column named like a date holds nothing but a spreadsheet's dates: whole numbers, 7000 to 47000."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", " ", name).lower()
    found = [SERIAL.fullmatch(cell) for cell in cells]
    inside = all(match and FIRST_SERIAL <= int(match["day"]) <= LAST_SERIAL for match in found)
    return bool(found) and inside and NAMED_DATE.search(words) is not None and NAMED_NUMBER.search(words) is None


def are_ranges_of_years(cells: Sequence[str]) -> bool:
    """Whether every cell is a range such as 2008-10 or 1998/99; False without a cell, or where one may be a birth."""
    found = [YEARS.fullmatch(cell) for cell in cells]
    return bool(found) and all(match is not None and _is_range(match) for match in found)


def holds_date(cell: str) -> bool:
    """Whether a cell is a date or has one in its text: `geb. 04.03.1950`, `4. März 1950`, `1950-03`."""
    text = unicodedata.normalize("NFC", cell)
    return any(form.fullmatch(text) for form in (DATE, MONTH_POINT_YEAR)) or DATE_WITHIN.search(text) is not None


def without_dates(text: str, mark: str) -> str:
    """A text with every date that `holds_date` finds as the mark."""
    text = unicodedata.normalize("NFC", text)
    return mark if any(form.fullmatch(text) for form in (DATE, MONTH_POINT_YEAR)) else DATE_WITHIN.sub(mark, text)


def check_no_dates(name: str, cells: Mapping[int, str], role: str) -> None:
    """RefusedError for a column of numbers, by line, that are all dates: a birth date names people once stored."""
    filled = {line: cell for line, cell in cells.items() if not is_missing(cell)}
    if are_days(tuple(filled.values())) or are_serials(name, tuple(filled.values())):
        text = f"column {name!r} holds dates written as numbers, first at line {min(filled)}."
        raise _refuse("date_cell", role, text, "Give days from time zero, or years, instead of dates.")


def _is_range(match: re.Match[str]) -> bool:
    last = int(match["last"])
    return last > int(match["first"]) and (last > 12 or int(match.group()[:4]) >= FIRST_RANGE)


def _is_day(cell: str) -> bool:
    return any(_is_in_calendar(match) for match in (form.fullmatch(cell) for form in COMPACT_DAYS) if match)


def _is_in_calendar(match: re.Match[str]) -> bool:
    try:
        date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return False
    return True


def check_ids(table: Table, ids: Sequence[str]) -> None:
    """RefusedError with lines for a patient id that is empty, holds an invisible character or was made a number."""
    missing = [table.lines[k] for k, value in enumerate(ids) if not value]
    untidy = [table.lines[k] for k, value in enumerate(ids) if not value.isprintable()]
    if missing or untidy:
        text = f"patient id missing or with an invisible character at lines {few_lines(missing + untidy)}."
        raise _refuse("bad_id", table.role, text, "Correct the ids.")
    damaged = [table.lines[k] for k, value in enumerate(ids) if DAMAGED_ID.fullmatch(value)]
    if damaged:
        text = f"a spreadsheet has turned patient ids into numbers at lines {few_lines(damaged)}."
        raise _refuse("damaged_id", table.role, text, "Export again with the id column as text.")


def patient_rows(table: Table, id_column: str) -> dict[str, int]:
    """Row number by patient id (text as written); RefusedError for a missing, repeated or untidy id."""
    ids = table.column(id_column)
    check_ids(table, ids)
    rows: dict[str, int] = {}
    repeated = [table.lines[k] for k, value in enumerate(ids) if rows.setdefault(value, k) != k]
    if repeated:
        text = f"a patient appears twice, again at lines {few_lines(repeated)}."
        raise _refuse("duplicate_patient", table.role, text, "Keep one row a patient.")
    return rows


def _refuse(code: str, role: str, message: str, remedy: str) -> RefusedError:
    return RefusedError(code, role, message, remedy)


def _text_of(path: Path, role: str) -> str:
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _refuse("unreadable", role, "the file cannot be read.", "Copy it again.") from error
    if raw.startswith(SPREADSHEETS):
        raise _refuse("spreadsheet", role, "the file is a spreadsheet, not CSV.", "Save it as CSV UTF-8.")
    if raw.startswith(WIDE_TEXT):
        raise _refuse("encoding", role, "the file is UTF-16.", "Save it as CSV UTF-8.")
    if len(raw) > MOST_BYTES or b"\x00" in raw:
        raise _refuse("bad_bytes", role, "the file is too large or holds NUL bytes.", "Export it as UTF-8 CSV.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refuse("encoding", role, "the file is not UTF-8.", "Save it as CSV UTF-8.") from error


def _delimiter(text: str, role: str) -> str:
    header = text.lstrip("\r\n").splitlines()[0] if text.strip() else ""
    try:
        counts = {d: len(next(csv.reader([header], delimiter=d), [])) for d in DELIMITERS}
    except csv.Error as error:  # a cell beyond the reader's 131,072 characters
        raise _refuse("malformed_csv", role, "the header is not valid CSV.", "Export it again.") from error
    best = max(counts.values())
    if best < 2:
        raise _refuse(
            "no_separator", role, "the header has one column only.", "Separate columns by comma or semicolon."
        )
    return next(d for d in DELIMITERS if counts[d] == best)


def _check_columns(columns: tuple[str, ...], role: str) -> None:
    values = [place for place, name in enumerate(columns, 1) if NUMBER.fullmatch(name) or DATE.fullmatch(name)]
    if len(values) * FEWEST_NAMED >= len(columns):  # a patient would be lost, and his cells told as names of columns
        text = f"the first line holds values instead of column names, in its cells {few_lines(values)}."
        raise _refuse("no_header", role, text, "Give every column its name in the first line.")
    repeated = sorted({c for c in columns if columns.count(c) > 1 and c})
    if repeated:
        raise _refuse("duplicate_column", role, f"columns appear twice: {', '.join(repeated[:5])}.", "Rename one.")


def few_lines(lines: Sequence[int]) -> str:
    """The first eight line numbers, and how many more."""
    return ", ".join(map(str, lines[:8])) + (f" and {len(lines) - 8} more" if len(lines) > 8 else "")
