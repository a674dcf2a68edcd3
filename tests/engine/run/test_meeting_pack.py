"""The report of the demo: nothing private at the aggregate level, and every number is one that `export` gives."""

from __future__ import annotations

import io
import re
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pptx import Presentation

from engine.present.checklists.evidence import Stored
from engine.present.checklists.items import checklists_of, open_sentence
from engine.present.colours import plain_model
from engine.present.disclosure import AGGREGATE, IMAGES, PSEUDONYMISED
from engine.present.exhibit import RESEARCH_ONLY
from engine.present.numbers import number
from engine.present.slides import slides_of
from engine.present.web_report import page_of
from engine.present.wording.prognosis import MAIN_ARMS
from engine.run.meeting_desk import make_report, sign_consensus
from engine.run.meeting_pack import build_pack, pack_bytes, picture_bytes, shown_run
from engine.run.review_desk import protocol_of
from store.access import ForbiddenActionError, Person
from store.export import export_table
from store.publisher import publish
from store.records import Verdict
from store.reviews import UnsignedError, open_ledger
from tests.store.recorded import finish_run, start_run

DIGITS = 12  # of a row's value, as it would stand in a workbook
SMALL_DENOMINATOR = 400


@pytest.fixture(scope="module")
def pack(demo_study):
    return build_pack(shown_run(demo_study), AGGREGATE)


@pytest.fixture(scope="module")
def deck(pack):
    return slides_of(pack)


@pytest.fixture(scope="module")
def rows(demo_study):
    """Every table of `export` as lists by column."""
    return lambda table: export_table(demo_study, table).to_pydict()


def every_part(raw: bytes) -> dict[str, str]:
    """Every part of a file and of the workbooks inside it, as text."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for name in archive.namelist():
            inner = archive.read(name)
            if name.endswith(".xlsx"):
                found |= {f"{name}/{part}": text for part, text in every_part(inner).items()}
            else:
                found[name] = inner.decode("utf-8", "replace")
    return found


def series_of(deck: bytes, title: str) -> dict[str, list[tuple[float, float]]]:
    """Points of the charts of one slide by the name of their series."""
    found: dict[str, list[tuple[float, float]]] = {}
    for slide in Presentation(io.BytesIO(deck)).slides:
        if any(shape.has_text_frame and shape.text_frame.text == title for shape in slide.shapes):
            for shape in slide.shapes:
                if shape.has_chart:
                    for series in shape.chart.plots[0].series:
                        found.setdefault(series.name, []).extend(points_of(series))
    return found


def points_of(series) -> list[tuple[float, float]]:
    cells = {}
    for axis in ("xVal", "yVal", "val"):
        part = series._element.find(f"{{http://schemas.openxmlformats.org/drawingml/2006/chart}}{axis}")
        if part is not None:
            cells[axis] = [float(cell.text) for cell in part.iter() if cell.tag.endswith("}v")]
    return list(zip(cells["xVal"], cells["yVal"], strict=True)) if "xVal" in cells else [(0.0, v) for v in cells["val"]]


def is_small_fraction(value: float) -> bool:
    """A share of few, such as 17 of 30, which an aggregate may well be too."""
    return abs(value - float(Fraction(value).limit_denominator(SMALL_DENOMINATOR))) < 1e-12


def row_values(rows) -> set[str]:
    """Measurements of single patients as a workbook or a page would write them; fractions of small counts left out."""
    shapes, risks = rows("morphology"), rows("prediction")
    columns = (shapes["sphericity"], shapes["elongation"], shapes["surface_to_volume_per_mm"], risks["probability"])
    texts = {repr(value)[:DIGITS] for column in columns for value in column if value and not is_small_fraction(value)}
    found = {text for text in texts if len(text) == DIGITS}
    assert len(found) > 100
    return found


def test_no_part_of_an_aggregate_deck_names_a_case_or_holds_a_row(deck, rows):
    parts = every_part(deck)
    workbooks = [name for name in parts if ".xlsx/" in name]
    assert workbooks
    text = "\n".join(parts.values())
    assert not [case for case in set(rows("cases")["case_id"]) if case in text]
    assert not [value for value in row_values(rows) if value in text]


def test_an_aggregate_page_names_no_case_holds_no_row_and_asks_nobody(pack, rows):
    text = page_of(pack)
    assert not [case for case in set(rows("cases")["case_id"]) if case in text]
    body = text[text.rindex("</script></head>") :]
    assert "bdata" not in body  # numbers are written out, not encoded: they can be searched
    assert not [value for value in row_values(rows) if value in body]
    assert not re.findall(r'(?:src|href)="(?!data:)', body)


def test_a_pseudonymised_deck_does_hold_the_rows_and_says_so(demo_study, rows):
    pack = build_pack(shown_run(demo_study), PSEUDONYMISED)
    text = "\n".join(every_part(slides_of(pack)).values())
    value = next(v for v in rows("morphology")["sphericity"] if v and len(repr(v)) > DIGITS)
    assert repr(value)[:DIGITS] in text
    assert "Not for publication" in text


def test_every_slide_says_research_use_only_and_carries_its_provenance(deck, pack):
    for slide in Presentation(io.BytesIO(deck)).slides:
        said = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        assert RESEARCH_ONLY in said
        assert pack.provenance in said


def test_every_figure_of_the_deck_is_native_and_none_is_empty(deck, pack):
    titles = [exhibit.title for exhibit in pack.exhibits]
    slides = {}
    for slide in Presentation(io.BytesIO(deck)).slides:
        slides[slide.shapes[0].text_frame.text] = slide
    for title in titles:
        drawn = [s for s in slides[title].shapes if s.has_chart or s.has_table or s.shape_type == 1]
        assert drawn, title
        for shape in drawn:
            assert not shape.has_chart or any(points_of(series) for series in shape.chart.plots[0].series), title


def test_nothing_of_a_slide_lies_outside_it(deck):
    read = Presentation(io.BytesIO(deck))
    for slide in read.slides:
        for shape in slide.shapes:
            assert 0 <= shape.left <= shape.left + shape.width <= read.slide_width
            assert 0 <= shape.top <= shape.top + shape.height <= read.slide_height


def test_agreement_beside_the_paper_is_that_of_export(pack, rows):
    table = rows("overlap")
    first = next(r for r in pack.results if r.what.startswith("DSC, all"))
    chosen = [
        dsc
        for dsc, structure, one, other, kind in zip(
            *(table[name] for name in ("dsc", "structure", "from_source", "to_source", "comparison")), strict=True
        )
        if (structure, one, kind) == ("tumour", "reference", "agreement") and other != "region_growing"
    ]
    assert first.ours == f"{np.mean(chosen):.2f} ± {np.std(chosen, ddof=1):.2f} (n = {len(chosen)})"
    assert first.paper == "0.84 ± 0.28"
    assert first.comparable == "no: synthetic patients"


def test_auc_of_slide_and_table_is_that_of_export(deck, pack, rows):
    table = rows("model_summary")
    aucs = {m: auc for m, auc in zip(table["model"], table["auc"], strict=True) if m in MAIN_ARMS}
    assert {"clinical", "clinical_volume", "combined"} <= set(aucs)
    drawn = series_of(deck, "AUC of the models and its spread")
    means = {round(x, 12) for series in drawn.values() if len(series) == 1 for x, _ in series}
    assert {round(auc, 12) for auc in aucs.values()} <= means | {
        round(x, 12) for series in drawn.values() for x, _ in series
    }
    line = next(r for r in pack.results if r.what.startswith("AUC"))
    assert line.ours.startswith(f"{number(aucs['combined'])} (")
    assert f"against {number(aucs['clinical'])} (" in line.ours


def model_points(rows, table: str, x: str, y: str) -> dict[str, dict[float, float]]:
    """Points of an exported curve by the model's name on slides."""
    found: dict[str, dict[float, float]] = {}
    columns = rows(table)
    for model, at, value in zip(columns["model"], columns[x], columns[y], strict=True):
        found.setdefault(plain_model(model), {})[round(at, 4)] = value
    return found


def test_roc_of_the_slide_is_that_of_export_at_every_twentieth(deck, rows):
    exported = model_points(rows, "roc", "false_positive_share", "true_positive_share")
    checked = 0
    for name, series in series_of(deck, "ROC of the models").items():
        mine = next((points for model, points in exported.items() if name.rpartition(" ")[0] == model), None)
        for at, value in series if mine else []:
            assert value == pytest.approx(mine[round(at, 4)], abs=1e-12)
            checked += 1
    assert checked >= 3 * 21


def test_decision_curve_of_the_slide_is_that_of_export_at_every_tenth(deck, rows):
    exported = model_points(rows, "decision_curve", "threshold", "net_benefit")
    checked = 0
    for name, series in series_of(deck, "What acting on the risks would be worth").items():
        for at, value in series if name in exported else []:
            assert value == pytest.approx(exported[name][round(at, 4)], abs=1e-12)
            checked += 1
    assert checked >= 2 * 8


def test_calibration_groups_of_the_slide_are_those_of_export(deck, rows):
    table = rows("calibration")
    told = {
        (round(predicted, 9), round(observed, 9))
        for predicted, observed, n in zip(table["predicted"], table["observed"], table["n"], strict=True)
        if n >= 5
    }
    drawn = series_of(deck, "Predicted against observed risk")
    found = {(round(x, 9), round(y, 9)) for series in drawn.values() for x, y in series}
    assert len(found & told) >= 6


def test_selection_bars_are_the_counts_of_export(deck, rows):
    table = rows("selection")
    shares = sorted((k / r for k, r in zip(table["kept_count"], table["resamples"], strict=True)), reverse=True)
    drawn = series_of(deck, "The features kept most often")
    found = sorted((value for series in drawn.values() for _, value in series), reverse=True)
    assert found == pytest.approx(shares[: len(found)])


def test_stability_of_the_slide_is_that_of_export(deck, rows):
    table = rows("stability")
    drawn = series_of(deck, "How alike the chosen sets are")
    points = [x for name, series in drawn.items() if name not in ("labels", "interval", "reference") for x, _ in series]
    assert sorted(points) == pytest.approx(sorted(table["stability"]))
    ends = sorted(x for x, _ in drawn["interval"])
    assert ends == pytest.approx(sorted([*table["lo"], *table["hi"]]), abs=1e-9)


def test_reproducibility_counts_are_those_of_export(deck, rows):
    table = rows("icc")
    lows = [
        max(0.0, low)
        for low, roi, family in zip(table["icc11_lo"], table["roi"], table["family"], strict=True)
        if low is not None and roi == "intratumoural" and family == "random"
    ]
    counts = np.histogram(lows, bins=20, range=(0.0, 1.0))[0].tolist()
    drawn = series_of(deck, "How reproducible the features are")
    series = next(points for name, points in drawn.items() if name.startswith("Intratumoural"))
    assert [y for _, y in series[1::2]][: len(counts) - 1] == counts[: len(counts) - 1]


def test_hazard_ratios_of_the_slide_are_those_of_export(deck, rows):
    table = rows("cox")
    drawn = series_of(deck, "Clinical hazard ratios")
    ratios = [
        r
        for r, low, high in zip(table["hazard_ratio"], table["lo"], table["hi"], strict=True)
        if None not in (r, low, high)
    ]
    found = [x for name, series in drawn.items() if name not in ("labels", "interval", "reference") for x, _ in series]
    assert sorted(found) == pytest.approx(sorted(ratios))


def test_survival_of_the_slide_is_that_of_export_at_the_month(deck, rows):
    table = rows("survival")
    drawn = series_of(deck, "Time free of the event")
    checked = 0
    for name, series in drawn.items():
        level = name.partition(" (n")[0]
        mine = [
            (day, value)
            for day, value, one, group in zip(
                table["days"], table["survival"], table["level"], table["grouping"], strict=True
            )
            if one == level and group == "stage"
        ]
        for years, value in series[2::2] if mine else []:
            held = [v for day, v in sorted(mine) if day <= round(years * 365, 1) + 0.05]
            assert value == pytest.approx(held[-1])
            checked += 1
    assert checked > 10


def test_flow_tells_the_numbers_of_export_from_five_on(deck, rows):
    table = rows("flow")
    said = " | ".join(
        shape.text_frame.text
        for slide in Presentation(io.BytesIO(deck)).slides
        for shape in slide.shapes
        if shape.has_text_frame
    )
    for label, n in zip(table["label"], table["n"], strict=True):
        assert f"{label}: {'< 5' if 0 < n < 5 else n}" in said or f"{label}: not told" in said


def test_images_are_only_at_the_level_of_images(demo_study, pack):
    assert pack.images == ()
    shown = build_pack(shown_run(demo_study), IMAGES)
    assert len(shown.images) == 3
    assert all(RESEARCH_ONLY in image.caption for image in shown.images)
    assert page_of(shown).count("<img alt=") == 3


def test_an_unknown_level_or_run_is_refused(demo_study):
    with pytest.raises(ValueError, match="level must be one of"):
        build_pack(shown_run(demo_study), "everything")
    with pytest.raises(ValueError, match="no such run"):
        shown_run(demo_study, "run-of-nobody")


def test_a_viewer_gets_aggregates_and_nothing_more(demo_copy):
    viewer = Person("vera", "viewer", "token")
    assert make_report(demo_copy, viewer, "", AGGREGATE, ".html")
    with pytest.raises(ForbiddenActionError):
        make_report(demo_copy, viewer, "", PSEUDONYMISED, ".html")


def test_a_consensus_that_names_no_mask_is_not_signed(tmp_path):
    team = Person("the team", "administrator", "test")
    verdict = Verdict("A", "tumour", "the team", "minor", "vessel", "", 0.0, "", "seen")
    with pytest.raises(UnsignedError, match="names none"):
        sign_consensus(tmp_path, team, verdict)
    with open_ledger(tmp_path) as ledger:
        assert ledger.verdicts() == ()


def test_checklists_have_all_their_items_and_no_score(demo_study, pack):
    counts = {checklist.name: len(checklist.items) for checklist in pack.checklists}
    assert counts == {"CLEAR": 58, "METRICS": 30, "TRIPOD+AI": 27}
    for checklist in pack.checklists:
        assert {item.state for item in checklist.items} == {"evidence found", "missing", "needs the author"}
        assert all(item.evidence and item.page for item in checklist.items if item.state == "evidence found")
        assert "score" not in open_sentence(checklist)


def test_a_run_without_results_is_missing_evidence_and_not_found(tmp_path):
    start_run(tmp_path, "run-1")
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    shown = shown_run(tmp_path)
    found = checklists_of(Stored(shown.snapshot, shown.run, protocol_of(tmp_path, "run-1")))
    clear = {item.topic: item.state for item in found[0].items}
    assert clear["Performance"] == "missing"
    assert clear["Imaging protocol"] == "missing"
    assert build_pack(shown).exhibits == ()


def test_pdf_and_pictures_come_from_a_local_browser(pack, chromium: Path):
    assert pack_bytes(pack, ".pdf").startswith(b"%PDF-")
    curve = next(exhibit for exhibit in pack.exhibits if exhibit.key == "roc")
    assert picture_bytes(curve, ".png").startswith(b"\x89PNG")
    drawn = picture_bytes(curve, ".svg").decode()
    assert drawn.startswith("<svg")
    assert "seed" in drawn
