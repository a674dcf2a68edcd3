"""stats mrmr, stability, icc and delong: published orders and values, and tables that are refused by row and column."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from engine.commands import app
from store.records import RefusedError


def ask(*arguments: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("scheme", ["MID", "MIQ"])
def test_mrmr_of_the_colon_table_is_the_order_of_pymrmr(shared, scheme):
    folder = shared / "data/stats_reference"
    expected = json.loads((folder / "mrmr_colon.json").read_text())["result"][scheme]["order"]
    table = folder / "mrmr_colon_discretised.csv.gz"
    found = ask("stats", "mrmr", table, "--outcome", "class", "--k", len(expected), "--scheme", scheme)
    assert found == {"selected": expected, "information": "counted"}


def test_fcq_leaves_out_what_it_is_told_and_takes_the_other_columns(tmp_path):
    rows = [f"{n},{n % 2},{n % 2 + 0.1 * (n % 3)},{(n * 7) % 11}" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["id,y,strong,weak", *rows]))
    found = ask("stats", "mrmr", tmp_path / "t.csv", "--outcome", "y", "--k", 5, "--leave-out", "id")
    assert found == {"selected": ["strong", "weak"]}


@pytest.mark.parametrize("name", ["Z3", "Z4_500x40_constant_k6"])
def test_stability_is_that_of_the_authors_notebook(shared, tmp_path, name):
    case = json.loads((shared / "data/stats_reference/stability_nogueira.json").read_text())["cases"][name]
    (tmp_path / "z.csv").write_text("\n".join(",".join(row) for row in case["rows"]))
    assert ask("stats", "stability", tmp_path / "z.csv")["stability"] == pytest.approx(case["stability"], abs=1e-12)


def test_a_header_of_names_is_no_resample(tmp_path):
    # notes/statistics.md section 5: this table has stability 0.375, se 0.09375
    rows = ["a,b,c,d,e,f", "1,1,0,0,0,0", "1,0,1,0,0,0", "1,1,0,0,0,0", "0,1,1,0,0,0"]
    (tmp_path / "z.csv").write_text("\n".join(rows))
    found = ask("stats", "stability", tmp_path / "z.csv")
    assert (found["stability"], found["se"]) == pytest.approx((0.375, 0.09375))


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("y,a\n0,1\n1,\n", "missing_value", "'a', line 3"),
        ("y,a\n0,1\n1,x\n", "not_a_number", "'a', line 3"),
        ("y;a\n0;1\n1;2,5\n", "decimal_comma", "'a', line 3"),
        ("y,a\n0,1\n0,2\n", "one_class", "'y'"),
        ("z,a\n0,1\n0,2\n", "no_column", "'y'"),
        ("y,a\n0,1\n1,2,3\n", "ragged_rows", "lines 3"),
        ("y,a\n0,1\n1,inf\n", "not_a_number", "'a', line 3"),
    ],
)
def test_a_bad_table_is_refused_by_row_and_column(tmp_path, text, code, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RefusedError, match=says) as caught:
        ask("stats", "mrmr", tmp_path / "t.csv", "--outcome", "y")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "lines"), [("1,0\n0,2\n", "lines 2"), ("1,0\n0,1,1\n", "lines 2"), ("1,0\n", "one row")]
)
def test_indicators_that_are_none_are_refused(tmp_path, text, lines):
    (tmp_path / "z.csv").write_text(text)
    with pytest.raises(RefusedError, match=lines):
        ask("stats", "stability", tmp_path / "z.csv")


def icc_table(tmp_path, table, *arguments):
    to = tmp_path / "icc.csv"
    done = CliRunner().invoke(app, ["stats", "icc", str(table), *arguments, "--to", str(to)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return pd.read_csv(to)


def test_icc_of_the_teams_table_is_that_of_r_psych(shared, tmp_path):
    folder = shared / "data/ibsi1_multi_team"
    columns = ("--subject", "id", "--rater", "team", "--value", "value", "--by", "tag")
    found = icc_table(tmp_path, folder / "multi_team_CT.csv.gz", *columns).set_index("tag")
    expected = pd.read_csv(folder / "icc_reference_psych_CT.csv").set_index("tag")
    assert len(expected) == 226
    found = found.loc[expected.index]
    assert (found[["n", "k"]] == expected[["n", "k"]]).all(axis=None)
    for form in ("1", "2", "3"):
        names = {f"icc{form}1": f"ICC{form}", f"icc{form}k": f"ICC{form}k"}
        names |= {f"icc{form}1{end}": f"ICC{form}{end}" for end in ("_lo", "_hi")}
        for ours, theirs in names.items():
            np.testing.assert_allclose(found[ours], expected[theirs], rtol=0, atol=1e-9, err_msg=ours)


def test_icc_columns_are_those_others_rely_on(tmp_path):
    rows = ["who,by,v", *(f"s{n},{rater},{n + 0.1 * k}" for n in range(6) for k, rater in enumerate("ab")), "s0,c,1"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    done = CliRunner().invoke(
        app, ["stats", "icc", str(tmp_path / "t.csv"), *["--subject", "who", "--rater", "by", "--value", "v"]]
    )
    found = pd.read_csv(io.StringIO(done.stdout))
    # the project's design.md, section 3
    assert list(found)[:8] == ["n", "k", "icc11", "icc11_lo", "icc11_hi", "icc21", "icc21_lo", "icc21_hi"]
    assert found.loc[0, ["n", "k"]].tolist() == [6, 2]  # c measured one subject only
    assert found.loc[0, "icc31"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("id,r,v\na,x,1\na,y,\nb,x,2,5\n", "ragged_rows", "lines 4"),
        ("id,r,v\na,x,1\na,x,2\n", "duplicate_rating", "lines 3"),
        ("id,r,v\na,x,1\na,y,high\n", "not_a_number", "'v', line 3"),
        ("id,r,v\na,x,1\na,,2\n", "no_name", "lines 3"),
        ("id,w,v\na,x,1\n", "no_column", "'r'"),
    ],
)
def test_bad_measurements_are_refused_by_row_and_column(tmp_path, text, code, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RefusedError, match=says) as caught:
        icc_table(tmp_path, tmp_path / "t.csv", "--subject", "id", "--rater", "r", "--value", "v")
    assert caught.value.code == code


SCORES = ("--outcome", "outcome", "--event", "Poor", "--scores")


@pytest.mark.parametrize(("first", "second"), [("s100b", "ndka"), ("wfns", "s100b"), ("wfns", "ndka")])
def test_delong_of_the_asah_table_is_that_of_proc(shared, first, second):
    folder = shared / "data/stats_reference"
    reference = json.loads((folder / "proc_aSAH.json").read_text())
    expected, areas = reference["delong_paired"][f"{first}_vs_{second}"], reference["auc"]
    found = ask("stats", "delong", folder / "aSAH.csv", *SCORES, first, second)
    assert (found["n"], found["events"]) == (113, 41)
    assert (found["z"], found["p"]) == pytest.approx((expected["Z"], expected["p"]), abs=1e-12)
    assert found["difference_ci"] == pytest.approx(expected["diff_ci95"], abs=1e-12)
    for name in (first, second):
        assert found["auc"][name] == pytest.approx(areas[name]["auc"], abs=1e-12)
        assert found["ci"][name] == pytest.approx(areas[name]["ci95"], abs=1e-12)
    assert found["difference"] == pytest.approx(areas[first]["auc"] - areas[second]["auc"], abs=1e-12)


def test_scores_that_order_all_alike_have_no_p(tmp_path):
    rows = [f"{'Poor' if n % 3 == 0 else 'Good'},{n},{n * n}" for n in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["outcome,a,b", *rows]))
    found = ask("stats", "delong", tmp_path / "t.csv", *SCORES, "a", "b")
    assert (found["difference"], found["z"], found["p"]) == (0, None, None)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("outcome,a,b\nPoor,1,2\nGood,1,\n", "missing_value", "'b', line 3"),
        ("outcome,a,b\npoor,1,2\nGood,1,2\n", "not_two_classes", "'Poor' and one other"),
        ("outcome,a,b\nPoor,1,2\nGood,1,2\nFair,1,2\n", "not_two_classes", "'Fair', 'Good', 'Poor'"),
        ("outcome,a\nPoor,1\nGood,2\n", "no_column", "'b'"),
    ],
)
def test_bad_scores_are_refused_by_row_and_column(tmp_path, text, code, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RefusedError, match=says) as caught:
        ask("stats", "delong", tmp_path / "t.csv", *SCORES, "a", "b")
    assert caught.value.code == code
