"""stats mrmr and stats stability: published orders and values, and tables that are refused by row and column."""

from __future__ import annotations

import json

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
