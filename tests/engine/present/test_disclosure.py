"""What leaves the house as an aggregate holds no patient's row and no count under five."""

from __future__ import annotations

import ast
from pathlib import Path

import plotly.graph_objects as go
import pytest

from engine.present.catalogue import COUNTS, DECISION, FLOW, PATIENTS, ROC, ROWS, SUMMARY, SURVIVAL, entry_of
from engine.present.disclosure import MONTH_DAYS, caption_beside, disclosed, masked, suppressed
from engine.present.figures.flow import flow_figure
from store.records import FlowStep

HOUSE = Path(__file__).parents[3]
FIGURE_CALLS = {"figure": 2, "selectable": 2}


def patients(count: int, name: str = "detected") -> go.Scatter:
    x = [float(place) for place in range(count)]
    cases = [[f"CASE-{place}"] for place in range(count)]
    return go.Scatter(x=x, y=[value * 2 for value in x], mode="markers", name=name, customdata=cases)


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ([10, 7, 0], [10, 7, 0]),
        ([3, 10, 6], [None, 10, None]),  # one alone could be told from the total: the next smallest goes too
        ([3, 2, 10], [None, None, 10]),
        ([4], [None]),
        ([5], [5]),
    ],
)
def test_counts_of_one_to_four_are_left_out_and_never_one_alone(counts, kept):
    assert suppressed(counts) == kept


def test_patients_become_means_of_five_or_more():
    found = disclosed(go.Figure(patients(10)), PATIENTS)
    assert list(found.data[0].x) == [2.0, 7.0]  # means of 0..4 and of 5..9
    assert list(found.data[0].y) == [4.0, 14.0]
    assert found.data[0].customdata is None


def test_four_patients_leave_nothing():
    assert not disclosed(go.Figure(patients(4)), PATIENTS).data


def test_a_line_a_patient_is_dropped_and_a_fitted_line_ends_with_the_means():
    lines = go.Scatter(x=[0, 1, None, 0, 1], y=[1, 2, None, 3, 4], mode="lines")
    fitted = go.Scatter(x=[float(x) for x in range(10)], y=[0.0] * 10, mode="lines")
    found = disclosed(go.Figure([lines, fitted, patients(10)]), PATIENTS)
    assert [trace.mode for trace in found.data] == ["lines", "markers"]
    assert (min(found.data[0].x), max(found.data[0].x)) == (2.0, 7.0)


def test_a_small_group_takes_the_sizes_of_all_others_with_it():
    found = disclosed(go.Figure([patients(10, "detected (n = 10)"), patients(2, "missed (n = 2)")]), PATIENTS)
    assert [trace.name for trace in found.data] == ["detected"]


def test_a_histogram_tells_no_small_bin():
    values = [0.1] * 2 + [0.62] * 8 + [0.91] * 12
    found = disclosed(go.Figure(go.Histogram(x=values, name="detected")), COUNTS)
    assert all(value is None or value == 0 or value >= 5 for value in found.data[0].y)
    assert sum(value or 0 for value in found.data[0].y) == len(values)


def test_a_flow_tells_no_small_number_and_hides_the_sum_that_would():
    steps = [
        FlowStep("inclusion", 0, "all", "", 20, 9),
        FlowStep("inclusion", 1, "missed", "all", 3, 1),
        FlowStep("inclusion", 2, "found", "all", 17, 8),
    ]
    said = [note.text for note in disclosed(flow_figure(steps), FLOW).layout.annotations]
    assert said == ["all", "<b>20</b> (9 events)", "missed", "< 5", "found", "not told"]


def test_survival_is_read_once_a_month_while_five_are_at_risk():
    days, at_risk = [0.0, 10.0, 40.0, 100.0, 400.0], [9, 8, 7, 5, 3]
    curve = go.Scatter(x=days, y=[1.0, 0.9, 0.8, 0.7, 0.1], mode="lines", customdata=at_risk)
    found = disclosed(go.Figure(curve), SURVIVAL).data[0]
    assert [round(x / MONTH_DAYS, 2) for x in found.x] == [0.0, 1.0, 2.0, 3.0]
    assert list(found.y) == [1.0, 0.9, 0.8, 0.8]  # day 91 is before the step of day 100


def test_an_roc_keeps_no_corner_of_a_patient():
    curve = go.Scatter(x=[0.0, 0.0, 0.13, 0.13, 1.0], y=[0.0, 0.4, 0.4, 0.9, 1.0], mode="lines")
    found = disclosed(go.Figure(curve), ROC).data[0]
    assert 0.13 not in found.x
    assert found.y[found.x.index(0.15)] == 0.9


def test_a_figure_of_patients_rows_and_one_nobody_listed_are_withheld():
    assert disclosed(go.Figure(patients(30)), ROWS) is None
    assert disclosed(go.Figure(patients(30)), entry_of("new page", "new figure").kind) is None


def test_a_summary_keeps_its_numbers_and_loses_what_only_the_mouse_tells():
    bars = go.Bar(x=["a"], y=[3], customdata=[["CASE-1"]], hovertemplate="%{customdata[0]}")
    found = disclosed(go.Figure(bars), SUMMARY).data[0]
    assert (list(found.y), found.customdata, found.hovertemplate) == ([3], None, None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("n = 3 of them", "n < 5 of them"),
        ("n = 32.", "n = 32."),
        ("2 missed, 14 found", "fewer than 5 missed, 14 found"),
        ("AUC 0.64, 4.2 mm", "AUC 0.64, 4.2 mm"),
        (
            "Over all 32 the mean is 1; over the 31 detected it is 2.",
            "Over all 32 the mean is 1; over the detected it is 2.",
        ),
        (
            "Over all 32 the mean is 1; over the 20 detected it is 2.",
            "Over all 32 the mean is 1; over the 20 detected it is 2.",
        ),
    ],
)
def test_sentences_tell_no_small_count(said, told):
    assert masked(said) == told


def test_a_caption_says_what_was_done_to_the_figure():
    assert caption_beside(PATIENTS, "n = 20.").endswith("one standard deviation of them.")


@pytest.mark.parametrize("path", sorted((HOUSE / "pages").glob("*/*.py")), ids=lambda path: path.stem)
def test_every_figure_of_a_page_stands_in_the_catalogue(path):
    keys = [key for key in figure_keys(path) if not entry_of(path.stem, key).title]
    assert not keys, f"add {keys} of page {path.stem} to engine/present/catalogue.py"


def figure_keys(path: Path) -> list[str]:
    """First letters of every key that a page draws a figure under."""
    tree = ast.parse(path.read_text())
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.targets[0], ast.Name)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in FIGURE_CALLS:
            key = node.args[FIGURE_CALLS[node.func.id]]
            if isinstance(key, ast.JoinedStr):
                key = key.values[0]
            if isinstance(key, ast.Name):
                key = ast.Constant(constants.get(key.id, ""))
            if isinstance(key, ast.Constant) and key.value:
                found.append(str(key.value))
    return found


def test_a_smooth_calibration_curve_ends_with_its_groups():
    smooth = go.Scatter(x=[0.01, 0.2, 0.4, 0.97], y=[0.0, 0.2, 0.4, 1.0], mode="lines", legendgroup="combined")
    groups = go.Scatter(x=[0.1, 0.5], y=[0.1, 0.5], mode="markers", legendgroup="combined", customdata=[30, 30])
    found = disclosed(go.Figure([smooth, groups]), COUNTS)
    line = next(trace for trace in found.data if trace.mode == "lines")
    assert list(line.x) == [0.2, 0.4]  # 0.01 and 0.97 are single patients' risks


def test_a_decision_curve_is_read_at_every_tenth():
    thresholds = [0.02 * place for place in range(1, 41)]
    found = disclosed(go.Figure(go.Scatter(x=thresholds, y=thresholds, mode="lines")), DECISION)
    assert list(found.data[0].x) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
