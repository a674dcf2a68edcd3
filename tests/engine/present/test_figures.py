"""What the figures show, read off their traces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.present.colours import GREY, ROI_COLOURS
from engine.present.figures.agreement import drawn_rows, driver_figure, location_figure
from engine.present.figures.batch import plane_figure, variance_figure
from engine.present.figures.discrimination import subgroup_forest
from engine.present.figures.flow import flow_figure
from engine.present.figures.heat import image_type_order
from engine.present.figures.reproducibility import feature_figure, harm_figure, survival_heat_map
from engine.present.figures.selection import co_selection_map, frequency_bars, frequency_by_size
from engine.present.figures.survival import at_risk, survival_figure
from store.queries.agreement import CaseAgreement
from store.queries.reproducibility import FeatureValue, SurvivalShare
from store.queries.selection import FrequencyAtSize
from store.records import (
    BatchPoint,
    BatchVariance,
    CoSelection,
    FeatureGroup,
    FlowStep,
    PerturbationEffect,
    SelectionFrequency,
    Subgroup,
    SurvivalPoint,
)


def case(case_id: str, dsc: float, sphericity: float | None, contact: bool | None = None) -> CaseAgreement:
    missed = dsc == 0
    kind = "empty" if missed else "found"
    shape = (1.0, 20.0, sphericity)
    return CaseAgreement(case_id, dsc, dsc, None, missed, kind, 0, *shape, "left", None, contact, *(None,) * 5)


CASES = (case("A", 0.9, 0.8, True), case("B", 0.7, None, False), case("C", 0.0, 0.5, None))


def test_every_point_carries_its_case_and_misses_are_apart():
    figure = driver_figure(CASES, "sphericity", "dsc")
    assert [[point[0] for point in trace.customdata] for trace in figure.data] == [["A"], ["C"]]
    assert [list(trace.marker.symbol) for trace in figure.data] == [["circle"], ["x"]]


def test_points_are_coloured_by_any_value_and_unknown_is_grey():
    figure = driver_figure(CASES, "sphericity", "dsc", ("Sex", {"A": "female", "C": None}))
    assert [trace.name for trace in figure.data] == ["female (n = 1)", "unknown (n = 1)"]
    assert figure.data[1].marker.color == GREY


def test_the_trend_passes_through_a_planted_fall():
    rows = [case(f"P{i:02d}", 0.9 - 0.02 * i, 0.5 + 0.02 * i) for i in range(20)]
    band, line = driver_figure(rows, "sphericity", "dsc").data[:2]
    assert line.y[0] == pytest.approx(0.9, abs=0.03)
    assert line.y[-1] == pytest.approx(0.52, abs=0.03)
    assert max(band.y) >= max(line.y)


def test_small_multiples_say_the_n_of_each_place():
    rows = [replace(case("A", 0.9, 0.8), third="upper"), replace(case("B", 0.5, 0.6), third="upper", side="right")]
    titles = [note.text for note in location_figure(rows, "sphericity", "dsc").layout.annotations]
    assert titles[:2] == ["upper third, right (n = 1)", "upper third, left (n = 1)"]
    assert all(title.endswith("(n = 0)") for title in titles[2:])


def test_cases_without_the_value_are_not_drawn():
    assert [row.case_id for row in drawn_rows(CASES, "sphericity")] == ["A", "C"]


def test_unknown_is_a_group_of_its_own_with_its_n():
    figure = driver_figure(CASES, "chest_wall_contact", "dsc")
    assert list(figure.layout.xaxis.ticktext) == ["no<br>n = 1", "unknown<br>n = 1", "yes<br>n = 1"]


def test_original_comes_first_then_log_then_wavelets():
    names = ["wavelet-HHH", "square", "log-sigma-2-0-mm-3D", "original"]
    assert image_type_order(names) == ["original", "log-sigma-2-0-mm-3D", "wavelet-HHH", "square"]


def share(roi, image_type, feature_class, tested, surviving, untested=0):
    return SurvivalShare(roi, image_type, feature_class, tested, surviving, 0, untested)


def test_every_region_has_its_panel_of_image_types_and_classes():
    shares = [
        share("intratumoural", "original", "glcm", 10, 4),
        share("intratumoural", "original", "shape", 4, 4),
        share("intratumoural", "square", "glcm", 10, 0),
        share("whole_lung", "original", "glcm", 0, 0, 10),
    ]
    tumour, lung = survival_heat_map(shares).data
    assert (list(tumour.x), list(tumour.y)) == (["shape", "glcm"], ["original", "square"])
    assert [list(row) for row in tumour.z] == [[1.0, 0.4], [None, 0.0]]
    assert [list(row) for row in lung.z] == [[None, None], [None, None]]
    assert lung.customdata[0][1] == "10 features, not tested"


def effect(name, below, roi="intratumoural", features=10):
    return PerturbationEffect(roi, name, "random", "noise", 8, features, below, 0.5, 0.9, 0.8, 0.0, 0)


def test_the_most_harmful_perturbation_comes_first_and_untested_ones_are_left_out():
    figure = harm_figure([effect("mild", 1), effect("harsh", 9), effect("idle", 0, features=0)])
    assert list(figure.data[0].y) == ["harsh", "mild"]
    assert list(figure.data[0].x) == [90.0, 10.0]


def test_a_features_values_stand_by_patient_in_order_of_the_unperturbed_one():
    values = [
        FeatureValue("B", "none", "base", "unperturbed", 2.0, 2),
        FeatureValue("A", "none", "base", "unperturbed", 3.0, 2),
        FeatureValue("A", "noise-1", "random", "noise", 3.1, 2),
        FeatureValue("C", "noise-1", "random", "noise", 9.0, 2),
    ]
    figure = feature_figure(values, "Entropy")
    assert list(figure.layout.xaxis.categoryarray) == ["B", "A"]
    assert {trace.name: list(trace.y) for trace in figure.data} == {"noise": [3.1], "unperturbed": [2.0, 3.0]}
    assert [point[0] for point in figure.data[-1].customdata] == ["B", "A"]


def test_batches_are_drawn_without_and_with_combat():
    rows = [BatchVariance("kernel", "intratumoural", "original", "glcm", f"f{i}", 30, 2, 0.4, 0.0) for i in range(3)]
    assert [trace.name for trace in variance_figure(rows).data] == ["without", "with ComBat"]
    alone = [BatchVariance("kernel", "intratumoural", "original", "glcm", "f", 30, 2, 0.4, None)]
    assert [trace.name for trace in variance_figure(alone).data] == ["without"]
    points = [
        BatchPoint(case, "kernel", level, "intratumoural", state, 1.0, 2.0, 0.5, 0.2)
        for case, level in (("A", "sharp"), ("B", "unknown"))
        for state in (False, True)
    ]
    figure = plane_figure(points)
    assert [trace.name for trace in figure.data] == ["sharp (n = 1)", "unknown (n = 1)"] * 2
    assert figure.layout.xaxis.title.text == "Component 1 (50 %)"
    assert figure.data[1].marker.color == GREY


def test_bars_keep_the_colour_of_their_region():
    rows = [
        SelectionFrequency("whole_lung", "original", "glcm", "Contrast", 9, 8, 10, None),
        SelectionFrequency("intratumoural", "original", "glcm", "Contrast", 9, 5, 10, None),
    ]
    bars = [trace for trace in frequency_bars(rows).data if trace.type == "bar"]
    colours = {trace.name: (trace.marker.color, list(trace.x)) for trace in bars}
    assert colours == {
        "Whole lung": (ROI_COLOURS["whole_lung"], [0.8]),
        "Intratumoural": (ROI_COLOURS["intratumoural"], [0.5]),
    }


def kept(feature_class: str, image_type: str, rho: float | None) -> SelectionFrequency:
    return SelectionFrequency("intratumoural", image_type, feature_class, "Contrast", 9, 8, 10, rho)


def test_bars_are_coloured_by_filter_family_or_class_on_demand():
    rows = [
        kept("glcm", "wavelet-LLH", 0.5),
        kept("glcm", "wavelet-HHH", None),
        kept("shape", "log-sigma-2-0-mm-3D", -0.9),
    ]
    named = {
        by: [t.name for t in frequency_bars(rows, by).data if t.type == "bar"] for by in ("image_type", "feature_class")
    }
    assert named == {"image_type": ["wavelet", "LoG"], "feature_class": ["glcm", "shape"]}


def test_the_correlation_with_volume_stands_beside_each_bar_that_has_one():
    points = [
        t
        for t in frequency_bars([kept("glcm", "original", 0.5), kept("glcm", "square", None)]).data
        if t.type == "scatter"
    ]
    assert [(list(t.x), list(t.y)) for t in points] == [([0.5], [0])]


def test_pairs_that_take_turns_are_below_chance_and_the_map_is_symmetric():
    pair = CoSelection(0, 1, "a", "b", 0, 3.5, 0.9, 10)
    groups = [FeatureGroup(1, "intratumoural", "original", "glcm", name, 5, 9, 10) for name in "ab"]
    cells = co_selection_map([pair], groups).data[0].z
    assert cells[0][1] == cells[1][0] == -3  # log2 of (0 + 0.5) / (3.5 + 0.5)
    assert cells[0][0] is None


def test_frequency_by_size_has_a_row_a_feature_and_a_column_a_size():
    rows = [
        FrequencyAtSize("whole_lung", "original", "glcm", f, k, n, 10)
        for f, k, n in (("A", 1, 2), ("A", 5, 4), ("B", 1, 0), ("B", 5, 10))
    ]
    assert [list(row) for row in frequency_by_size(rows).data[0].z] == [[0.2, 0.4], [0.0, 1.0]]


def point(level: str, days: float, risk: int) -> SurvivalPoint:
    return SurvivalPoint("stage", level, days, 1.0, 1.0, 1.0, risk, 0, 1)


@pytest.mark.parametrize(("days", "risk"), [(0, 3), (100, 3), (101, 2), (400, 0)])
def test_at_risk_counts_who_is_still_followed(days, risk):
    points = [point("2A", 0, 3), point("2A", 100, 3), point("2A", 200, 2), point("2A", 300, 1)]
    assert at_risk(points, days) == risk


def test_each_group_has_its_row_of_numbers_at_risk():
    points = [point("2A", 0, 3), point("2A", 800, 1), point("3B", 0, 2), point("3B", 400, 1)]
    figure = survival_figure(points, 730, "disease-free survival")
    assert [list(trace.text) for trace in figure.data if trace.mode == "text"] == [["3", "1", "1"], ["2", "1", "0"]]


def test_flow_writes_each_box_with_its_count():
    steps = [
        FlowStep("inclusion", 0, "found", "", 10, 4),
        FlowStep("inclusion", 1, "refused", "found", 1, None),
        FlowStep("inclusion", 2, "analysed", "found", 9, 1),
    ]
    texts = [note.text for note in flow_figure(steps).layout.annotations]
    assert texts == ["found", "<b>10</b> (4 events)", "refused", "<b>1</b>", "analysed", "<b>9</b> (1 event)"]


def test_flow_breaks_a_label_that_would_run_into_its_count():
    long = "scanned more than 60 days before time zero: left out"
    label = flow_figure([FlowStep("inclusion", 0, long, "", 0, 0)]).layout.annotations[0]
    assert label.text == "scanned more than 60 days before time zero:<br>left out"
    assert label.font.size < flow_figure([FlowStep("inclusion", 0, "all", "", 0, 0)]).layout.annotations[0].font.size


def test_empty_flow_is_an_empty_figure():
    assert len(flow_figure([]).layout.annotations) == 0


def test_groups_of_patients_are_drawn_with_their_intervals_and_small_ones_left_out():
    told = Subgroup("Sex", "female", "clinical_volume", "combined", 0.6, 0.7, 0.1, -0.05, 0.25, 300, 40, 12, 40.0)
    untold = Subgroup("Sex", "male", "clinical_volume", "combined", *(None,) * 5, 0, 9, 2, 9.0)
    figure = subgroup_forest([told, untold])
    (mark,) = figure.data
    assert (mark.x[0], mark.x[0] + mark.error_x.array[0], mark.x[0] - mark.error_x.arrayminus[0]) == pytest.approx(
        (0.1, 0.25, -0.05)
    )
    assert list(figure.layout.yaxis.ticktext) == ["Sex: female (n = 40, 12 ev.)"]
    assert figure.layout.xaxis.title.text == "AUC difference, combined − clinical + volume"
