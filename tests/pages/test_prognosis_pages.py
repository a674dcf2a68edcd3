"""The pages of prognosis on recorded results of a small cohort whose truth is planted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.analyse.candidates import candidates
from engine.analyse.external import validate
from engine.analyse.guard import rows_of
from engine.analyse.prognosis import compare_models
from engine.portable_model import merged, read_model_text
from engine.present.numbers import number
from engine.protocol import Clinical, Covariates, FeatureGrid, Features, Masks, Outcome, Plan, Protocol, Rois, Study
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import publish
from store.queries.masks import mask_runs
from store.queries.prognosis import detection_rates
from store.records import CarriedModel, EndpointCount, FeatureMask, PlantedClaim, SelectionSize
from store.snapshot import close_snapshots, open_snapshot
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, collect, make_table, run_resamples
from tests.engine.analyse.test_portable import finals_of
from tests.store.recorded import finish_run, record, start_run

TAB = "discrimination-tabs"
DISCRIMINATION, SURVIVAL, EXTERNAL = (f"prognosis/{name}.py" for name in ("discrimination", "survival", "external"))


def competing(table):
    """Every third event is a death without recurrence."""
    event = np.where((table.event == 1) & (np.arange(len(table.case_ids)) % 3 == 0), 2, table.event).astype(np.int8)
    label = np.where((event == 2) & (table.label == 1), 0, table.label).astype(np.int8)
    return dataclasses.replace(table, event=event, label=label)


def write(study, table, finals=()):
    start_run(study, "run-1", "", Protocol(study=Study(name="S", synthetic=True)))
    found = run_resamples(table, 3)
    sizes = candidates(table, CHOICES, RULES, NO_COMBAT).sizes
    performance = collect(found, "performance")
    made = compare_models(table, collect(found, "out_of_bag"), performance, finals, sizes, CHOICES, Plan())
    parts = [getattr(made, field.name) for field in dataclasses.fields(made)]
    record(study, "run-1", "prognosis", "", *[part for part in parts if part])
    record(study, "run-1", "resample", "#00000", [row for _, row in performance])
    count = EndpointCount("recurrence", "recurrence", True, 120, 40, 9, 60, 11, 0, 0.36, 0.3, 0.4)
    other = dataclasses.replace(count, endpoint="any-cause", chosen=False, risk=0.44)
    record(study, "run-1", "table", "", [count, other])


def publish_run(study):
    finish_run(study, "run-1")
    publish(study)


def opened(app, tab):
    app.session_state[TAB] = tab
    return app.run()


def said(app) -> str:
    return "\n".join(
        str(e.value) for kind in (app.title, app.markdown, app.caption, app.warning, app.info) for e in kind
    )


@pytest.fixture(scope="module")
def planted():
    table = make_table(np.random.default_rng(22), n=130, signal=2.0)
    return table, finals_of(table).models


def test_discrimination_leads_with_clinical_and_volume_and_shows_every_learner(show, tmp_path, planted):
    write(tmp_path, *planted)
    claims = [PlantedClaim(n, g, 0.6, g, g - 0.05, g + 0.1, "adds", g > 0.1, 40) for n in range(5) for g in (0, 0.2)]
    record(tmp_path, "run-1", "planted", "#00000", claims)
    publish_run(tmp_path)
    app = show(tmp_path, DISCRIMINATION)
    assert not app.exception
    text = said(app)
    assert "**Adds.** Combined against clinical + volume" in text
    assert "A gain of +0.20 would have been found in four of five" in text
    assert len(app.get("plotly_chart")) == 4
    assert "by Riley's criteria it needs" in said(opened(app, "Sample size"))
    assert len(opened(app, "Groups of patients").get("plotly_chart")) == 3
    models = opened(app, "All models").dataframe[1].value
    assert {"forest: combined", "Cox: combined", "combined, clinical fixed"} <= set(models["model"])
    assert models["auc_632_plus"].notna().sum() >= 10
    forests = models["model"].str.startswith("forest")
    assert models["optimism"][~forests].notna().all()
    assert models["optimism"][forests].isna().all()
    assert models["auc_632_plus"][forests].notna().all()
    delong = opened(app, "DeLong, as in the paper").dataframe[-1].value.columns
    assert "delong_difference" in delong
    assert "delong_p" not in delong  # the plan is open
    assert not app.exception


def masked(study, run_id, table, source, left_out=0):
    """One run of the same study on one kind of mask; its last patients have no features on it."""
    order = (source,) if source == "automatic" else ("adjudicated", "reviewed", "reference", "automatic")
    until = "prognosis" if source == "automatic" else ""
    protocol = Protocol(study=Study(name="S", synthetic=True), masks=Masks(feature_mask_order=order))
    start_run(study, run_id, until, protocol)
    there = rows_of(table, np.arange(len(table.case_ids) - left_out))
    found = run_resamples(there, 3)
    sizes = candidates(there, CHOICES, RULES, NO_COMBAT).sizes
    performance = collect(found, "performance")
    made = compare_models(there, collect(found, "out_of_bag"), performance, (), sizes, CHOICES, Plan())
    record(study, run_id, "clinical", "", [EndpointCount("any", "any", True, 9, 3, 6, 0, 0, 0, 0.3, 0.2, 0.4)])
    record(study, run_id, "prognosis", f"#{source}", made.comparisons, made.summaries, made.predictions, made.roc)
    for case in there.case_ids:
        record(study, run_id, f"review {source}", case, [FeatureMask("tumour", source, source, source)])
    finish_run(study, run_id)


def test_the_headline_stands_beside_itself_on_other_masks_and_says_who_is_missing(show, tmp_path):
    table = make_table(np.random.default_rng(22), n=130, signal=2.0)
    masked(tmp_path, "run-1", table, "reviewed")
    publish(tmp_path)
    assert "python -m engine run STUDY --masks automatic" in said(
        opened(show(tmp_path, DISCRIMINATION), "On other masks")
    )
    masked(tmp_path, "run-2", table, "automatic", left_out=10)
    publish(tmp_path)
    app = opened(show(tmp_path, DISCRIMINATION), "On other masks")
    assert not app.exception
    assert "(run-1, " in said(app)  # the study's own run is shown although the other is newer
    own, other = mask_runs(open_snapshot(tmp_path), "run-1", "clinical_volume")
    assert (own.mix, own.patients, other.mix, other.shared) == ("130 reviewed", 130, "120 automatic", 120)
    text = said(app)
    assert f"a change of {number(other.difference - own.difference)}" in text
    assert "**Not the same patients**: 120 and 130, 120 in both" in text
    shown = next(frame.value for frame in app.dataframe if "mix" in frame.value.columns)
    assert shown["difference"].tolist() == pytest.approx([own.difference, other.difference])


def test_a_run_of_other_choices_or_images_is_not_set_beside_it(tmp_path):
    table = make_table(np.random.default_rng(22), n=60, signal=2.0)
    masked(tmp_path, "run-1", table, "reviewed")
    masked(tmp_path, "run-2", table, "automatic")
    with Ledger(StudyFolder(tmp_path)) as ledger, ledger.transaction() as connection:
        connection.execute("UPDATE placement SET key='other' WHERE run_id='run-2' AND stage='clinical'")
    publish(tmp_path)
    assert [row.run_id for row in mask_runs(open_snapshot(tmp_path), "run-1", "clinical_volume")] == ["run-1"]
    close_snapshots()


def test_the_chosen_models_are_drawn_and_an_empty_choice_breaks_nothing(show, tmp_path, planted):
    write(tmp_path, *planted)
    publish_run(tmp_path)
    app = show(tmp_path, DISCRIMINATION)
    app.sidebar.multiselect(key="models").set_value(["forest_combined"]).run()
    assert not app.exception
    app.sidebar.multiselect(key="models").set_value([]).run()
    assert not app.exception


def test_where_deaths_compete_incidence_takes_the_place_of_kaplan_meier(show, tmp_path):
    write(tmp_path, competing(make_table(np.random.default_rng(5), n=160)))
    publish_run(tmp_path)
    app = show(tmp_path, SURVIVAL)
    assert not app.exception
    text = said(app)
    assert "Had the event by 730 days" in text
    assert "died without it" in text
    assert "Aalen-Johansen estimate" in text
    assert set(app.dataframe[0].value["effect"]) == {"hazard", "subdistribution hazard"}
    assert "moves the risk at the horizon from 36" in text


def test_without_competing_deaths_it_is_kaplan_meier(show, tmp_path, planted):
    write(tmp_path, *planted)
    publish_run(tmp_path)
    app = show(tmp_path, SURVIVAL)
    assert not app.exception
    assert "Free of the event at 730 days" in said(app)
    assert "effect" not in app.dataframe[0].value.columns


@pytest.fixture(scope="module")
def carried():
    table = make_table(np.random.default_rng(11), n=240, signal=1.5)
    made, held = rows_of(table, np.arange(120)), rows_of(table, np.arange(120, 240))
    read = tuple(read_model_text(final.specification) for final in finals_of(made).models)
    return CarriedModel("Elsewhere", 120, 45, "", merged(read, "Elsewhere", {"combined": 0.8}).model_dump_json()), held


def test_external_says_whether_it_transfers_and_what_it_was_not_made_for(show, tmp_path, carried):
    model, held = carried
    order = np.random.default_rng(6).permutation(120)
    broken = dataclasses.replace(held, days=held.days[order], event=held.event[order], label=held.label[order])
    for study, table, verdict in ((tmp_path / "a", held, "Transfers"), (tmp_path / "b", broken, "Fails to transfer")):
        start_run(study, "run-1", "", Protocol(study=Study(name="S", synthetic=True)))
        found = validate(
            *(table, (model,), Outcome(), Clinical(treatment="radiotherapy"), Covariates()),
            *(Features(), FeatureGrid(), Rois(), Plan()),
        )
        record(study, "run-1", "carried", "", [model])
        record(study, "run-1", "external", "", found.predictions, found.summaries, found.comparisons, found.aspects)
        publish_run(study)
        app = show(study, EXTERNAL)
        assert not app.exception
        text = said(app)
        assert f"**{verdict}" in text
        assert "treatment: made for not declared, tested on radiotherapy" in text
        assert "Model made on Elsewhere (n = 120" in text
        assert "p" not in app.dataframe[1].value.columns


def test_without_a_model_external_says_how_to_get_one(show, tmp_path, planted):
    write(tmp_path, *planted)
    publish_run(tmp_path)
    app = show(tmp_path, EXTERNAL)
    assert not app.exception
    assert "export-model" in app.info[0].value
    assert "gen-" in said(app)


def test_gains_planted_in_other_patients_or_choices_are_not_shown(tmp_path):
    size = SelectionSize(100, 40, 60, 0, 2, 12, 0, 5, 3, "")
    for run_id, key, gain in (
        ("run-1", "same", None),
        ("run-2", "same", 0.2),
        ("run-3", "other", 0.1),
        ("run-4", "", None),
    ):
        start_run(tmp_path, run_id)
        record(tmp_path, run_id, "candidates", key, [size])
        if gain is not None:
            record(tmp_path, run_id, "planted", run_id, [PlantedClaim(0, gain, 0.6, 0.2, 0.1, 0.3, "adds", True, 40)])
        finish_run(tmp_path, run_id)
    publish(tmp_path)
    snapshot = open_snapshot(tmp_path)
    found = {
        run: [rate.gain for rate in detection_rates(snapshot, run)] for run in ("run-1", "run-2", "run-3", "run-4")
    }
    close_snapshots()
    assert found == {"run-1": [0.2], "run-2": [0.2], "run-3": [0.1], "run-4": []}
