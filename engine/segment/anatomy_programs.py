"""The door to programs that label anatomy, where they are installed with their weights; neither is required.

TotalSegmentator (Apache-2.0, task `total`) and lungmask (Apache-2.0, R231). Nothing is downloaded on purpose, and
TotalSegmentator's usage statistics are switched off before it is called.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from engine.geometry import to_image
from store.records import DeclinedError
from store.volumes import BoolZyx, CtSeries

Structures = dict[str, BoolZyx]
TOTAL_STRUCTURES: dict[str, tuple[str, ...]] = {
    "lung_left": ("lung_upper_lobe_left", "lung_lower_lobe_left"),
    "lung_right": ("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
    "heart": ("heart",),
    "aorta": ("aorta",),
    "oesophagus": ("esophagus",),
    "trachea": ("trachea",),
}
LUNGMASK_VALUES = {"lung_right": 1, "lung_left": 2}
LUNGMASK_WEIGHTS = "COHORTSCOPE_LUNGMASK_WEIGHTS"


def label_by_program(ct: CtSeries, program: str) -> Structures:
    """Structures of a CT by name, boolean z, y, x on its grid, from `totalsegmentator` or `lungmask`.

    DeclinedError, in one sentence, where the program is not installed or finds no weights on this machine.
    """
    if importlib.util.find_spec(program) is None:
        raise DeclinedError(
            f"anatomy.source is {program}, which is not installed: `pip install -c requirements.txt {program}`, or give"
            " label maps"
        )
    programs: dict[str, Callable[[CtSeries], Structures]] = {
        "totalsegmentator": _by_totalsegmentator,
        "lungmask": _by_lungmask,
    }
    try:
        return programs[program](ct)
    except OSError as error:  # what urllib and requests raise when weights are to be fetched and there is no network
        raise DeclinedError(
            f"{program} is installed, but its weights are not on this machine and could not be fetched: copy them"
            " where it looks for them, or give label maps"
        ) from error


def _by_totalsegmentator(ct: CtSeries) -> Structures:
    from totalsegmentator.config import set_config_key
    from totalsegmentator.map_to_binary import class_map
    from totalsegmentator.python_api import totalsegmentator

    set_config_key("send_usage_stats", False)
    wanted = [name for names in TOTAL_STRUCTURES.values() for name in names]
    with tempfile.TemporaryDirectory() as scratch:
        image, labels = Path(scratch) / "ct.nii.gz", Path(scratch) / "labels.nii.gz"
        sitk.WriteImage(to_image(ct.intensity_hu, ct.grid), str(image))
        totalsegmentator(image, labels, ml=True, roi_subset=wanted, quiet=True)
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(labels)))
    numbers = {name: number for number, name in class_map["total"].items()}
    return {name: np.isin(values, [numbers[part] for part in parts]) for name, parts in TOTAL_STRUCTURES.items()}


def _by_lungmask(ct: CtSeries) -> Structures:
    from lungmask import LMInferer

    weights = os.environ.get(LUNGMASK_WEIGHTS)
    inferer = LMInferer(modelname="R231", modelpath=weights, tqdm_disable=True)
    values = np.asarray(inferer.apply(to_image(ct.intensity_hu, ct.grid)))
    return {name: values == value for name, value in LUNGMASK_VALUES.items()}
