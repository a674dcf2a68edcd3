"""The malformed corpus through the gate and through other readers: who says something, who reads in silence."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.bench.malformed.gate import answer_of_gate, every_specimen
from engine.bench.malformed.specimen import Specimen
from engine.bench.peers import peers_python

PEER_SECONDS = 1800
SILENT, RAISED, DIED = "silent", "raised", "died"


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part of the corpus: how many specimens, how many the gate answered rightly, how many a peer took silently.

    A peer's numbers are (read without an exception, tried); an exception of a peer counts as noticed, whatever it says.
    """

    part: str
    specimens: int
    gate_right: int
    simpleitk: tuple[int, int]
    pyradiomics: tuple[int, int]
    rt_utils: tuple[int, int]


def compare_gate() -> tuple[PartRow, ...]:
    """Every specimen through the gate and the peers; a last row sums. RuntimeError where .venv-peers cannot be made."""
    specimens = every_specimen()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        answers = [answer_of_gate(one, root / str(number)) for number, one in enumerate(specimens)]
        right = [bool(found.codes & set(one.codes)) for found, one in zip(answers, specimens, strict=True)]
        said = {
            "simpleitk": _peer(sys.executable, "simpleitk", root, specimens),
            "pyradiomics": _peer(sys.executable, "pyradiomics", root, specimens),
            "rt_utils": _peer(str(peers_python()), "rt_utils", root, specimens),
        }
    parts = list(dict.fromkeys(one.part for one in specimens))
    rows = [_row(part, [n for n, one in enumerate(specimens) if one.part == part], right, said) for part in parts]
    return (*rows, _row("all", list(range(len(specimens))), right, said))


def gate_lines(rows: Sequence[PartRow]) -> list[str]:
    """The comparison as a table for a terminal."""
    lines = [f"{'part':10s} {'files':>5s} {'gate':>9s} {'SimpleITK':>12s} {'PyRadiomics':>12s} {'rt-utils':>12s}"]
    for row in rows:
        peers = [
            f"{silent} of {tried}" if tried else "-" for silent, tried in (row.simpleitk, row.pyradiomics, row.rt_utils)
        ]
        lines.append(
            f"{row.part:10s} {row.specimens:5d} {row.gate_right:4d} right " + " ".join(f"{peer:>12s}" for peer in peers)
        )
    return [*lines, "Of the others: files read without an exception, of the files that they were given."]


def _peer(python: str, peer: str, root: Path, specimens: Sequence[Specimen]) -> dict[int, str]:
    """What one peer did with the specimens that are for it; where its process dies the rest goes on.

    RuntimeError where the peer cannot even be imported.
    """
    asked = {str(number): one.part for number, one in enumerate(specimens)}
    said: dict[int, str] = {}
    while asked:
        lines = _answers(python, peer, root, asked)
        if not lines or lines[0] != "ready":
            raise RuntimeError(f"{peer} could not be started for comparison")
        tried = [line.split(" ")[1] for line in lines if line.startswith("reading ")]
        answers = [line.split(" ") for line in lines if line.startswith("answer ")]
        said |= {int(number): what for _, number, what in answers}
        if lines[-1] == "end" or not tried:
            break
        said.setdefault(int(tried[-1]), DIED)
        asked = {number: part for number, part in asked.items() if int(number) > int(tried[-1])}
    return said


def _answers(python: str, peer: str, root: Path, asked: dict[str, str]) -> list[str]:
    try:
        done = subprocess.run(
            [python, str(Path(__file__).with_name("peer_worker.py")), peer, str(root)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            cwd=root,
            timeout=PEER_SECONDS,
            check=False,
        )
        text = done.stdout
    except subprocess.TimeoutExpired as error:
        text = error.stdout.decode() if isinstance(error.stdout, bytes) else str(error.stdout or "")
    words = ("ready", "reading", "answer", "end")
    return [line for line in text.splitlines() if line.split(" ")[0] in words]


def _row(part: str, places: Sequence[int], right: Sequence[bool], said: dict[str, dict[int, str]]) -> PartRow:
    counts = {
        peer: (
            sum(found.get(place) == SILENT for place in places),
            sum(place in found for place in places),
        )
        for peer, found in said.items()
    }
    return PartRow(part, len(places), sum(right[place] for place in places), **counts)
