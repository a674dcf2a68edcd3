"""The study for comparing strategies: labelled chests, phantoms of its own, a protocol that can be read back."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk

from engine.phantom import cohort, training_set
from engine.phantom.strategy_demo import (
    FIRST_STRATEGY_SEED,
    STRUCTURES,
    WITH_TUMOUR,
    WITHOUT_TUMOUR,
    build_strategy_demo,
)
from engine.protocol import read_protocol
from engine.segment.strategies.presets import TOY


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strategies")
    build_strategy_demo(folder, TOY, lambda done, total: None, (1, 1))
    return folder


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_a_chest_without_a_tumour_has_no_reference_and_every_chest_its_anatomy(study):
    rows = list(csv.DictReader((study / "images" / "images.csv").read_text().splitlines()))
    assert [bool(row["reference"]) for row in rows] == [False, True]
    for row in rows:
        assert set(np.unique(read(study / "images" / row["anatomy"]))) == set(range(len(STRUCTURES) + 1))


def test_the_tumour_is_no_part_of_the_anatomy(study):
    folder = study / "images" / "ST-0002"
    assert not read(folder / "anatomy.nii.gz")[read(folder / "tumour.nii.gz") > 0].any()


def test_its_protocol_reads_back(study):
    protocol = read_protocol(study)
    assert protocol.anatomy.labels == STRUCTURES
    assert len(protocol.strategies.names) == 4
    assert protocol.train.epochs == TOY.epochs


def test_its_phantoms_are_in_no_other_set():
    own = range(FIRST_STRATEGY_SEED, FIRST_STRATEGY_SEED + WITHOUT_TUMOUR + WITH_TUMOUR)
    assert own.start > training_set.FIRST_UNSEEN_SEED + 100_000
    assert own.stop < cohort.FIRST_COHORT_SEED
