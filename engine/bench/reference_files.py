"""Where IBSI's data sets and reference values lie, and what to do when they are absent."""

from __future__ import annotations

import os
from pathlib import Path

from store.artifacts import sha256_of_file
from store.sources import ReferenceFiles, SourceFile

SHARED_VARIABLE = "COHORTSCOPE_SHARED"
NEEDED = ("ibsi1_digital_phantom", "ibsi1_ct_phantom", "ibsi1_reference_values")
OPTIONAL = ("ibsi2",)
SUFFIXES = (".nii.gz", ".csv")
REFERENCES_ABSENT = (
    "needs IBSI's phantoms and reference values, which are not installed: download the data sets and reference data of"
    " github.com/theibsi into data/ibsi1_digital_phantom, data/ibsi1_ct_phantom, data/ibsi1_reference_values and"
    " data/ibsi2 of the folder that COHORTSCOPE_SHARED names"
)


def shared_folder() -> Path:
    """The folder of shared data: $COHORTSCOPE_SHARED, else ../shared beside the checkout."""
    named = os.environ.get(SHARED_VARIABLE)
    return Path(named) if named else Path(__file__).parents[2].parent / "shared"


def reference_files(shared: Path) -> ReferenceFiles | None:
    """IBSI's files below data/ of a folder with their hashes; None where a needed data set is absent."""
    data = shared / "data"
    if not all((data / name).is_dir() for name in NEEDED):
        return None
    found = sorted(p for name in (*NEEDED, *OPTIONAL) for p in (data / name).rglob("*") if p.name.endswith(SUFFIXES))
    files = (SourceFile(path.relative_to(data).as_posix(), str(path), sha256_of_file(path)) for path in found)
    return ReferenceFiles(str(shared), tuple(files))
