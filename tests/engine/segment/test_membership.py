"""Which case is planned on, trained on and reported; the plans are nnU-Net's own."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from engine.geometry import to_image
from engine.segment.anatomy import label_anatomy
from engine.segment.membership import plan_training
from engine.segment.nnunet_plan import dataset_fingerprint, fingerprint, make_plans
from engine.training_protocol import Anatomy, Train
from store.records import Cohort, DeclinedError, TrainableCase
from store.sources import AnatomyProgram, Lookup
from store.volumes import CtSeries, LabelMaps
from tests.engine.segment.trainings import FREE, GRID, TINY, WITH_TUMOUR, ct_of, labelled, planned, references, tumour

EVERY = (*FREE, *WITH_TUMOUR)


def by_role(plan, fold=0):
    roles: dict[str, set[str]] = {}
    for member in plan.members:
        if member.fold == fold:
            roles.setdefault(member.role, set()).add(member.case_id)
    return roles


def test_every_case_has_one_part_and_reported_ones_no_other():
    roles = by_role(planned(EVERY))
    assert roles["tumour_free"] == set(FREE)
    assert (len(roles["reported"]), len(roles["monitored"]), len(roles["training"])) == (2, 1, 3)
    assert roles["reported"] | roles["monitored"] | roles["training"] == set(WITH_TUMOUR)


def test_the_split_follows_content_not_names():
    renamed = {name: f"X{place}" for place, name in enumerate(reversed(EVERY))}
    done = {new: labelled(old) for old, new in renamed.items()}
    cases = Cohort(tuple((name, one.trainable[0]) for name, one in sorted(done.items())))
    again = plan_training(cases, Lookup(tuple(done), lambda name: done[name].fingerprint), TINY)
    back = {new: old for old, new in renamed.items()}
    assert {back[name] for name in by_role(again)["reported"]} == by_role(planned(EVERY))["reported"]


def test_cross_validation_reports_every_case_once():
    plan = planned(EVERY, TINY.model_copy(update={"folds": 2}))
    first, second = by_role(plan, 0)["reported"], by_role(plan, 1)["reported"]
    assert first | second == set(WITH_TUMOUR)
    assert not first & second


def test_plans_come_from_tumour_free_cases_alone():
    plan = planned(EVERY).plan[0]
    assert set(plan.planned_on.split(",")) == {labelled(name).trainable[0].content_sha256 for name in FREE}
    assert plan.labels == "lung_left,lung_right"


def test_the_window_of_anatomy_holds_lung_where_that_of_the_tumour_does_not():
    anatomy = dataset_fingerprint([labelled("F1").fingerprint])
    alone = dataset_fingerprint([fingerprint(ct_of("T1"), tumour("T1").astype(np.int16))])
    low = [f["foreground_intensity_properties_per_channel"]["0"]["percentile_00_5"] for f in (anatomy, alone)]
    assert low[0] < -800
    assert low[1] > 0


def test_without_tumour_free_cases_plans_leave_out_what_is_reported():
    plan = planned(WITH_TUMOUR)
    reported = {member.content_sha256 for member in plan.members if member.role == "reported"}
    assert not reported & set(plan.plan[0].planned_on.split(","))


def test_cross_validation_without_tumour_free_cases_is_declined():
    with pytest.raises(DeclinedError, match="tumour-free"):
        planned(WITH_TUMOUR, TINY.model_copy(update={"folds": 2}))


def test_too_few_cases_are_declined():
    with pytest.raises(DeclinedError, match="at least 3"):
        planned((*FREE, "T1", "T2"))


def test_one_image_under_two_names_is_declined():
    twin = TrainableCase("a" * 64, 1.0, "lung_left")
    with pytest.raises(DeclinedError, match="same image"):
        plan_training(Cohort((("A", twin), ("B", twin))), Lookup((), labelled), TINY)


def test_one_image_written_down_in_two_ways_is_declined():
    other = CtSeries(ct_of("T1").intensity_hu.astype(np.float32), GRID)
    again = label_anatomy(other, references("T1"), LabelMaps(()), Anatomy(), AnatomyProgram())
    done = {**{name: labelled(name) for name in EVERY}, "T7": again}
    cases = Cohort(tuple((name, one.trainable[0]) for name, one in done.items()))
    with pytest.raises(DeclinedError, match="same image"):
        plan_training(cases, Lookup(tuple(done), lambda name: done[name].fingerprint), TINY)


def test_cases_without_anatomy_are_declined():
    bare = Cohort(tuple((name, TrainableCase(name * 32, 1.0, "")) for name in WITH_TUMOUR))
    with pytest.raises(DeclinedError, match=r"anatomy\.labels"):
        plan_training(bare, Lookup((), labelled), TINY)


def test_the_fingerprint_of_a_case_is_nnunets(tmp_path):
    case = labelled("T1")
    labels = np.zeros(ct_of("T1").grid.shape_zyx, dtype=np.int16)
    for mask in case.masks.masks:
        labels[mask.voxels] = 1
    image, marked = tmp_path / "i.nii.gz", tmp_path / "l.nii.gz"
    sitk.WriteImage(to_image(ct_of("T1").intensity_hu, ct_of("T1").grid), str(image))
    sitk.WriteImage(to_image(labels, ct_of("T1").grid), str(marked))
    shape, spacing, samples, _, relative = DatasetFingerprintExtractor.analyze_case([image], marked, SimpleITKIO)
    own = case.fingerprint
    assert (own.shape_zyx, own.relative_size) == (tuple(shape), relative)
    assert own.spacing_zyx_mm == pytest.approx(spacing)
    assert np.array_equal(own.foreground_hu, samples[0])


def test_sizes_left_empty_are_as_nnunet_plans():
    plans = make_plans(
        [labelled(name).fingerprint for name in FREE], ("background", "lung_left", "lung_right"), Train()
    )
    configuration = plans["configurations"]["3d_fullres"]
    assert configuration["batch_size"] >= 2
    assert configuration["architecture"]["arch_kwargs"]["features_per_stage"][:2] == [32, 64]
    assert configuration["normalization_schemes"] == ["CTNormalization"]
    assert configuration["resampling_fn_data"] == "resample_torch_fornnunet"
    resized = json.loads(planned(EVERY).plan[0].plans_json)["configurations"]["3d_fullres"]
    assert (resized["patch_size"], resized["batch_size"]) == ([16, 16, 16], 2)
