"""The list of what a run reads: one case costs one line, whatever the cohort; what is forgotten is gone."""

from __future__ import annotations

import dataclasses
import json

import pytest

from store.source_list import (
    Sources,
    forget_source,
    has_sources,
    read_case_source,
    read_common_sources,
    read_sources,
    sources_of,
    write_sources,
)
from store.sources import CaseSource, ClinicalSource, SourceFile


def case(number: int, slices: int = 3) -> CaseSource:
    files = (SourceFile(f"CT slice {n}", f"/data/ü{number}/{n}.dcm", f"{n:064x}") for n in range(slices))
    return CaseSource(f"C{number:05d}", "dicom", tuple(files), "the only series", 0, (("kernel", "B31f"),))


def sources(count: int) -> Sources:
    clinical = ClinicalSource(
        (SourceFile("clinical table 1", "/data/c.csv", "a" * 64),), tuple((f"p{n}", f"C{n:05d}") for n in range(count))
    )
    return Sources(tuple(case(n) for n in range(count)), clinical)


def test_what_was_written_is_read_whole_and_case_by_case(tmp_path):
    assert not has_sources(tmp_path)
    written = sources(20)
    write_sources(tmp_path, written)
    assert read_sources(tmp_path) == written
    assert all(read_case_source(tmp_path, one.case_id) == one for one in written.cases)
    assert read_common_sources(tmp_path) == dataclasses.replace(written, cases=())
    assert sources_of(json.loads(json.dumps(dataclasses.asdict(written)))) == written
    assert (tmp_path / "private" / "sources.json").stat().st_mode & 0o077 == 0


def test_a_later_run_is_seen_at_once(tmp_path):
    write_sources(tmp_path, sources(3))
    assert read_case_source(tmp_path, "C00002") == case(2)
    write_sources(tmp_path, Sources((case(7),)))
    assert read_case_source(tmp_path, "C00007") == case(7)
    with pytest.raises(KeyError):
        read_case_source(tmp_path, "C00002")


def test_a_forgotten_case_is_in_no_line_and_its_files_are_told(tmp_path):
    write_sources(tmp_path, sources(5))
    assert forget_source(tmp_path, "C00003") == tuple(file.path for file in case(3).files)
    text = (tmp_path / "private" / "sources.json").read_text()
    assert "C00003" not in text
    assert "p3" not in text
    assert read_case_source(tmp_path, "C00004") == case(4)
    assert forget_source(tmp_path / "elsewhere", "C00003") == ()


def test_a_list_of_an_older_version_is_read_too(tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "sources.json").write_text(json.dumps(dataclasses.asdict(sources(2))))
    assert read_sources(tmp_path) == sources(2)
    assert read_case_source(tmp_path, "C00001") == case(1)
    assert forget_source(tmp_path, "C00001")
    assert read_sources(tmp_path).cases == (case(0),)


def test_a_case_of_many_costs_the_first_line_once_and_then_its_own(tmp_path, monkeypatch):
    write_sources(tmp_path, sources(500))
    parsed: list[int] = []
    loads = json.loads
    monkeypatch.setattr("store.source_list.json.loads", lambda text: parsed.append(len(text)) or loads(text))
    for number in range(0, 500, 10):
        read_case_source(tmp_path, f"C{number:05d}")
    assert len(parsed) == 1 + 50
    assert max(parsed[1:]) < 1000
