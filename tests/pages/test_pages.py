"""Every page on the demo study: it answers its question, says where the numbers come from, and breaks nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages.menu import SECTIONS
from store.access import Person

HOUSE = Path(__file__).parents[2]
PAGES = [path.removeprefix("pages/") for _, pages in SECTIONS for path, _ in pages]
FIGURES = {
    "study/cohort.py": 2,
    "segmentation/readers.py": 2,
    "segmentation/agreement.py": 3,
    "features/reproducibility.py": 3,
    "features/batch.py": 2,
    "prognosis/selection.py": 3,
    "prognosis/discrimination.py": 4,
    "prognosis/survival.py": 1,
}


def text_of(app) -> str:
    return "\n".join(str(element.value) for kind in (app.title, app.markdown, app.caption) for element in kind)


def test_every_file_of_a_section_is_in_the_menu():
    files = {str(path.relative_to(HOUSE / "pages")) for path in (HOUSE / "pages").glob("*/*.py")}
    assert files == set(PAGES)


def test_addresses_are_unique():
    stems = [Path(page).stem for page in PAGES]
    assert len(stems) == len(set(stems))


@pytest.mark.parametrize(("role", "shown"), [("viewer", False), ("reader", True)])
def test_rows_of_single_patients_on_agreement_are_for_readers(show, demo_study, monkeypatch, role, shown):
    monkeypatch.setattr("pages.gate.OPEN", Person("Ada", role, "open on this computer"))
    app = show(demo_study, "segmentation/agreement.py")
    assert not app.exception
    assert any("case_id" in one.value for one in app.dataframe) == shown


@pytest.mark.parametrize("page", PAGES)
def test_page_answers_and_says_where_from(show, demo_study, page):
    app = show(demo_study, page)
    assert not app.exception
    said = text_of(app)
    assert app.title[0].value.endswith("?")
    for needed in ("Synthetic data", "as of", "gen-", "protocol ", "seed "):
        assert needed in said
    assert len(app.get("plotly_chart")) >= FIGURES.get(page, 0)


@pytest.mark.parametrize("page", [page for page in PAGES if page in FIGURES])
def test_every_figure_says_its_n(show, demo_study, page):
    app = show(demo_study, page)
    assert sum("n = " in caption.value for caption in app.caption) >= FIGURES[page]


def test_a_feature_shows_its_values_by_patient_when_its_tab_is_opened(show, demo_study):
    app = show(demo_study, "features/reproducibility.py")
    app.session_state["reproducibility-tabs"] = "Every feature"
    app.run()
    assert not app.exception
    assert "by their unperturbed value" in text_of(app)
    assert len(app.get("plotly_chart")) == 3


@pytest.mark.parametrize("page", PAGES)
def test_without_a_study_the_page_says_what_to_do(show, page):
    app = show(None, page)
    assert not app.exception
    assert "make demo" in app.info[0].value


@pytest.mark.parametrize("page", PAGES)
def test_before_the_first_run_the_page_says_what_to_run(show, tmp_path, page):
    app = show(tmp_path, page)
    assert not app.exception
    assert "run" in app.info[0].value.lower()


@pytest.mark.parametrize("page", PAGES)
def test_page_is_closed_when_the_server_listens_to_the_world(show, demo_study, monkeypatch, page):
    monkeypatch.setattr("pages.gate.LOOPBACK", ())
    app = show(demo_study, page)
    assert not app.title
    assert "no sign-in" in app.error[0].value


def case_box(app):
    return next(box for box in app.sidebar.selectbox if box.label == "Case")


def test_review_opens_the_case_of_its_address(show, demo_study):
    cases = case_box(show(demo_study, "segmentation/review.py")).options
    wanted = next(part for part in cases[-1].split(" · ") if part.startswith("PH-"))
    app = show(demo_study, "segmentation/review.py", case=wanted)
    assert case_box(app).value == wanted
    assert any(f"Verdicts on {wanted}" in heading.value for heading in app.subheader)


def test_the_first_case_that_is_chosen_opens(show, demo_study):
    app = show(demo_study, "segmentation/review.py")
    opened, other = case_box(app).value, case_box(app).options[3]
    app = case_box(app).select_index(3).run()
    assert case_box(app).value != opened
    assert case_box(app).value in other


def test_the_work_list_is_narrowed_and_never_to_nothing(show, demo_study):
    app = show(demo_study, "segmentation/review.py")
    every = list(case_box(app).options)
    box = next(box for box in app.sidebar.selectbox if box.label == "Cases")
    counts = {name.rpartition(" (")[0]: int(name.rpartition("(")[2][:-1]) for name in box.options}
    assert counts["All"] == len(every)
    for name in counts:
        app = next(b for b in app.sidebar.selectbox if b.label == "Cases").select(name).run()
        assert len(case_box(app).options) == (counts[name] or len(every))


def test_review_says_when_the_case_of_its_address_is_unknown(show, demo_study):
    app = show(demo_study, "segmentation/review.py", case="nobody")
    assert not app.exception
    assert "The case of this address is not in this list" in app.warning[0].value


def test_search_keeps_features_with_all_words(show, demo_study):
    app = show(demo_study, "features/reproducibility.py")
    app.session_state["reproducibility-tabs"] = "Every feature"
    app.sidebar.text_input[0].set_value("glcm original intratumoural").run()
    names = next(table.value for table in app.dataframe if "icc_rank" in table.value)
    assert set(names["feature_class"]) == {"glcm"}
    assert set(names["image_type"]) == {"original"}


def test_filter_of_the_cohort_keeps_one_side(show, demo_study):
    app = show(demo_study, "study/cohort.py")
    every = len(app.dataframe[0].value)
    app.sidebar.multiselect(key="cohort-side").set_value(["left"]).run()
    kept = app.dataframe[0].value
    assert 0 < len(kept) < every
    assert set(kept["side"]) == {"left"}
