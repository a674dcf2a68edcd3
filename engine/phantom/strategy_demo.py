"""A small synthetic study for comparing training strategies: chests without and with a tumour, all labelled."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.geometry import to_image
from engine.phantom.case import ANATOMY_LABELS, KERNELS, Phantom
from engine.phantom.sampling import draw_case
from engine.phantom.thorax import make_phantom
from engine.protocol import Images, Protocol, Segment, Study, write_protocol
from engine.training_protocol import Anatomy, Strategies, Train

WITHOUT_TUMOUR, WITH_TUMOUR = 12, 42
FIRST_STRATEGY_SEED = 3_000_000  # the shipped model's training, its unseen phantoms and cohorts use others
STRUCTURES = ("lung_left", "lung_right", "heart", "wall", "vessels")
HELD_OUT_SHARE = 18 / 42
NOTICE = "Synthetic chests at 3 mm and small networks: minutes on two cores, not a study of strategies."
COLUMNS = ("case_id", "image", "reference", "anatomy", "convolution_kernel", "contrast", "synthetic")
LEVEL = 1


def build_strategy_demo(
    directory: Path,
    sizes: Train,
    progress: Callable[[int, int], None],
    cases: tuple[int, int] = (WITHOUT_TUMOUR, WITH_TUMOUR),
) -> None:
    """Write images, label maps (values 1.. of STRUCTURES, the tumour 0), references and study.toml into a folder.

    `cases`: how many chests without and with a tumour; `progress` hears (done, of all) after each. The same numbers
    give the same images.
    """
    images = directory / "images"
    images.mkdir(parents=True, exist_ok=True)
    rows = []
    for done, (name, phantom) in enumerate(_phantoms(cases), start=1):
        rows.append(_write_case(images / name, name, phantom))
        progress(done, sum(cases))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (images / "images.csv").write_text(text.getvalue(), encoding="utf-8")
    write_protocol(directory, strategy_protocol(sizes))


def strategy_protocol(sizes: Train) -> Protocol:
    """The protocol of that study: nothing is segmented by a shipped model, all four strategies, two seeds."""
    return Protocol(
        study=Study(name="Synthetic training strategies", synthetic=True, public_ids=True, notice=NOTICE),
        images=Images(root="images", reference=("tumour",)),
        segment=Segment(model="", tile_step_share=0.75),
        anatomy=Anatomy(source="label maps", labels=STRUCTURES),
        train=sizes.model_copy(update={"held_out_share": HELD_OUT_SHARE}),
        strategies=Strategies(
            names=("tumour-only", "tumour-and-anatomy", "anatomy-pretraining", "tumour-only-long"),
            seeds=(1, 2),
            parallel=2,
        ),
    )


def _phantoms(cases: tuple[int, int]) -> Iterator[tuple[str, Phantom]]:
    without, with_tumour = cases
    for number in range(without + with_tumour):
        tumour = number >= without
        name = f"ST-{number + 1:04d}"
        yield name, make_phantom(draw_case(FIRST_STRATEGY_SEED + number, tumour))


def _write_case(folder: Path, name: str, phantom: Phantom) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    anatomy = np.where(phantom.anatomy == ANATOMY_LABELS["tumour"], 0, phantom.anatomy).astype(np.uint8)
    parts: dict[str, NDArray[np.generic]] = {"image": phantom.intensity_hu, "anatomy": anatomy}
    if phantom.tumour.any():
        parts["tumour"] = phantom.tumour.astype(np.uint8)
    for stem, array in parts.items():
        sitk.WriteImage(to_image(array, phantom.grid), str(folder / f"{stem}.nii.gz"), True, LEVEL)
    return {
        "case_id": name,
        "image": f"{name}/image.nii.gz",
        "reference": f"{name}/tumour.nii.gz" if "tumour" in parts else "",
        "anatomy": f"{name}/anatomy.nii.gz",
        "convolution_kernel": {KERNELS[0]: "B60f", KERNELS[1]: "B31f"}[phantom.case.kernel],
        "contrast": "yes" if phantom.case.contrast else "no",
        "synthetic": "yes",
    }
