"""Mutated files never crash a reader; what once did is tried again each time (ten minutes each: `bench fuzz`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.malformed.fuzz import (
    MOST_MB_A_FILE,
    MOST_MB_KEPT,
    READERS,
    SEEDS,
    SLOWEST_SECONDS,
    Reader,
    attempt,
    fuzz,
)

KEPT = sorted(path.name for path in SEEDS.iterdir())
FILES = 60


@pytest.mark.parametrize("name", KEPT)
def test_a_file_that_once_broke_a_reader_does_so_no_more(name: str, tmp_path: Path):
    reader = READERS[name.split("-", 1)[0]]
    answer, seconds = attempt(reader, (SEEDS / name).read_bytes(), tmp_path)
    assert answer in ("read", "refused")
    assert seconds < SLOWEST_SECONDS


@pytest.mark.parametrize("name", READERS)
def test_fresh_mutations_are_read_or_refused(name: str, tmp_path: Path):
    found = fuzz(name, 60.0, seed=20251127, keep=tmp_path, most=FILES)
    assert found.sound, ([path.name for path in tmp_path.iterdir()], found)
    assert found.tried == FILES
    assert found.refused > 0


@pytest.mark.parametrize("name", READERS)
def test_an_unchanged_file_is_read_to_its_end(name: str, tmp_path: Path):
    """Else every mutation of it would be refused for what the good one lacks, and nothing behind it be reached."""
    reader = READERS[name]
    good = tmp_path / f"good{reader.suffix}"
    reader.make(good)
    assert attempt(reader, good.read_bytes(), tmp_path)[0] == "read"


def write_text(path: Path) -> None:
    path.write_bytes(b"id,days\nP1,300\n")


def test_a_file_that_takes_too_much_memory_is_kept_as_one_that_broke_its_reader(monkeypatch, tmp_path: Path):
    greedy = Reader(".csv", write_text, lambda _: len(bytearray(b"x" * int(2 * MOST_MB_A_FILE * 2**20))))
    monkeypatch.setitem(READERS, "csv", greedy)
    found = fuzz("csv", 60.0, seed=1, keep=tmp_path, most=2)
    assert found.greediest_mb > MOST_MB_A_FILE
    assert (found.crashes, found.sound) == (2, False)
    assert list(tmp_path.iterdir())


def test_a_reader_that_keeps_what_it_read_is_not_sound(monkeypatch, tmp_path: Path):
    kept: list[bytes] = []
    a_file = int(MOST_MB_KEPT * 2**20 / 10)
    monkeypatch.setitem(READERS, "csv", Reader(".csv", write_text, lambda _: kept.append(b"x" * a_file)))
    found = fuzz("csv", 60.0, seed=1, keep=tmp_path, most=40)
    assert (found.crashes, found.sound) == (0, False)
    assert found.kept_mb > MOST_MB_KEPT
