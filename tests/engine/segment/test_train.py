"""Real, tiny trainings: what they leave, that a stopped one ends the same, and that nothing reported was seen."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.protocol import Agreement, Segment
from engine.segment.model import Manifest, SeenByFold, describe_model, manifest_sha256, read_manifest, write_manifest
from engine.segment.out_of_fold import unseen_member
from engine.segment.scoring import place_model, score_model
from engine.segment.train import refuse_reported, train_model
from store.records import RefusedError
from store.sources import Lookup, TrainingUnit, Workspace
from store.volumes import ct_key
from tests.engine.segment.trainings import FREE, TINY, WITH_TUMOUR, ct_of, labelled, planned, references

EVERY = (*FREE, *WITH_TUMOUR)
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


def train(plan, shared: Path, own: Path, strategy: str = "tumour-only", stop_after: int | None = None):
    heard = []

    def tell(epoch):
        heard.append((epoch.phase, epoch.epoch))
        if len(heard) == stop_after:
            raise StoppedError

    unit = TrainingUnit(strategy, 1, 0)
    done = train_model(unit, plan.plan, plan.members, IMAGES, OUTLINES, TINY, Workspace(shared, own, tell))
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


def test_prepared_cases_of_two_label_sets_hold_the_same_image(plan, pretrained, alone, shared_folder):
    import blosc2

    name = next(m.content_sha256[:16] for m in plan.members if m.role == "training")
    anatomy = next(m.content_sha256[:16] for m in plan.members if m.role == "tumour_free")
    assert list(shared_folder.rglob(f"Dataset002_Tumour/*/{name}.b2nd"))
    found = list(shared_folder.rglob(f"Dataset001_Anatomy/*/{anatomy}.b2nd"))
    image = blosc2.open(str(found[0]))[:]
    manifest = Manifest.model_validate_json(alone[0].weights.manifest_json)
    case = next(m.case_id for m in plan.members if m.content_sha256.startswith(anatomy))
    assert np.allclose(image[0], manifest.normalised(ct_of(case).intensity_hu.astype(np.float32)), atol=1e-4)


def test_what_a_model_saw_is_all_but_what_it_reports(plan, pretrained):
    saw = set(json.loads(pretrained[0].weights.manifest_json)["folds"][0]["saw"])
    reported = {m.content_sha256 for m in plan.members if m.role == "reported"}
    assert saw == {m.content_sha256 for m in plan.members} - reported
    assert {case.purpose for case in pretrained[0].seen} == {"planning", "pretraining", "training", "monitoring"}


def score(plan, done, members):
    unit = TrainingUnit("tumour-only", 1, 0)
    lookup = Lookup(EVERY, references)
    return score_model(unit, done.weights, members, IMAGES, lookup, Segment(), Agreement()).overlaps


def test_exactly_the_reported_cases_are_scored(plan, alone):
    rows = score(plan, alone[0], plan.members)
    assert {row.case_id for row in rows} == {m.case_id for m in plan.members if m.role == "reported"}


def test_a_case_is_never_scored_by_a_fold_that_saw_it(plan, alone):
    import dataclasses

    swapped = tuple(dataclasses.replace(m, role="reported") if m.role == "training" else m for m in plan.members)
    with pytest.raises(ValueError, match="never saw"):
        score(plan, alone[0], swapped)


def test_an_image_that_is_reported_is_not_trained_on_under_another_name(plan):
    reported = tuple(m for m in plan.members if m.role == "reported")
    import dataclasses

    alias = dataclasses.replace(reported[0], case_id="ALIAS", role="training")
    with pytest.raises(ValueError, match="reported"):
        refuse_reported(reported, [alias])


def register(weights, folds, home: Path):
    manifest = Manifest.model_validate_json(weights.manifest_json).model_copy(update={"folds": folds})
    return place_model(weights, manifest, home, manifest_sha256(manifest))


def test_segment_takes_the_fold_that_did_not_see_the_case(plan, alone, pretrained, tmp_path, monkeypatch):
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    seen_ct, name = ct_of("T1"), ct_key(ct_of("T1"))
    folds = tuple(
        SeenByFold(weights_sha256=json.loads(done.weights.manifest_json)["weights_sha256"], saw=saw)
        for done, saw in ((alone[0], (name,)), (pretrained[0], ("f" * 64,)))
    )
    models = [register(done.weights, folds, tmp_path / "models") for done in (alone[0], pretrained[0])]
    assert unseen_member(models[0], seen_ct).sha256 == models[1].sha256
    assert unseen_member(models[0], ct_of("T2")).sha256 == models[0].sha256
    Path(models[1].manifest_path).unlink()
    with pytest.raises(RefusedError, match="trained on this image"):
        unseen_member(models[0], seen_ct)


def test_a_model_of_unknown_history_is_taken_as_it_is(alone, tmp_path):
    manifest = Manifest.model_validate_json(alone[0].weights.manifest_json).model_copy(update={"folds": ()})
    write_manifest(tmp_path / "plain.json", manifest)
    model = describe_model(tmp_path / "plain.json")
    assert unseen_member(model, ct_of("T1")) is model
    assert "saw" not in (tmp_path / "plain.json").read_text()
    assert read_manifest(tmp_path / "plain.json") == manifest
