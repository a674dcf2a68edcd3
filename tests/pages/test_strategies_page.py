"""The page on training strategies, on results made up so that what it must say is known."""

import pytest

from engine.analyse.strategies import compare_strategies
from engine.protocol import Protocol, Study
from engine.training_protocol import Strategies
from store.publisher import publish
from store.queries.strategies import cases_by_strategy
from store.records import SeenCase, StrategyOverlap, TrainedModel, TrainingEpoch, TrainingMember, TrainingPlan
from store.snapshot import open_snapshot
from store.sources import Trainings
from tests.store.recorded import finish_run, record, start_run

PAGE = "segmentation/strategies.py"
NAMES = ("tumour-only", "anatomy-pretraining", "tumour-only-long")
CASES = 10


def overlap(name: str, seed: int, case: int, gain: float) -> StrategyOverlap:
    dsc = 0.3 + 0.04 * case + (gain if name == "anatomy-pretraining" else 0.0) + 0.001 * seed * (case % 3)
    return StrategyOverlap(name, seed, 0, f"C{case:02d}", dsc, dsc, False, 4.0)


ROLES = {"t": "training", "u": "training", "m": "monitored", "f": "tumour_free", "g": "tumour_free"}
PURPOSES = {"t": "training", "u": "training", "m": "monitoring"}
PRETRAINING = {"f": "pretraining", "g": "monitoring"}


def seen(name: str, seed: int) -> list[SeenCase]:
    """Two cases trained on and one monitored; pretraining adds one and one; planned on both tumour-free ones."""
    purposes = PURPOSES | (PRETRAINING if name == "anatomy-pretraining" else {})
    planned = [("f", "planning"), ("g", "planning")]
    return [SeenCase(name, seed, 0, image * 64, purpose) for image, purpose in (*purposes.items(), *planned)]


def write(study, seeds: int, gain: float, names=NAMES, lost=()):
    """A finished comparison; the trainings (strategy, seed) in `lost` failed."""
    start_run(study, "run-1", "strategies", Protocol(study=Study(name="S", synthetic=True)))
    members = [TrainingMember(0, f"C{c:02d}", f"{c:064d}", "reported", "") for c in range(CASES)]
    members += [TrainingMember(0, role, role * 64, name, "") for role, name in ROLES.items()]
    record(
        study,
        "run-1",
        "training_plan",
        "",
        [TrainingPlan("{}", "lung_left", f"{'f' * 64},{'g' * 64}", "p" * 64)],
        members,
    )
    overlaps, models = [], []
    for name in names:
        for seed in (seed for seed in range(1, seeds + 1) if (name, seed) not in lost):
            unit = f"#train {name} {seed} 0"
            model = TrainedModel(name, seed, 0, "w" * 64, "p" * 64, 1080, 123.0, 456.0, "cpu", 1, 2)
            epochs = [
                TrainingEpoch(
                    name, seed, 0, phase, n, 2, 0.5, 0.5, 0.4, None if phase == "pretraining" else 0.2, 0.01, 1.0, 1.0
                )
                for phase in ("pretraining", "training")
                for n in (1, 2)
            ]
            rows = [overlap(name, seed, case, gain) for case in range(CASES)]
            record(study, "run-1", "training", unit, [model], epochs, seen(name, seed))
            record(study, "run-1", "trained_overlap", unit, rows)
            overlaps += rows
            models.append(model)
    compared = compare_strategies(
        Trainings(tuple(("", o) for o in overlaps)),
        Trainings(tuple(("", m) for m in models)),
        tuple(members),
        Strategies(names=names, seeds=tuple(range(1, seeds + 1))),
    )
    record(study, "run-1", "strategies", "", compared.summaries, compared.comparisons, compared.trainings)
    finish_run(study, "run-1")
    publish(study)


def text_of(app) -> str:
    return "\n".join(
        str(e.value) for kind in (app.title, app.markdown, app.caption, app.warning, app.info) for e in kind
    )


def test_a_gain_over_cases_and_trainings_is_a_yes_with_number_and_budget(show, tmp_path):
    write(tmp_path, 2, 0.2)
    app = show(tmp_path, PAGE)
    assert not app.exception
    said = text_of(app)
    assert "**Yes**" in said
    assert "difference **+0.20**" in said
    assert "2 trainings of each" in said
    budget = app.dataframe[0].value
    assert set(budget["Iterations"]) == {"1 080"}
    assert set(budget["CPU s"]) == {"123"}
    assert len(app.get("plotly_chart")) == 2
    assert "p (Holm)" in app.dataframe[1].value.columns


def test_a_lost_training_is_said_and_its_seed_is_in_no_figure(show, tmp_path):
    write(tmp_path, 3, 0.2, lost=[("tumour-only", 3)])
    said = text_of(show(tmp_path, PAGE))
    assert "Not compared, without a result: Tumour only, seed 3. **Runs** says why." in said
    assert "Seed 3 of the others is left out too" in said
    assert "2 trainings of each" in said
    snapshot = open_snapshot(tmp_path)
    points = {(row.strategy, row.case_id): row.dsc for row in cases_by_strategy(snapshot, "run-1")}
    assert len(points) == 3 * CASES
    alone = [overlap("anatomy-pretraining", seed, 5, 0.2).dsc for seed in (1, 2)]
    assert points["anatomy-pretraining", "C05"] == pytest.approx(sum(alone) / 2)


def test_images_are_counted_by_what_they_were_used_for(show, tmp_path):
    write(tmp_path, 2, 0.2)
    said = text_of(show(tmp_path, PAGE))
    assert "Trained on: 2 cases with a tumour, 1 more only monitored." in said
    assert "Pretrained on: 1 without one, 1 more only monitored." in said
    assert f"Reported: {CASES} (no training saw one of them). nnU-Net planned once, on 2 cases" in said


def test_nothing_is_called_pretrained_where_no_strategy_pretrains(show, tmp_path):
    write(tmp_path, 2, 0.2, ("tumour-only", "tumour-only-long"))
    said = text_of(show(tmp_path, PAGE))
    assert "1 more only monitored. Reported: 10" in said
    assert "Pretrained on" not in said


def test_no_gain_is_never_called_no_effect(show, tmp_path):
    write(tmp_path, 2, 0.0)
    assert "**Not shown** to help or to harm" in text_of(show(tmp_path, PAGE))


def test_one_seed_is_called_one_training_run_and_decides_nothing(show, tmp_path):
    write(tmp_path, 1, 0.2)
    said = text_of(show(tmp_path, PAGE))
    assert "one training run of each" in said
    assert "trained once" in said
    assert "**Cannot be told**" in said


def test_without_pretraining_the_best_strategy_is_named(show, tmp_path):
    write(tmp_path, 2, 0.0, ("tumour-only", "tumour-only-long"))
    assert "Pretraining was not compared" in text_of(show(tmp_path, PAGE))


@pytest.mark.parametrize("measure", ["tumour_pseudo_dice", "loss"])
def test_both_learning_curves_can_be_drawn(show, tmp_path, measure):
    write(tmp_path, 1, 0.1)
    app = show(tmp_path, PAGE)
    app.radio(key="curve").set_value(measure).run()
    assert not app.exception


def test_a_study_that_trained_nothing_says_which_command_to_type(show, tmp_path):
    start_run(tmp_path, "run-1", "", Protocol(study=Study(name="S", synthetic=True)))
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    app = show(tmp_path, PAGE)
    assert "train STUDY --strategy all" in app.info[0].value
    assert "gen-" in text_of(app)


def test_the_comparison_of_an_earlier_run_is_shown_and_named(show, tmp_path):
    write(tmp_path, 2, 0.2)
    start_run(tmp_path, "run-2", "", Protocol(study=Study(name="S", synthetic=True)))
    finish_run(tmp_path, "run-2")
    publish(tmp_path)
    assert "this is the comparison of run-1" in text_of(show(tmp_path, PAGE))
