"""Real, tiny trainings: what they leave, that a stopped one ends the same, and that nothing reported was seen."""

import dataclasses
import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import grid_of, to_image
from engine.protocol import Agreement, Segment
from engine.segment.anatomy import label_anatomy
from engine.segment.membership import plan_training
from engine.segment.model import Manifest, SeenByFold, describe_model, manifest_sha256, read_manifest, write_manifest
from engine.segment.out_of_fold import unseen_member
from engine.segment.scoring import place_model, score_model
from engine.segment.train import refuse_reported, train_model
from engine.training_protocol import Anatomy
from store.records import Cohort, DeclinedError, RefusedError
from store.sources import AnatomyProgram, Lookup, TrainingUnit, Workspace
from store.volumes import AnatomyMasks, CtSeries, Grid, LabelMaps, ct_key
from tests.engine.segment.trainings import FREE, TINY, WITH_TUMOUR, ct_of, labelled, lungs, planned, references, tumour

EVERY = (*FREE, *WITH_TUMOUR)
LUNGS = Anatomy(labels=("lung_left", "lung_right"))
IMAGES = Lookup(EVERY, ct_of)
OUTLINES = Lookup(EVERY, lambda name: labelled(name).masks)


class StoppedError(Exception):
    """What a test stops a training with."""


@pytest.fixture(scope="module")
def plan():
    return planned(EVERY)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


def train(
    plan, shared: Path, own: Path, strategy: str = "tumour-only", stop_after: int | None = None, outlines=OUTLINES
):
    heard = []

    def tell(epoch):
        heard.append((epoch.phase, epoch.epoch))
        if len(heard) == stop_after:
            raise StoppedError

    unit = TrainingUnit(strategy, 1, 0)
    done = train_model(unit, plan.plan, plan.members, IMAGES, outlines, TINY, Workspace(shared, own, tell))
    return done, heard


@pytest.fixture(scope="module")
def pretrained(plan, shared_folder, tmp_path_factory):
    return train(plan, shared_folder, tmp_path_factory.mktemp("own"), "anatomy-pretraining")


@pytest.fixture(scope="module")
def alone(plan, shared_folder, tmp_path_factory):
    return train(plan, shared_folder, tmp_path_factory.mktemp("own"))


def test_every_epoch_of_every_phase_is_told_and_recorded(pretrained):
    done, heard = pretrained
    assert heard == [("pretraining", 1), ("training", 1), ("training", 2), ("training", 3)]
    assert [(e.phase, e.epoch) for e in done.epochs] == heard
    assert all(np.isfinite(e.loss) for e in done.epochs)
    assert done.epochs[0].tumour_pseudo_dice is None
    assert done.model[0].iterations == 4 * TINY.iterations


def test_the_rate_falls_as_nnunets(alone):
    rates = [epoch.learning_rate for epoch in alone[0].epochs]
    assert rates == pytest.approx([3e-3 * (1 - epoch / 3) ** 0.9 for epoch in range(3)])


def test_a_stopped_training_goes_on_and_ends_the_same(plan, alone, shared_folder, tmp_path):
    with pytest.raises(StoppedError):
        train(plan, shared_folder, tmp_path, stop_after=2)
    torn = next(tmp_path.rglob("checkpoint_latest.pth"))
    torn.with_name("checkpoint_latest.pth.tmp").write_bytes(b"torn by a kill")
    again, heard = train(plan, shared_folder, tmp_path)
    assert heard == [("training", 3)]
    assert np.array_equal(again.weights.weights, alone[0].weights.weights)
    assert len(again.epochs) == 3


def test_all_strategies_have_the_same_plans(plan, pretrained, alone):
    manifests = [json.loads(done.weights.manifest_json) for done in (pretrained[0], alone[0])]
    for field in ("architecture", "spacing_mm", "patch_zyx", "hu_low", "hu_high", "hu_mean", "hu_sd"):
        assert manifests[0][field] == manifests[1][field]
    assert {done.model[0].plans_sha256 for done in (pretrained[0], alone[0])} == {plan.plan[0].plans_sha256}


def prepared_arrays(shared: Path, dataset: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Image and labels z, y, x of every prepared case of a data set."""
    import blosc2

    found = sorted(p for p in shared.rglob(f"{dataset}/*/*.b2nd") if not p.stem.endswith("_seg"))
    return [tuple(blosc2.open(str(p.with_name(f"{p.stem}{end}.b2nd")))[:][0] for end in ("", "_seg")) for p in found]


def test_prepared_cases_are_the_normalised_images_with_their_labels(pretrained, shared_folder):
    manifest = Manifest.model_validate_json(pretrained[0].weights.manifest_json)
    wanted = {name: manifest.normalised(ct_of(name).intensity_hu.astype(np.float32)) for name in EVERY}
    for dataset, value in (("Dataset001_Anatomy", 2), ("Dataset002_Tumour", 1)):
        for image, labels in prepared_arrays(shared_folder, dataset):
            (name,) = [n for n, one in wanted.items() if np.allclose(one, image, atol=1e-4)]
            true = tumour(name) if value == 1 else lungs()["lung_right"]
            assert np.array_equal(labels == value, true)


def corrected(name: str) -> AnatomyMasks:
    """The tumour after a reader made it twice as deep."""
    masks = labelled(name).masks.masks
    deeper = [
        dataclasses.replace(m, voxels=m.voxels | np.roll(m.voxels, 5, axis=0)) if m.structure == "tumour" else m
        for m in masks
    ]
    return AnatomyMasks(tuple(deeper))


def test_a_contour_corrected_after_a_stop_is_trained_on(plan, tmp_path):
    shared = tmp_path / "shared"
    with pytest.raises(StoppedError):
        train(plan, shared, tmp_path / "before", stop_after=1)
    first = {int((labels == 1).sum()) for _, labels in prepared_arrays(shared, "Dataset002_Tumour")}
    with pytest.raises(StoppedError):
        train(plan, shared, tmp_path / "after", stop_after=1, outlines=Lookup(EVERY, corrected))
    second = {int((labels == 1).sum()) for _, labels in prepared_arrays(shared, "Dataset002_Tumour")}
    assert (first, second) == ({125}, {125, 250})


def test_pretraining_on_corrected_anatomy_is_not_the_one_before(plan, pretrained, shared_folder, tmp_path):
    def smaller(name):
        masks = labelled(name).masks.masks
        cut = [dataclasses.replace(m, voxels=m.voxels & (np.arange(24) < 15)[:, None, None]) for m in masks]
        return AnatomyMasks(tuple(cut))

    _, heard = train(plan, shared_folder, tmp_path / "same", "anatomy-pretraining")
    assert ("pretraining", 1) not in heard  # the shared one is read back
    _, heard = train(plan, shared_folder, tmp_path / "other", "anatomy-pretraining", outlines=Lookup(EVERY, smaller))
    assert ("pretraining", 1) in heard


class Crafted:
    """What a pickle may hold: unpickling it runs a command of its author's choice."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_nothing_in_the_study_folder_is_unpickled(plan, alone, shared_folder, tmp_path):
    trace = tmp_path / "ran"
    pickle.loads(pickle.dumps(Crafted(trace)))
    trace.unlink()
    cases = [p for p in shared_folder.rglob("*.b2nd") if not p.stem.endswith("_seg")]
    assert cases
    assert not list(shared_folder.rglob("*.pkl"))
    for path in cases:
        path.with_suffix(".pkl").write_bytes(pickle.dumps(Crafted(trace)))
    try:
        again, _ = train(plan, shared_folder, tmp_path / "own")
        assert not trace.exists()
        assert np.array_equal(again.weights.weights, alone[0].weights.weights)
        places = next(shared_folder.rglob("Dataset002_Tumour/*/*_places.npy"))
        kept = places.read_bytes()
        np.save(places, np.array([Crafted(trace)], dtype=object), allow_pickle=True)
        with pytest.raises(ValueError, match="allow_pickle"):
            train(plan, shared_folder, tmp_path / "third")
        places.write_bytes(kept)
    finally:
        for path in shared_folder.rglob("*.pkl"):
            path.unlink()
    assert not trace.exists()


def test_a_function_in_place_of_an_array_is_not_run(plan, shared_folder, alone, tmp_path):
    """blosc2 stores expressions and functions in the same kind of file; they are evaluated when they are read."""
    import blosc2

    from engine.segment.nnunet_trainer import PreparedCases

    stored = blosc2.asarray(np.ones((1, 4, 4, 4)), urlpath=str(tmp_path / "operand.b2nd"))
    (stored + 1).save(urlpath=str(tmp_path / "case.b2nd"))
    np.save(tmp_path / "case_places.npy", np.zeros((0, 5), dtype=np.int64))
    with pytest.raises((ValueError, RuntimeError)):
        PreparedCases(str(tmp_path), ["case"], None).load_case("case")


def test_what_a_model_saw_is_all_but_what_it_reports(plan, pretrained):
    saw = set(json.loads(pretrained[0].weights.manifest_json)["folds"][0]["saw"])
    reported = {m.content_sha256 for m in plan.members if m.role == "reported"}
    assert saw == {m.content_sha256 for m in plan.members} - reported


def test_what_a_model_saw_is_counted_by_what_for(pretrained, alone):
    """3 tumour-free: planned on, 2 pretrained on, 1 monitored; 6 with a tumour: 2 reported, 1 monitored, 3 left."""
    counts = Counter(case.purpose for case in pretrained[0].seen)
    assert counts == {"planning": 3, "pretraining": 2, "training": 3, "monitoring": 2}
    assert Counter(case.purpose for case in alone[0].seen) == {"planning": 3, "training": 3, "monitoring": 1}
    said = [json.loads(done.weights.manifest_json)["trained_on"] for done in (pretrained[0], alone[0])]
    assert "3 planned on, 2 pretrained on, 3 trained on, 2 monitored, 7 in all" in said[0]
    assert "3 planned on, 3 trained on, 1 monitored, 7 in all" in said[1]
    assert [done.model[0].cases for done in (pretrained[0], alone[0])] == [5, 3]


def without_anatomy(names: tuple[str, ...]):
    """A plan of all cases, these of them without a label map."""
    done = {
        name: labelled(name)
        if name not in names
        else label_anatomy(ct_of(name), references(name), LabelMaps(()), LUNGS, AnatomyProgram())
        for name in EVERY
    }
    cases = Cohort(tuple((name, one.trainable[0]) for name, one in done.items()))
    return plan_training(cases, Lookup(EVERY, lambda name: done[name].fingerprint), TINY), done


def test_a_strategy_with_anatomy_is_declined_where_training_cases_lack_it(tmp_path):
    plan, done = without_anatomy(WITH_TUMOUR)
    outlines = Lookup(EVERY, lambda name: done[name].masks)
    with pytest.raises(DeclinedError, match=r"4 of the 4 cases .* lack anatomical labels \(lung_left, lung_right\)"):
        train(plan, tmp_path / "s", tmp_path / "own", "tumour-and-anatomy", outlines=outlines)
    assert not (tmp_path / "own").exists()


def test_the_strategies_without_anatomy_go_on_then(tmp_path):
    plan, done = without_anatomy(WITH_TUMOUR)
    outlines = Lookup(EVERY, lambda name: done[name].masks)
    for strategy in ("tumour-only", "anatomy-pretraining"):
        with pytest.raises(StoppedError):
            train(plan, tmp_path / "s", tmp_path / strategy, strategy, stop_after=1, outlines=outlines)


def test_one_case_without_anatomy_is_enough_to_decline(tmp_path):
    name = next(m.case_id for m in planned(EVERY).members if m.role == "monitored")
    plan, done = without_anatomy((name,))
    with pytest.raises(DeclinedError, match="1 of the 4 cases"):
        train(
            plan, tmp_path / "s", tmp_path / "o", "tumour-and-anatomy", outlines=Lookup(EVERY, lambda n: done[n].masks)
        )


def score(plan, done, members):
    unit = TrainingUnit("tumour-only", 1, 0)
    lookup = Lookup(EVERY, references)
    return score_model(unit, done.weights, members, IMAGES, lookup, Segment(), Agreement()).overlaps


def test_exactly_the_reported_cases_are_scored(plan, alone):
    rows = score(plan, alone[0], plan.members)
    assert {row.case_id for row in rows} == {m.case_id for m in plan.members if m.role == "reported"}


def test_a_case_is_never_scored_by_a_fold_that_saw_it(plan, alone):
    swapped = tuple(dataclasses.replace(m, role="reported") if m.role == "training" else m for m in plan.members)
    with pytest.raises(ValueError, match="never saw"):
        score(plan, alone[0], swapped)


def test_an_image_that_is_reported_is_not_trained_on_under_another_name(plan):
    reported = tuple(m for m in plan.members if m.role == "reported")
    alias = dataclasses.replace(reported[0], case_id="ALIAS", role="training")
    with pytest.raises(ValueError, match="reported"):
        refuse_reported(reported, [alias])


def register(weights, folds, home: Path):
    manifest = Manifest.model_validate_json(weights.manifest_json).model_copy(update={"folds": folds})
    return place_model(weights, manifest, home, manifest_sha256(manifest))


@pytest.fixture(scope="module")
def cross_validated(tmp_path_factory):
    """Two real folds: plan, and by fold the trained model."""
    sizes = TINY.model_copy(update={"folds": 2, "epochs": 1})
    plan, shared = planned(EVERY, sizes), tmp_path_factory.mktemp("folds")
    done = {}
    for fold in (0, 1):
        unit, own = TrainingUnit("tumour-only", 1, fold), Workspace(shared, shared / f"own{fold}", lambda epoch: None)
        done[fold] = train_model(unit, plan.plan, plan.members, IMAGES, OUTLINES, sizes, own)
    return plan, done


@pytest.fixture
def registered(cross_validated, tmp_path, monkeypatch):
    """Both folds registered, each manifest with what both saw."""
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    _, done = cross_validated
    seen = tuple(Manifest.model_validate_json(d.weights.manifest_json).folds[0] for d in done.values())
    return {fold: register(d.weights, seen, tmp_path / "models") for fold, d in done.items()}


def re_encoded(ct: CtSeries) -> tuple[CtSeries, ...]:
    """The same image as other software hands it on."""
    shifted = Grid(ct.grid.size_xyz, ct.grid.spacing_mm, (0.0005000001, -1e-9, 0.0))
    zeros = Grid(ct.grid.size_xyz, ct.grid.spacing_mm, ct.grid.origin_mm, (1, -0.0, 0, 0, 1, -0.0, 0, 0, 1))
    turned = sitk.DICOMOrient(to_image(ct.intensity_hu, ct.grid), "RAS")
    return (
        CtSeries(ct.intensity_hu.astype(np.float32), ct.grid),
        CtSeries(ct.intensity_hu, shifted),
        CtSeries(ct.intensity_hu, zeros),
        CtSeries(sitk.GetArrayFromImage(turned), grid_of(turned)),
    )


def test_every_case_is_segmented_by_the_fold_that_reports_it_however_it_is_written(cross_validated, registered):
    plan, _ = cross_validated
    for member in plan.members:
        if member.role == "reported":
            for ct in (ct_of(member.case_id), *re_encoded(ct_of(member.case_id))):
                for model in registered.values():
                    assert unseen_member(model, ct).sha256 == registered[member.fold].sha256


def test_an_image_that_every_fold_planned_on_is_refused_however_it_is_written(registered):
    for ct in (ct_of("F1"), *re_encoded(ct_of("F1"))):
        with pytest.raises(RefusedError, match="trained on this image"):
            unseen_member(registered[0], ct)


def test_without_the_fold_that_left_it_out_an_image_is_refused(cross_validated, registered):
    plan, _ = cross_validated
    case = next(m.case_id for m in plan.members if m.role == "reported" and m.fold == 1)
    Path(registered[1].manifest_path).unlink()
    with pytest.raises(RefusedError, match="trained on this image"):
        unseen_member(registered[0], ct_of(case))


def test_a_manifest_that_lists_exact_keys_still_counts(alone, tmp_path):
    sha256 = json.loads(alone[0].weights.manifest_json)["weights_sha256"]
    folds = (SeenByFold(weights_sha256=sha256, saw=(ct_key(ct_of("T1")),)),)
    with pytest.raises(RefusedError, match="trained on this image"):
        unseen_member(register(alone[0].weights, folds, tmp_path), ct_of("T1"))


def test_a_model_of_unknown_history_is_taken_as_it_is(alone, tmp_path):
    manifest = Manifest.model_validate_json(alone[0].weights.manifest_json).model_copy(update={"folds": ()})
    write_manifest(tmp_path / "plain.json", manifest)
    model = describe_model(tmp_path / "plain.json")
    assert unseen_member(model, ct_of("T1")) is model
    assert "saw" not in (tmp_path / "plain.json").read_text()
    assert read_manifest(tmp_path / "plain.json") == manifest
