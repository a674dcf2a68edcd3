"""No false alarm: a hundred harmless copies are let in and hold the same image and mask, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.acquire.discover import discover
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.read import Acquired, acquire
from engine.bench.malformed.copies import Copy, every_copy
from engine.geometry import resample_mask
from engine.measure.extraction import measure
from engine.measure.feature_image import feature_grid, feature_image
from engine.protocol import FeatureGrid, Features, Images, Protocol, Rois

COPIES = every_copy()
HARMLESS = {"no_air"}  # the made series is all noise


def read(copy: Copy, folder: Path) -> Acquired:
    (folder / "in").mkdir()
    copy.make(folder / "in")
    protocol = Protocol(images=Images(root=str(folder / "in"), reference=("Tumour",)))
    found = discover(folder, protocol, Pseudonyms(folder, public_ids=True))
    assert found.refusals == ()
    (source,) = found.cases
    return acquire(source, protocol.images, protocol.acquire)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Acquired]:
    groups = {copy.group: copy for copy in reversed(COPIES)}
    return {group: read(copy, tmp_path_factory.mktemp(group)) for group, copy in groups.items()}


def features(case: Acquired) -> np.ndarray:
    grid, rois = FeatureGrid(), Rois()
    mask = case.references.masks[0]
    voxels = resample_mask(mask.voxels, mask.grid, feature_grid(mask.grid, grid))
    recipe = Features(recipe="original-107")
    return measure(feature_image(case.ct, grid), [voxels], recipe, grid, rois)[0].values


def test_there_are_a_hundred_copies_in_eight_transfer_syntaxes_and_all_48_orders_of_axes():
    assert len(COPIES) >= 100
    assert len({copy.name for copy in COPIES}) == len(COPIES)
    assert sum(copy.name.startswith("axes") for copy in COPIES) == 48


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: f"{copy.group} {copy.name}")
def test_a_copy_is_the_same_patient(copy: Copy, first: dict[str, Acquired], tmp_path: Path):
    found, wanted = read(copy, tmp_path), first[copy.group]
    assert {flag.code for flag in found.flags} <= HARMLESS
    assert found.ct.grid == wanted.ct.grid
    assert found.ct.intensity_hu.dtype == wanted.ct.intensity_hu.dtype
    assert np.array_equal(found.ct.intensity_hu, wanted.ct.intensity_hu)
    assert np.array_equal(found.references.masks[0].voxels, wanted.references.masks[0].voxels)


def test_features_of_a_turned_copy_are_identical(first: dict[str, Acquired], tmp_path: Path):
    turned = next(copy for copy in COPIES if copy.name == "axes (2, 0, 1) flips (True, False, True)")
    assert np.array_equal(features(read(turned, tmp_path)), features(first["files"]), equal_nan=True)
