"""A case that is added is computed; of the others nothing is, and of the cohort what reads every case."""

from __future__ import annotations

import shutil
from pathlib import Path

import SimpleITK as sitk

from engine.pipeline import IMAGE_STUDY
from engine.run.foresee import foresee
from engine.run.runner import run
from store.layout import StudyFolder
from store.ledger import Ledger

NEW = "PH-9001"
UNITS = {stage.name: stage.unit for stage in IMAGE_STUDY}


def add_case(study: Path) -> None:
    """The first patient once more, one voxel of air changed, so that he is another."""
    first = sorted(path for path in (study / "images").iterdir() if path.is_dir())[0]
    shutil.copytree(first, study / "images" / NEW)
    file = study / "images" / NEW / "image.nii.gz"
    image = sitk.ReadImage(str(file))
    image[0, 0, 0] = -999
    sitk.WriteImage(image, str(file))
    for table in (study / "images" / "images.csv", study / "clinical.csv"):
        lines = table.read_text(encoding="utf-8").splitlines()
        row = next(line for line in lines if line.startswith(f"{first.name},"))
        table.write_text("\n".join([*lines, row.replace(first.name, NEW)]) + "\n", encoding="utf-8")


def tasks(study: Path) -> dict[str, tuple[str, str]]:
    with Ledger(StudyFolder(study)) as ledger:
        return {key: (stage, unit) for key, stage, unit in ledger.rows("SELECT key, stage, unit FROM task")}


def test_only_the_new_case_and_the_stages_of_the_cohort_are_computed(demo_copy):
    before = tasks(demo_copy)
    add_case(demo_copy)
    run(demo_copy, until_stage="features", backend="inline")
    new = [task for key, task in tasks(demo_copy).items() if key not in before]
    of_cases = [(stage, unit) for stage, unit in new if UNITS[stage] == "case"]
    assert {unit for _, unit in of_cases} == {NEW}
    assert {"acquire", "segment", "regions", "features"} <= {stage for stage, _ in of_cases}
    assert len(of_cases) == len(set(of_cases))
    assert {unit for stage, unit in new if UNITS[stage] == "cohort"} <= {""}
    left = foresee(demo_copy)
    assert "table" in {stage for stage, _ in left.tasks}
    assert set(left.cases) <= {NEW}
