"""Mutated files never crash a reader; what once did is tried again each time (ten minutes each: `bench fuzz`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.malformed.fuzz import READERS, SEEDS, SLOWEST_SECONDS, attempt, fuzz

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
    assert found.crashes == 0, [path.name for path in tmp_path.iterdir()]
    assert found.tried == FILES
    assert found.refused > 0


@pytest.mark.parametrize("name", READERS)
def test_an_unchanged_file_is_read_to_its_end(name: str, tmp_path: Path):
    """Else every mutation of it would be refused for what the good one lacks, and nothing behind it be reached."""
    reader = READERS[name]
    good = tmp_path / f"good{reader.suffix}"
    reader.make(good)
    assert attempt(reader, good.read_bytes(), tmp_path)[0] == "read"
