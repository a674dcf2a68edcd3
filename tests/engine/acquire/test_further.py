"""Further readers and programs, from files beside an image."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from engine.acquire.discover import discover
from engine.acquire.further import read_further_masks
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.read import acquire
from engine.protocol import Images, Protocol

IMAGES = Images(root="images", reference=("tumour",), readers=("second",), predictions=("program", "absent"))


def write(path, array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 2.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def cube(start):
    voxels = np.zeros((16, 20, 20), dtype=np.uint8)
    voxels[4:9, start : start + 5, 4:9] = 1
    return voxels


@pytest.fixture
def case(tmp_path):
    folder = tmp_path / "images" / "P1"
    noise = np.random.default_rng(0).integers(-900, 100, (16, 20, 20)).astype(np.int16)
    write(folder / "image.nii.gz", noise)
    for name, start in (("tumour", 4), ("second", 5), ("program", 6)):
        write(folder / f"{name}.nii.gz", cube(start))
    protocol = Protocol(images=IMAGES)
    (found,) = discover(tmp_path, protocol, Pseudonyms(tmp_path, public_ids=True)).cases
    return found, protocol


def test_further_outlines_have_their_maker_and_origin(case):
    source, protocol = case
    ct = acquire(source, protocol.images, protocol.acquire).ct
    masks = read_further_masks(source, ct, protocol.images, protocol.acquire).masks.masks
    assert [(m.source, m.origin, m.structure) for m in masks] == [
        ("second", "independent", "tumour"),
        ("program", "automatic", "tumour"),
    ]
    assert np.array_equal(masks[0].voxels, cube(5) > 0)


def test_names_stay_out_of_what_enters_a_key(case):
    roles = {file.role for file in case[0].files}
    assert {"further reader 1", "prediction 1"} <= roles
    assert not any("second" in role or "program" in role for role in roles)


def test_a_study_without_further_outlines_has_none(case):
    source, protocol = case
    ct = acquire(source, protocol.images, protocol.acquire).ct
    plain = Images(root="images", reference=("tumour",))
    assert read_further_masks(source, ct, plain, protocol.acquire).masks.masks == ()


def test_one_name_for_two_outlines_is_refused():
    with pytest.raises(ValueError, match="each outline once"):
        Images(reference=("GTV",), readers=("gtv",))
