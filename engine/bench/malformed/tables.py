"""Malformed clinical tables and archives."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from engine.bench.malformed.specimen import Specimen

TABLE, ARCHIVE = "clinical.csv", "upload"
MONTHS, YEARS = "os_months", "OS (years)"
HEADER = "id,days,event,age,stage\n"
ROWS = "A,100,1,60,I\nB,900,0,71,II\nC,400,1,55,I\n"
EPOCH = (2020, 1, 1, 0, 0, 0)


def table_specimens() -> tuple[Specimen, ...]:
    """Clinical tables that today's readers take with shifted, changed or lost cells."""
    texts = [*_SHAPES, *_IDS, *_NUMBERS, *_OUTCOMES]
    return tuple(Specimen("table", kind, name, codes, _writer(text)) for kind, name, codes, text in texts)


def archive_specimens() -> tuple[Specimen, ...]:
    """Archives that would write outside their folder, fill the disk, or hide what they hold."""
    return (
        *(_zipped("leaves its folder", name, ("archive_traversal",), {name: b"x"}) for name in _OUTSIDE),
        *(_tarred("leaves its folder", name, ("archive_traversal",), [(_member(name), b"x")]) for name in _OUTSIDE[:2]),
        *(_tarred("links", kind, ("archive_link",), [(_link(how), b"")]) for kind, how in _LINKS.items()),
        _zip_of("links", "symbolic, in a zip", ("archive_link",), _zipped_link),
        _zipped("bomb", "zeros", ("archive_bomb",), {"zeros.dcm": bytes(40 << 20)}, zipfile.ZIP_DEFLATED),
        _zip_of("bomb", "many entries", ("archive_bomb",), _many_entries),
        _zip_of("bomb", "sizes that lie", ("archive_damaged", "archive_bomb"), _lying_sizes),
        Specimen("archive", "bomb", "zeros in tar.gz", ("archive_bomb",), _dense_tar),
        _zipped("archive in an archive", "zip", ("archive_nested",), {"inner.zip": b"PK"}),
        _zipped("archive in an archive", "tar.gz", ("archive_nested",), {"inner.tar.gz": b"\x1f\x8b"}),
        _zip_of("names collide", "twice", ("archive_duplicate",), lambda z: _twice(z, "a.dcm", "a.dcm")),
        _zip_of("names collide", "by case", ("archive_duplicate",), lambda z: _twice(z, "a.dcm", "A.DCM")),
        _zip_of("names collide", "file and folder", ("archive_duplicate",), lambda z: _twice(z, "a", "a/b")),
        _zipped("name impossible", "control character", ("archive_name",), {"a\x1b[2J.dcm": b"x"}),
        _zipped("name impossible", "too long", ("archive_name",), {"a" * 230: b"x"}),
        _zipped("name impossible", "too deep", ("archive_name",), {"/".join("a" * 40): b"x"}),
        _zip_of("encrypted", "flag", ("archive_encrypted",), _encrypted),
        _zipped("nothing inside", "no entry", ("archive_empty", "archive_damaged"), {}),
        _zipped("nothing inside", "folders only", ("archive_empty",), {"a/": b""}),
        *(_cut_archive(kind, share) for kind in ("zip", "tar.gz") for share in (0.3, 0.7)),
        Specimen("archive", "archive damaged", "flipped bit", ("archive_damaged",), _flipped_zip),
        Specimen("archive", "archive damaged", "text", ("archive_damaged",), lambda f: _put(f, b"no archive")),
    )


def _writer(text: str | bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / TABLE).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))


def _born(*cells: str) -> str:
    return HEADER + "".join(
        f"{name},{100 + day},{day % 2},{cell},I\n" for day, (name, cell) in enumerate(zip("ABC", cells, strict=True))
    )


def _in_units(column: str, *times: int) -> str:
    rows = (f"{'ABCDEFGHIJKL'[place]},{time},{place % 2},60,I\n" for place, time in enumerate(times))
    return HEADER.replace("days", column) + "".join(rows)


def _put(folder: Path, raw: bytes) -> None:
    (folder / ARCHIVE).write_bytes(raw)


def _zip_of(kind: str, name: str, codes: tuple[str, ...], fill: Callable[[zipfile.ZipFile], object]) -> Specimen:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / ARCHIVE, "w") as packed:
            fill(packed)
        if name == "flag":
            _set_flag(folder / ARCHIVE)
        if name == "sizes that lie":
            _lie(folder / ARCHIVE)

    return Specimen("archive", kind, name, codes, make)


def _zipped(
    kind: str, name: str, codes: tuple[str, ...], entries: dict[str, bytes], method: int = zipfile.ZIP_STORED
) -> Specimen:
    def fill(packed: zipfile.ZipFile) -> None:
        for entry, raw in entries.items():
            packed.writestr(zipfile.ZipInfo(entry, EPOCH), raw, method)

    return _zip_of(kind, name, codes, fill)


def _tarred(kind: str, name: str, codes: tuple[str, ...], members: list[tuple[tarfile.TarInfo, bytes]]) -> Specimen:
    def make(folder: Path) -> None:
        with tarfile.open(folder / ARCHIVE, "w") as packed:
            for member, raw in members:
                member.size = len(raw)
                packed.addfile(member, io.BytesIO(raw))

    return Specimen("archive", kind, f"{name}, in a tar", codes, make)


def _member(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def _link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("innocent.dcm")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


def _zipped_link(packed: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("innocent.dcm", EPOCH)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed.writestr(entry, "/etc/passwd")


def _many_entries(packed: zipfile.ZipFile) -> None:
    for number in range(300):
        packed.writestr(f"{number}.dcm", b"")


def _lying_sizes(packed: zipfile.ZipFile) -> None:
    packed.writestr(zipfile.ZipInfo("slice.dcm", EPOCH), bytes(5000), zipfile.ZIP_DEFLATED)


def _lie(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw.replace((5000).to_bytes(4, "little"), (100).to_bytes(4, "little")))


def _encrypted(packed: zipfile.ZipFile) -> None:
    packed.writestr(zipfile.ZipInfo("slice.dcm", EPOCH), bytes(50))


def _set_flag(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(raw))


def _twice(packed: zipfile.ZipFile, one: str, other: str) -> None:
    for name in (one, other):
        packed.writestr(zipfile.ZipInfo(name, EPOCH), b"x")


def _dense_tar(folder: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as packed:
        member = tarfile.TarInfo("zeros.dcm")
        member.size = 40 << 20
        packed.addfile(member, io.BytesIO(bytes(member.size)))
    _put(folder, gzip.compress(raw.getvalue(), 1))


def _good_archive(folder: Path, kind: str) -> Path:
    content = bytes(range(256)) * 40
    if kind == "zip":
        with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(zipfile.ZipInfo("slice.dcm", EPOCH), content)
    else:
        with tarfile.open(folder / ARCHIVE, "w:gz") as packed_tar:
            member = tarfile.TarInfo("slice.dcm")
            member.size = len(content)
            packed_tar.addfile(member, io.BytesIO(content))
    return folder / ARCHIVE


def _cut_archive(kind: str, share: float) -> Specimen:
    def make(folder: Path) -> None:
        path = _good_archive(folder, kind)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return Specimen("archive", "archive cut off", f"{kind} to {share:.0%}", ("archive_damaged",), make)


def _flipped_zip(folder: Path) -> None:
    path = _good_archive(folder, "zip")
    raw = bytearray(path.read_bytes())
    raw[60] ^= 4
    path.write_bytes(bytes(raw))


_OUTSIDE = ("../evil.dcm", "/tmp/evil.dcm", "a/../../evil.dcm", "..\\evil.dcm", "C:/evil.dcm")
_LINKS = {"symbolic": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE}
Text = tuple[str, str, tuple[str, ...], str | bytes]
_SHAPES: tuple[Text, ...] = (
    ("encoding", "UTF-16", ("encoding",), (HEADER + ROWS).encode("utf-16")),
    ("encoding", "Latin-1", ("encoding",), (HEADER + ROWS.replace("II", "Zürich")).encode("latin-1")),
    ("encoding", "UTF-16 without mark", ("bad_bytes", "encoding"), (HEADER + ROWS).encode("utf-16-le")),
    ("bytes", "NUL", ("bad_bytes",), HEADER + "A\x00,100,1,60,I\n"),
    ("bytes", "spreadsheet", ("spreadsheet",), b"PK\x03\x04" + bytes(60)),
    ("bytes", "old spreadsheet", ("spreadsheet",), b"\xd0\xcf\x11\xe0" + bytes(60)),
    ("rows", "one cell less", ("ragged_rows",), HEADER + "A,100,1,60\n" + ROWS[13:]),
    ("rows", "one cell more", ("ragged_rows",), HEADER + "A,100,1,60,I,x\n"),
    ("rows", "separator in a cell", ("ragged_rows",), HEADER + "A,1,00,1,60,I\n"),
    ("rows", "quote without end", ("malformed_csv",), HEADER + 'A,100,1,60,"I\n'),
    ("rows", "quote inside", ("malformed_csv",), HEADER + 'A,100,1,60,"I"I\n'),
    ("rows", "header cell beyond the limit", ("malformed_csv",), HEADER.replace("age", "a" * 200_000) + ROWS),
    ("table empty", "header only", ("empty_table",), HEADER),
    ("table empty", "nothing", ("empty_table", "no_separator"), b""),
    ("separator", "pipe", ("no_separator",), (HEADER + ROWS).replace(",", "|")),
    ("separator", "blanks", ("no_separator",), (HEADER + ROWS).replace(",", " ")),
    ("columns", "twice", ("duplicate_column",), "id,days,event,age,age\n" + ROWS),
    ("columns", "no names, numbers", ("no_header",), ROWS),
    ("columns", "no names, dates", ("no_header",), "A,2019-03-04,lost,old\nB,2019-03-05,lost,old\n"),
    ("columns", "absent", ("no_column",), (HEADER + ROWS).replace("stage", "Stadium")),
    ("columns", "other case", ("no_column",), (HEADER + ROWS).replace("event", "Event")),
)
_IDS: tuple[Text, ...] = (
    ("patient twice", "the same id", ("duplicate_patient",), HEADER + ROWS + "A,300,0,60,I\n"),
    ("patient twice", "with blanks", ("duplicate_patient",), HEADER + ROWS + " A ,300,0,60,I\n"),
    ("id unusable", "empty", ("bad_id",), HEADER + ROWS + ",300,0,60,I\n"),
    ("id unusable", "no-break space", ("bad_id",), HEADER + ROWS + "D\u00a01,300,0,60,I\n"),
    ("id unusable", "zero-width space", ("bad_id",), HEADER + ROWS + "D\u200b,300,0,60,I\n"),
    ("id damaged", "1.23E+11", ("damaged_id",), HEADER + ROWS + "1.23E+11,300,0,60,I\n"),
    ("id damaged", "comma", ("damaged_id",), (HEADER + ROWS).replace(",", ";") + "1,2E+15;300;0;60;I\n"),
    ("no row", "one patient", ("no_clinical_row",), HEADER + ROWS[:13]),
)
_NUMBERS: tuple[Text, ...] = (
    ("decimal comma", "age", ("decimal_comma",), (HEADER + ROWS).replace(",", ";").replace("60", "60,5")),
    ("decimal comma", "days", ("decimal_comma",), (HEADER + ROWS).replace(",", ";").replace("100", "100,5")),
    ("date", "day or month first", ("date_cell",), HEADER + ROWS.replace("100", "04/03/2019")),
    ("date", "ISO", ("date_cell",), HEADER + ROWS.replace("100", "2019-03-04")),
    ("date", "with points", ("date_cell",), HEADER + ROWS.replace("100", "4.3.2019")),
    ("date", "as a category", ("date_in_category",), HEADER + ROWS.replace("II", "04/03/2019")),
    ("date", "as a spreadsheet's number", ("too_many_days",), HEADER + ROWS.replace("900", "43528")),
    ("date", "of birth, as numbers", ("date_cell",), _born("19600304", "19491231", "20000229")),
    ("date", "of birth, day first", ("date_cell",), _born("04031960", "31121949", "29022000")),
    ("date", "of birth, first zero lost", ("date_cell",), _born("4031960", "NA", "28021965")),
    ("date", "in a text", ("date_in_category",), HEADER + ROWS.replace("II", "geb. 04.03.1950")),
    ("date", "with the month's name", ("date_in_category",), HEADER + ROWS.replace("II", "4. März 1950")),
    ("date", "month and year", ("date_in_category",), HEADER + ROWS.replace("II", "1950-03")),
    ("date", "of birth, as fractions", ("date_cell",), _born("19600304.0", "NA", "19650228.0")),
    ("number", "underscore", ("not_a_number",), HEADER + ROWS.replace("60", "6_0")),
    ("number", "underscore in days", ("not_a_number",), HEADER + ROWS.replace("900", "9_00")),
    ("number", "text", ("not_a_number",), HEADER + ROWS.replace("60", "sixty")),
    ("number", "unit", ("not_a_number",), HEADER + ROWS.replace("60", "60 y")),
    ("number", "infinite", ("not_a_number",), HEADER + ROWS.replace("60", "inf")),
    ("number", "formula", ("not_a_number",), HEADER + ROWS.replace("60", "=1+59")),
    ("number", "thousands", ("ragged_rows", "decimal_comma", "not_a_number"), HEADER + ROWS.replace("900", "1,900")),
)
_OUTCOMES: tuple[Text, ...] = (
    ("outcome", "before time zero", ("negative_time",), HEADER + ROWS.replace("100", "-5")),
    ("outcome", "before time zero, fraction", ("negative_time",), HEADER + ROWS.replace("100", "-0.5")),
    ("outcome", "event code 2", ("event_code",), HEADER + ROWS.replace("900,0", "900,2")),
    ("outcome", "event code text", ("event_code",), HEADER + ROWS.replace("900,0", "900,lost")),
    ("outcome", "event without time", ("event_without_time", "unpaired_outcome"), HEADER + ROWS.replace("100,1", ",1")),
    ("outcome", "time without event", ("unpaired_outcome",), HEADER + ROWS.replace("100,1", "100,")),
    ("outcome", "days in months", ("fractional_days",), HEADER + ROWS.replace("100", "12.5")),
    ("outcome", "point between thousands", ("thousands_separator",), HEADER + ROWS.replace("900", "1.900")),
    ("outcome", "too many days", ("too_many_days",), HEADER + ROWS.replace("900", "99999")),
    ("outcome", "a code for unknown", ("code_as_day",), HEADER + ROWS.replace("900", "9999")),
    ("outcome", "event at day 0", ("event_at_day_0",), HEADER + ROWS.replace("100", "0")),
    ("unit of time", "a column named months", ("not_days",), _in_units(MONTHS, 36, 48, 60)),
    ("unit of time", "a column named years", ("not_days",), _in_units(YEARS, 3, 4, 5)),
    ("unit of time", "months as days", ("short_follow_up",), _in_units("days", *range(14, 74, 5))),
    (
        "names as a category",
        "another in every row",
        ("identifying_category",),
        HEADER + "".join(f"{letter},100,1,60,name {letter}\n" for letter in "ABCDEFGHIJKL"),
    ),
)
