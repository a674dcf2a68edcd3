"""Every malformed file is refused or flagged with the right code, none crashes, none passes in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.malformed.gate import answer_of_gate, every_specimen
from engine.bench.malformed.specimen import Specimen

CORPUS = every_specimen()


def test_the_corpus_is_large_and_wide():
    assert len(CORPUS) >= 200
    assert len({(specimen.part, specimen.kind) for specimen in CORPUS}) >= 40
    assert len({specimen.title for specimen in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("specimen", CORPUS, ids=lambda specimen: specimen.title)
def test_the_gate_says_what_is_wrong(specimen: Specimen, tmp_path: Path):
    found = answer_of_gate(specimen, tmp_path)
    assert found.codes & set(specimen.codes), found
