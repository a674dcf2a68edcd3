"""Where anatomical labels come from, and what is said when a program for them is absent."""

import sys
import types

import numpy as np
import pytest

from engine.segment.anatomy import label_anatomy
from engine.segment.anatomy_programs import label_by_program
from engine.training_protocol import Anatomy
from store.records import DeclinedError
from store.volumes import LabelMaps, Mask, ReferenceMasks
from tests.engine.segment.trainings import GRID, ct_of, labelled, lungs, references, tumour


def outlined(name: str) -> ReferenceMasks:
    parts = [Mask(side, "independent", "reference", voxels, GRID) for side, voxels in lungs().items()]
    return ReferenceMasks((*references(name).masks, *parts))


def test_outlined_lungs_serve_as_anatomy_without_the_tumour():
    done = label_anatomy(ct_of("T1"), outlined("T1"), LabelMaps(()), Anatomy(source="lungs"))
    assert done.trainable[0].anatomy == "lung_left,lung_right"
    for mask in done.masks.masks:
        if mask.structure == "anatomy":
            assert not (mask.voxels & tumour("T1")).any()


def test_the_volume_of_the_tumour_is_that_of_the_reference():
    assert labelled("T1").trainable[0].tumour_ml == pytest.approx(125 * 0.027)
    assert labelled("F1").trainable[0].tumour_ml == 0


def test_a_case_without_labels_is_left_without():
    done = label_anatomy(ct_of("F1"), ReferenceMasks(()), LabelMaps(()), Anatomy())
    assert (done.masks.masks, done.trainable[0].anatomy) == ((), "")


@pytest.mark.parametrize("program", ["totalsegmentator", "lungmask"])
def test_an_absent_program_is_one_sentence(monkeypatch, program):
    monkeypatch.setitem(sys.modules, program, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DeclinedError, match=f"{program}, which is not installed"):
        label_by_program(ct_of("F1"), program)


def test_a_program_without_weights_and_network_is_one_sentence(monkeypatch):
    """lungmask raises urllib's URLError, an OSError, when it cannot fetch its weights."""

    class NoWeights:
        def __init__(self, **_):
            raise OSError("<urlopen error [Errno -2] Name or service not known>")

    module = types.ModuleType("lungmask")
    module.LMInferer = NoWeights
    module.__spec__ = types.SimpleNamespace(name="lungmask")
    monkeypatch.setitem(sys.modules, "lungmask", module)
    with pytest.raises(DeclinedError, match="weights are not on this machine"):
        label_by_program(ct_of("F1"), "lungmask")


def test_a_programs_values_become_left_and_right(monkeypatch):
    """The contract with lungmask 0.2.22: LMInferer.apply takes an ITK image, gives 1 right and 2 left."""
    values = np.zeros(GRID.shape_zyx, dtype=np.uint8)
    values[lungs()["lung_right"]], values[lungs()["lung_left"]] = 1, 2
    module = types.ModuleType("lungmask")
    module.LMInferer = lambda **_: types.SimpleNamespace(apply=lambda image: values)
    module.__spec__ = types.SimpleNamespace(name="lungmask")
    monkeypatch.setitem(sys.modules, "lungmask", module)
    done = label_anatomy(ct_of("F1"), ReferenceMasks(()), LabelMaps(()), Anatomy(source="lungmask"))
    found = {mask.name: mask.voxels for mask in done.masks.masks}
    assert np.array_equal(found["lung_left"], lungs()["lung_left"])
    assert {mask.origin for mask in done.masks.masks} == {"automatic"}
