"""The page on training strategies, on results made up so that what it must say is known."""

import pytest

from engine.analyse.strategies import compare_strategies
from engine.protocol import Protocol, Study
from store.publisher import publish
from store.records import StrategyOverlap, TrainedModel, TrainingEpoch, TrainingMember, TrainingPlan
from store.sources import Trainings
from tests.store.recorded import finish_run, record, start_run

PAGE = "segmentation/strategies.py"
NAMES = ("tumour-only", "anatomy-pretraining", "tumour-only-long")
CASES = 10


def overlap(name: str, seed: int, case: int, gain: float) -> StrategyOverlap:
    dsc = 0.3 + 0.04 * case + (gain if name == "anatomy-pretraining" else 0.0) + 0.001 * seed * (case % 3)
    return StrategyOverlap(name, seed, 0, f"C{case:02d}", dsc, dsc, False, 4.0)


def write(study, seeds: int, gain: float, names=NAMES):
    start_run(study, "run-1", "strategies", Protocol(study=Study(name="S", synthetic=True)))
    members = [TrainingMember(0, f"C{c:02d}", f"{c:064d}", "reported") for c in range(CASES)]
    members += [TrainingMember(0, "T", "t" * 64, "training"), TrainingMember(0, "F", "f" * 64, "tumour_free")]
    record(study, "run-1", "training_plan", "", [TrainingPlan("{}", "lung_left", "f" * 64, "p" * 64)], members)
    overlaps, models = [], []
    for name in names:
        for seed in range(1, seeds + 1):
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
            record(study, "run-1", "training", unit, [model], epochs)
            record(study, "run-1", "trained_overlap", unit, rows)
            overlaps += rows
            models.append(model)
    compared = compare_strategies(
        Trainings(tuple(("", o) for o in overlaps)), Trainings(tuple(("", m) for m in models))
    )
    record(study, "run-1", "strategies", "", compared.summaries, compared.comparisons)
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
