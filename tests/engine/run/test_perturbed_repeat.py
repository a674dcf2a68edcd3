"""What the pool of processes perturbed, one process perturbs again: the same bits, seeds and all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger
from tests.conftest import HOUSE

KINDS = ("perturb.masks", "perturb.perturbed", "perturbed_features.vectors")
CASES = 1


def test_perturbed_masks_and_their_features_repeat_bit_for_bit_in_one_process(demo_copy):
    """One case's results are lost and made again by the inline backend; the demo made them with two workers."""
    before = recorded(demo_copy)
    lost = [key for kind in KINDS for key in sorted(k for found, k in before if found == kind)[:CASES]]
    for path in (demo_copy / "artifacts").rglob("*"):
        if path.stem.split(".")[0] in lost and path.parts[len(demo_copy.parts) + 1] in KINDS:
            path.unlink()
    engine("verify", str(demo_copy), "--repair")
    assert len(recorded(demo_copy)) == len(before) - len(KINDS) * CASES
    engine("run", str(demo_copy), "--backend", "inline", "--until", "perturbed_features")
    after = recorded(demo_copy)
    assert after == before


def recorded(study: Path) -> dict[tuple[str, str], str]:
    """sha256 of each perturbed artifact by kind and key."""
    with Ledger(StudyFolder(study)) as ledger:
        rows = ledger.rows("SELECT kind, key, sha256 FROM artifact")
    return {(str(kind), str(key)): str(sha256) for kind, key, sha256 in rows if kind in KINDS}


def engine(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "engine", *arguments], cwd=HOUSE, check=True, capture_output=True)
