"""Clinical tables: what is read, what is undetermined, what is refused; cells never appear in a message."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.acquire.check import check
from engine.acquire.clinical import read_clinical
from engine.acquire.csv_table import read_table
from engine.acquire.discover import clinical_source, feature_table_source
from engine.acquire.feature_table import feature_column, read_feature_table
from engine.acquire.new import new_table_study
from engine.acquire.outcomes import horizon_label
from engine.acquire.proposals import propose_covariates
from engine.acquire.pseudonyms import Pseudonyms
from engine.protocol import Clinical, CovariateColumn, Covariates, Eligibility, Outcome, Protocol, read_protocol
from store.records import RefusedError

COLUMNS = Outcome(
    kind="columns", recurrence_days="rec", death_days="death", last_contact_days="contact", last_imaging_days="imaging"
)
TIME = Outcome(kind="time", time="days", event="event")
BINARY = Outcome(kind="binary", event="event")


def read(tmp_path, text, outcome=TIME, covariates=(), patients=("A", "B"), eligibility=Eligibility()):
    (tmp_path / "c.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    clinical = Clinical(files=("c.csv",), id=("id",))
    source = clinical_source(tmp_path, Protocol(clinical=clinical), [(p, f"CASE{p}") for p in patients])
    return read_clinical(source, clinical, outcome, Covariates(columns=covariates), eligibility)


@pytest.mark.parametrize(
    ("days", "event", "value"),
    [
        (730, True, True),
        (731, True, False),
        (730, False, False),
        (729, False, None),
        (0, True, True),
        (None, None, None),
    ],
)
def test_label_at_two_years(days, event, value):
    assert horizon_label(days, event, 730).value is value


def test_disease_free_survival_is_the_earlier_of_recurrence_and_death(tmp_path):
    text = "id,rec,death,imaging,contact\nA,300,500,290,500\nB,,,400,900\n"
    first, second = read(tmp_path, text, COLUMNS).outcomes
    assert (first.dfs_days, first.dfs_event, first.dfs_label) == (300, True, True)
    assert (second.dfs_days, second.dfs_event, second.dfs_label) == (900, False, False)
    assert not first.composite_only


def test_treatments_are_yes_no_or_unknown_and_scan_days_count_back_from_time_zero(tmp_path):
    text = "id,days,event,neo,margin,scan\nA,100,1,Yes,R0,-14\nB,200,0,,R1,3\n"
    rules = Eligibility(neoadjuvant="neo", margins="margin", scan_days="scan")
    first, second = read(tmp_path, text, eligibility=rules).treatments
    assert (first.neoadjuvant, first.margins_involved, first.scan_days_before) == (True, False, 14)
    assert (second.neoadjuvant, second.margins_involved, second.scan_days_before) == (None, True, -3)
    positive = rules.model_copy(update={"scan_sign": "before time zero"})
    assert read(tmp_path, text, eligibility=positive).treatments[1].scan_days_before == 3


def test_time_and_event_are_composite_only(tmp_path):
    first, second = read(tmp_path, "id;days;event\nA;100;1\nB;200;0\n").outcomes
    assert first.composite_only
    assert (first.dfs_label, second.dfs_label) == (True, None)
    assert second.label_reason == "censored before 730 days"


def test_stray_blanks_and_codes_of_missing_values(tmp_path):
    columns = (CovariateColumn(column="Histology"), CovariateColumn(column="age", kind="number"))
    table = read(tmp_path, "id,Histology ,age,days,event\nA,Not Collected,NA,1,0\nB, adeno ,61.5,,\n", TIME, columns)
    assert [(c.category, c.number) for c in table.covariates] == [
        (None, None),
        (None, None),
        ("adeno", None),
        (None, 61.5),
    ]
    assert table.outcomes[1].label_reason == "no outcome recorded"


def test_ids_stay_text(tmp_path):
    table = read(tmp_path, "id,days,event\n00123,800,0\n1E5,10,1\nNA,5,1\n", patients=("00123", "1E5", "NA"))
    assert [(o.case_id, o.dfs_days) for o in table.outcomes] == [("CASE00123", 800), ("CASE1E5", 10), ("CASENA", 5)]


def test_a_case_without_a_row_is_flagged(tmp_path):
    assert [f.code for f in read(tmp_path, "id,days,event\nA,1,0\n").flags] == ["no_clinical_row"]


def test_contact_or_imaging_after_death_is_said_aloud(tmp_path):
    table = read(tmp_path, "id,rec,death,imaging,contact\nA,,400,300,900\nB,,400,401,400\n", COLUMNS)
    assert [(f.code, f.message[5:10]) for f in table.flags] == [
        ("contact_after_death", "CASEA"),
        ("contact_after_death", "CASEB"),
    ]
    assert read(tmp_path, "id,rec,death,imaging,contact\nA,,400,300,400\nB,,,1,2\n", COLUMNS).flags == ()


def test_a_cause_of_death_without_its_day_is_never_event_free(tmp_path):
    rules = COLUMNS.model_copy(update={"cause": "cause"})
    text = "id,rec,death,imaging,contact,cause\nA,,,300,900,cancer\nB,,,300,900,unknown\nC,50,,300,900,other\n"
    table = read(tmp_path, text, rules, patients=("A", "B", "C"))
    found = [(o.dfs_days, o.dfs_event, o.dfs_label) for o in table.outcomes]
    assert found == [(0, False, None), (900, False, False), (50, True, True)]
    assert "cause of death" in table.outcomes[0].label_reason
    assert [(f.code, "CASEC" in f.message) for f in table.flags] == [
        ("undated_death", False),
        ("unpaired_outcome", True),
    ]


def test_a_cause_that_is_no_declared_one_is_refused_also_of_who_has_no_day_of_death(tmp_path):
    rules = COLUMNS.model_copy(update={"cause": "cause"})
    for cause in ("lung cancer", "dead"):
        with pytest.raises(RefusedError, match="at lines 2") as found:
            read(tmp_path, f"id,rec,death,imaging,contact,cause\nA,,,300,900,{cause}\n", rules, patients=("A",))
        assert found.value.code == "cause_code"
        assert cause not in str(found.value)
    for living in ("", "alive", "None", "unknown", "not known"):
        table = read(tmp_path, f"id,rec,death,imaging,contact,cause\nA,,,300,900,{living}\n", rules, patients=("A",))
        assert table.outcomes[0].dfs_label is False


def test_a_day_before_time_zero_is_undetermined_and_said_aloud(tmp_path):
    table = read(tmp_path, "id,days,event\nA,-41,1\nB,800,0\n")
    assert table.outcomes[0].dfs_label is None
    assert (table.outcomes[0].dfs_days, table.outcomes[0].dfs_event) == (0, False)
    assert [f.code for f in table.flags] == ["negative_time"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("id,days,event\nA,1,0\nA,2,1\n", "duplicate_patient"),
        ("id,days,event\nA,1,0,7\n", "ragged_rows"),
        ('id;days;event\nA;"100,5";0\n', "decimal_comma"),
        ("id,days,event\nA,soon,0\n", "not_a_number"),
        ("id,days,event\nA,1,2\nB,1,1\n", "event_code"),
        ("id,days,days\nA,1,2\n", "duplicate_column"),
        ("id,day,event\nA,1,1\n", "no_column"),
        ("soon,100,1\nA,200,0\n", "no_header"),
        ("soon,04/03/2019,x,y\nA,05/03/2019,x,y\n", "no_header"),
        ("id,days,event\n", "empty_table"),
        ("id,days,event\n\u00a0A x,1,1\n".replace(" x", "\u00a0x"), "bad_id"),
        ("id,days,event\n,1,1\n", "bad_id"),
        ("id,days,event\nA\u00a0,1,1\n", "bad_id"),
        ("id,days,event\nA,43921,1\n", "too_many_days"),
        ("id,days,event\nA,9999,0\nB,999,1\n", "code_as_day"),
        ("id,days,event\nA,,1\n", "event_without_time"),
        ("id,days,event\nA,04/03/2019,1\n", "date_cell"),
        ("id,days,event\nMüller,1,1\n".encode("latin-1"), "encoding"),
        ("id,days,event\nA,1,1\n".encode("utf-16"), "encoding"),
        (b"id,days,event\nA\x00,1,1\n", "bad_bytes"),
        (f"id,days,event,{'x' * 200_000}\nA,1,1,1\n", "malformed_csv"),
    ],
)
def test_tables_that_would_be_silently_wrong_are_refused(tmp_path, text, code):
    with pytest.raises(RefusedError) as caught:
        read(tmp_path, text)
    assert caught.value.code == code
    assert "soon" not in str(caught.value)


def test_days_that_are_not_whole_are_said_aloud_once_a_column(tmp_path):
    table = read(tmp_path, "id,days,event\nA,12.5,1\nB,48.250,0\nC,60.0,0\n", patients=("A", "B", "C"))
    assert [flag.code for flag in table.flags] == ["fractional_days"]
    assert "lines 2, 3" in table.flags[0].message


@pytest.mark.parametrize(
    "name",
    [
        "os_months", "OS (years)", "OSMonths", "DFSmonths", "survival.mo", "OS (mths)", "OS_yr", "Überleben Monate",
        "Jahre", "suivi (mois)", "Durée (années)", "años", "tiempo_meses", "FU weeks", "mois d'observation",
    ],
)  # fmt: skip
def test_a_column_that_is_named_by_another_unit_is_never_read_as_days(tmp_path, name):
    text = f"id,{name},event\nA,36,1\nB,72,0\n"
    for outcome in (
        TIME.model_copy(update={"time": name}),
        Outcome(kind="columns", recurrence_days="event", last_contact_days=name),
    ):
        with pytest.raises(RefusedError, match="not_days"):
            read(tmp_path, text, outcome)


@pytest.mark.parametrize(
    "name",
    ["days", "Survival.time", "dfs_2y_days", "OS days (24 months)", "last_year_OSdays", "Tage", "momentum", "stage"],
)
def test_a_column_that_is_named_by_days_or_by_no_unit_is_read(tmp_path, name):
    table = read(tmp_path, f"id,{name},event\nA,36,1\nB,900,0\n", TIME.model_copy(update={"time": name}))
    assert [one.dfs_days for one in table.outcomes] == [36, 900]
    assert table.flags == ()


@pytest.mark.parametrize(
    ("patients", "longest", "horizon", "codes"),
    [
        (10, 199, 730, ["short_follow_up"]),
        (9, 199, 730, []),
        (10, 200, 730, []),
        (10, 90, 90, []),
        (10, 89, 90, ["short_follow_up"]),
    ],
)
def test_a_cohort_that_nobody_of_is_followed_for_long_may_be_in_months(tmp_path, patients, longest, horizon, codes):
    names = "ABCDEFGHIJ"[:patients]
    text = "id,days,event\n" + "".join(f"{name},{longest - place},0\n" for place, name in enumerate(names))
    rules = TIME.model_copy(update={"horizon_days": horizon})
    assert [flag.code for flag in read(tmp_path, text, rules, patients=tuple(names)).flags] == codes


def test_an_event_at_day_0_may_mean_none_and_is_said_aloud(tmp_path):
    table = read(tmp_path, "id,rec,death,imaging,contact\nA,0,,300,900\nB,,,300,900\n", COLUMNS)
    assert [(flag.code, "CASEA" in flag.message) for flag in table.flags] == [("event_at_day_0", True)]
    found = read(tmp_path, "id,days,event\nA,0,1\nB,0,0\n").flags
    assert [(flag.code, "CASEA" in flag.message) for flag in found] == [("event_at_day_0", True)]


def test_a_follow_up_of_21_years_among_others_as_long_is_read_and_flagged(tmp_path):
    found = read(tmp_path, "id,days,event\nA,7777,0\nB,7001,1\n")
    assert [one.dfs_days for one in found.outcomes] == [7777, 7001]
    assert [flag.code for flag in found.flags] == ["code_as_day"]
    with pytest.raises(RefusedError, match="code_as_day"):
        read(tmp_path, "id,days,event\nA,7777,0\nB,8888,1\n")
    found = read(tmp_path, "id,days,event\nA,7777,0\nB,8888,1\nC,9500,0\n", patients="ABC")
    assert [flag.code for flag in found.flags] == ["code_as_day"]
    with pytest.raises(RefusedError, match="code_as_day"):
        read(tmp_path, "id,days,event\nA,7777,0\nB,7777,1\nC,9500,0\n", patients="ABC")


def test_a_recurrence_after_21_years_is_read_where_follow_ups_last_as_long(tmp_path):
    header = "id,rec,death,imaging,contact\n"
    found = read(tmp_path, f"{header}A,7777,,7700,9000\nB,300,,9100,9200\n", COLUMNS)
    assert [one.dfs_days for one in found.outcomes] == [7777, 300]
    assert "code_as_day" in {flag.code for flag in found.flags}
    with pytest.raises(RefusedError, match="code_as_day"):
        read(tmp_path, f"{header}A,7777,,700,900\nB,300,,910,920\n", COLUMNS)


@pytest.mark.parametrize("cells", [("1.000", "900"), ("999", "12.345")])
def test_a_point_that_may_part_thousands_is_refused(tmp_path, cells):
    with pytest.raises(RefusedError, match="thousands_separator") as caught:
        read(tmp_path, f"id;days;event\nA;{cells[0]};1\nB;{cells[1]};0\n")
    assert cells[0] not in str(caught.value)


@pytest.mark.parametrize("cells", [("100.000", "900.000"), ("100.0", "900.0"), ("1234.000", "7"), ("0.500", "12")])
def test_a_point_that_parts_no_thousands_is_read(tmp_path, cells):
    found = read(tmp_path, f"id;days;event\nA;{cells[0]};1\nB;{cells[1]};0\n").outcomes
    assert [one.dfs_days for one in found] == [round(float(cell)) for cell in cells]


@pytest.mark.parametrize("cells", ["2,0", "9,unknown", "yes,no", "1,yes"])
def test_a_binary_outcome_knows_the_event_and_its_opposite_only(tmp_path, cells):
    text = "id,event\n" + "".join(f"{p},{cell}\n" for p, cell in zip("AB", cells.split(","), strict=True))
    with pytest.raises(RefusedError, match="event_code"):
        read(tmp_path, text, BINARY)
    found = read(tmp_path, "id,event\nA,1\nB,0\nC,NA\n", BINARY, patients=("A", "B", "C")).outcomes
    assert [one.dfs_label for one in found] == [True, False, None]


@pytest.mark.parametrize("word", ["unknown", "Not known", "unbekannt", "?"])
def test_an_event_that_is_said_to_be_unknown_is_undetermined(tmp_path, word):
    text = f"id,days,event\nA,800,1\nB,800,0\nC,800,{word}\n"
    for outcome in (TIME, BINARY):
        third = read(tmp_path, text, outcome, patients=("A", "B", "C")).outcomes[2]
        assert (third.dfs_days, third.dfs_event, third.dfs_label) == (None, None, None)
        assert third.label_reason == "outcome recorded as unknown"
    assert [flag.code for flag in read(tmp_path, text, TIME, patients=("A", "B", "C")).flags] == ["unpaired_outcome"]


def test_months_made_days_are_no_thousands_where_one_would_be_five_centuries(tmp_path):
    text = "id,days,event\nA,182.625,1\nB,365,0\nC,12.175,0\n"
    table = read(tmp_path, text, patients=("A", "B", "C"))
    assert [one.dfs_days for one in table.outcomes] == [183, 365, 12]
    assert [flag.code for flag in table.flags] == ["fractional_days"]


BORN = (CovariateColumn(column="born", kind="number"),)


@pytest.mark.parametrize("cells", [("19500304", "19491231"), ("19500304.0", "NA"), ("19500304", "20000229")])
def test_days_of_the_calendar_are_no_numbers(tmp_path, cells):
    text = "id,days,event,born\n" + "".join(f"{p},1,0,{cell}\n" for p, cell in zip("AB", cells, strict=True))
    with pytest.raises(RefusedError, match="date_cell") as caught:
        read(tmp_path, text, covariates=BORN)
    assert "1950" not in str(caught.value)
    with pytest.raises(RefusedError, match="date_cell"):
        read(tmp_path, text, eligibility=Eligibility(scan_days="born"))


@pytest.mark.parametrize("cells", [("04031950", "31121949"), ("4031950", "12311949"), ("04031950.0", "NA")])
def test_days_of_the_calendar_may_begin_with_day_or_month(tmp_path, cells):
    text = "id,days,event,born\n" + "".join(f"{p},1,0,{cell}\n" for p, cell in zip("AB", cells, strict=True))
    with pytest.raises(RefusedError, match="date_cell"):
        read(tmp_path, text, covariates=BORN)


@pytest.mark.parametrize("name", ["born", "DateOfBirth", "DOB", "Geburtsdatum", "day of surgery", "birthdate"])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_a_spreadsheets_dates_under_the_name_of_one_are_refused(tmp_path, name, kind):
    text = f"id,days,event,{name}\nA,1,0,18325\nB,1,0,21000.0\n"
    with pytest.raises(RefusedError, match=r"date_cell|date_in_category") as caught:
        read(tmp_path, text, covariates=(CovariateColumn(column=name, kind=kind),))
    assert "18325" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("volume_mm3", ("18325", "21000")),  # as a spreadsheet's dates, but not named so
        ("birth year", ("1950", "1948")),
        ("birth weight g", ("3500", "4100")),
        ("days to update", ("12", "43000")),
        ("date index", ("18325.5", "21000")),
        ("days_since_birth", ("20000", "23300")),
        ("days since date of scan", ("7100", "8000")),
        ("x update", ("7400", "9000")),
        ("cost to date", ("12000", "30000")),
        ("candidate", ("7300", "9000")),
        ("date_diff", ("7300", "9000")),
        ("cells", ("1234567", "7654321")),
    ],
)
def test_ordinary_numbers_are_no_dates(tmp_path, name, cells):
    text = f"id,days,event,{name}\nA,1,0,{cells[0]}\nB,1,0,{cells[1]}\n"
    table = read(tmp_path, text, covariates=(CovariateColumn(column=name, kind="number"),))
    assert [one.number for one in table.covariates] == [float(cell) for cell in cells]


@pytest.mark.parametrize(
    "cell",
    [
        "geb. 04.03.1950", "*4.3.50", "4. März 1950", "4. Ma\u0308rz 1950", "7. Juni 1960", "March 4th 1950",
        "Mar-1950", "1er août 1950", "4 de marzo de 1950", "1950-03", "03/1951", "03.1951", "04031950",
        "04.03.1950-05.04.1950", "born 1950-03-04T00:00", "ID19500304", "3.1951", "4-GEN-1950",
        "born 4/3/50", "geb. 4.3.19", "OP 4.3.19", "seen 04.3.19", "seen 14/3/19", "scan 3/14/19", "geb. 3/1951",
        "geb. 03.1951", "geb. 3.1950", "*12.1950", "04-MAR-50", "4. Mai 50",
    ],
)  # fmt: skip
def test_a_date_in_the_text_of_a_category_is_refused(tmp_path, cell):
    with pytest.raises(RefusedError, match="date_in_category") as caught:
        read(tmp_path, f"id,days,event,note\nA,1,0,{cell}\nB,1,0,x\n", covariates=(CovariateColumn(column="note"),))
    assert "50" not in str(caught.value)


@pytest.mark.parametrize(
    "cell",
    [
        "pT2a N0 M0", "cT1c/N0/M0", "IA1-IA2", "UICC 8", "AJCC 8th edition 2017", "Masaoka 1981", "Mayo 2018", "8140/3",
        "C34.10", "35917007", "1.2.840.10008.1.2.10", "2010-2012", "10-20 pack years", "60 Gy in 30", "1.1-2.0 cm",
        "EGFR c.2235_2249del15", "marginal 2010", "12345678", "7. Auflage 2010", "7. Edition 2009", "syngo 4.1.10",
        "v2.3.11", "VB20A 1.2.15", "Cis 1-8-15", "Cis 1-8-15-22", "Day 1-8-15", "paclitaxel 1/8/15", "pT1/2/10",
        "WHO 5/2021", "1.2000", "5.2000 mm",
    ],
)  # fmt: skip
def test_stages_codes_and_classes_are_no_dates(tmp_path, cell):
    table = read(tmp_path, f"id,days,event,x\nA,1,0,{cell}\nB,1,0,x\n", covariates=(CovariateColumn(column="x"),))
    assert table.covariates[0].category == cell


@pytest.mark.parametrize("cells", [("2008-10", "2011-12"), ("2009/11", "2012/15")])
def test_ranges_of_years_are_no_months(tmp_path, cells):
    text = f"id,days,event,x\nA,1,0,{cells[0]}\nB,1,0,{cells[1]}\n"
    table = read(tmp_path, text, covariates=(CovariateColumn(column="x"),))
    assert [one.category for one in table.covariates] == list(cells)


@pytest.mark.parametrize("cells", [("2008-10", "2008-03"), ("2001-04", "2008-10"), ("1950-12", ""), ("2008-10", "x")])
def test_months_that_are_no_ranges_of_years_are_refused(tmp_path, cells):
    text = f"id,days,event,x\nA,1,0,{cells[0]}\nB,1,0,{cells[1]}\n"
    with pytest.raises(RefusedError, match="date_in_category"):
        read(tmp_path, text, covariates=(CovariateColumn(column="x"),))


@pytest.mark.parametrize("cells", [("19500304", "7"), ("19501304", "19491231"), ("20010229", "20000229"), ("", "NA")])
def test_numbers_of_which_only_some_could_be_days_are_read(tmp_path, cells):
    text = "id,days,event,born\n" + "".join(f"{p},1,0,{cell}\n" for p, cell in zip("AB", cells, strict=True))
    found = [one.number for one in read(tmp_path, text, covariates=BORN).covariates]
    assert found == [float(cell) if cell.isdigit() else None for cell in cells]


def test_an_underscore_is_no_part_of_a_number(tmp_path):
    with pytest.raises(RefusedError, match="not_a_number"):
        read(tmp_path, "id,days,event,born\nA,1,0,6_5\n", covariates=BORN)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("CT_original_shape_MeshVolume", ("intratumoural", "original", "shape", "MeshVolume")),
        ("wavelet-LLH_glcm_JointEnergy", ("intratumoural", "wavelet-LLH", "glcm", "JointEnergy")),
        (
            "peritumoural_log-sigma-2-0-mm-3D_firstorder_Mean",
            ("peritumoural", "log-sigma-2-0-mm-3D", "firstorder", "Mean"),
        ),
        ("lbp-3D-m1_ngtdm_Busyness", ("intratumoural", "lbp-3D-m1", "ngtdm", "Busyness")),
    ],
)
def test_feature_names_fall_into_their_parts(name, parts):
    found = feature_column(name)
    assert (found.roi, found.image_type, found.feature_class, found.feature) == parts


def test_columns_that_smell_of_the_outcome_are_never_proposed(tmp_path):
    rows = "\n".join(f"{n},{40 + n},{n % 2},{n % 3},{n % 2},{n},{n % 2},{n % 2}" for n in range(12))
    text = "id,age,sex,death_age,recurrence_stage,days_of_followup_age,smoking status,dfs_sex\n"
    (tmp_path / "c.csv").write_text(text + rows + "\n")
    found = propose_covariates([read_table(tmp_path / "c.csv", "table 1")], ["id"])
    assert [c.column for c in found] == ["age", "sex"]


@pytest.fixture(scope="module")
def radiogenomics(shared, tmp_path_factory):
    data, study = shared / "data/nsclc_radiogenomics", tmp_path_factory.mktemp("table") / "study"
    tables = (data / "clinical_labels_2018-05-22.csv", data / "dfs_derived.csv")
    new_table_study(study, data / "radmlbench_features_egfr.csv.gz", tables)
    return study


def test_radiogenomics_has_40_events_91_free_and_13_undetermined(radiogenomics):
    # expected: ../shared/data/nsclc_radiogenomics/README.md
    protocol, pseudonyms = read_protocol(radiogenomics), Pseudonyms(radiogenomics, public_ids=False)
    features = feature_table_source(radiogenomics, protocol, pseudonyms)
    source = clinical_source(radiogenomics, protocol, features.cases)
    table = read_clinical(source, protocol.clinical, protocol.outcome, protocol.covariates, protocol.eligibility)
    assert Counter(o.dfs_label for o in table.outcomes) == {True: 40, False: 91, None: 13}
    imported = read_feature_table(features, protocol.features_table).features
    assert imported.values.shape == (144, 105)
    assert imported.dropped == ("Target: not declared a feature",)


def test_radiogenomics_proposals_and_check(radiogenomics):
    protocol = read_protocol(radiogenomics)
    assert protocol.clinical.id == ("Patient ID", "patient")
    assert (protocol.outcome.kind, protocol.outcome.time, protocol.outcome.event) == ("time", "dfs_days", "dfs_event")
    assert "Histology" in [c.column for c in protocol.covariates.columns]
    result = check(radiogenomics)
    assert len(result.accepted) == 144
    assert [r.code for r in result.refused] == ["negative_time"]
