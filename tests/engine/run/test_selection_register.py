"""A list read off a selection is refused on its own patients: by id, by values, through study.toml and as a table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from engine.acquire.new import new_table_study
from engine.protocol import Outcome, SelectionProtocol, read_protocol, write_protocol
from engine.run.runner import run
from engine.run.selection_register import check_known_list, known_selections, register_home
from engine.run.signature import signature_text, take_signature, use_signature
from store.queries.study import declined
from store.records import RefusedError
from store.snapshot import close_snapshots, open_snapshot

N, P, LISTED = 80, 60, 8
NAMES = tuple(f"original_glcm_Feature{number}" for number in range(P))


def write_table(path: Path, patients: list[str], names: tuple[str, ...], values: np.ndarray, label: np.ndarray) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["patient", "outcome", *names])
        rows.writerows(
            [patient, int(own), *map(repr, row.tolist())]
            for patient, own, row in zip(patients, label, values, strict=True)
        )


def make_study(folder: Path, table: Path) -> Path:
    new_table_study(folder, table, (table,))
    protocol = read_protocol(folder)
    quick = SelectionProtocol(resamples=12, trees=10, mrmr_features=10, most_kept=3)
    outcome = Outcome(kind="binary", event="outcome")
    write_protocol(folder, protocol.model_copy(update={"selection": quick, "outcome": outcome}))
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path / "home"))


@pytest.fixture
def null(tmp_path, home):
    """A null study, run to the end: patients, values, labels and the folder."""
    rng = np.random.default_rng(11)
    values, label = rng.lognormal(size=(N, P)) * 10.0 ** rng.integers(-3, 4, P), rng.permutation(np.arange(N) % 2)
    patients = [f"patient {number}" for number in range(N)]
    write_table(tmp_path / "null.csv", patients, NAMES, values, label)
    study = make_study(tmp_path / "null", tmp_path / "null.csv")
    run(study, backend="inline")
    yield study, patients, values, label
    close_snapshots()


def listed(study: Path) -> list[int]:
    names = take_signature(study, LISTED).features
    return [NAMES.index(name.removeprefix("intratumoural_")) for name in names]


def evaluate(folder: Path, patients: list[str], names: tuple[str, ...], values: np.ndarray, label: np.ndarray) -> None:
    write_table(folder.with_suffix(".csv"), patients, names, values, label)
    run(make_study(folder, folder.with_suffix(".csv")), backend="inline")


def test_a_signature_of_null_data_is_refused_on_its_own_study_and_its_pages_say_why(null, tmp_path):
    study = null[0]
    (tmp_path / "signature.json").write_text(signature_text(take_signature(study, LISTED)))
    use_signature(study, tmp_path / "signature.json")
    with pytest.raises(RefusedError, match=f"{N} of these patients"):
        run(study, backend="inline")
    snapshot = open_snapshot(study)
    newest = snapshot.rows("SELECT run_id FROM run ORDER BY place DESC").rows[0][0]
    assert "circular" in declined(snapshot, str(newest))[0].reason


def test_without_the_mark_the_list_in_study_toml_is_still_refused(null):
    study = null[0]
    names = take_signature(study, LISTED).features
    protocol = read_protocol(study)
    own = protocol.selection.model_copy(update={"signature": names})
    write_protocol(study, protocol.model_copy(update={"selection": own}))
    with pytest.raises(RefusedError, match="derived_from"):
        run(study, backend="inline")


def test_the_list_imported_as_a_table_is_refused_by_id(null, tmp_path):
    study, patients, _, label = null
    columns = listed(study)
    fresh = np.random.default_rng(1).normal(size=(N, LISTED))
    with pytest.raises(RefusedError, match=rf"\({N} by id\)"):
        evaluate(tmp_path / "again", patients, tuple(NAMES[c] for c in columns), fresh, label)


def test_under_other_names_of_columns_and_patients_it_is_refused_by_its_values(null, tmp_path):
    study, _, values, label = null
    columns = listed(study)
    renamed = tuple(f"original_shape_Other{number}" for number in range(LISTED))
    rounded = np.array([[float(f"{v:.6e}") for v in row] for row in values[:, columns]])
    order = np.random.default_rng(2).permutation(N)
    folder = tmp_path / "again"
    with pytest.raises(RefusedError, match=rf"\({N} by their feature values\)"):
        evaluate(folder, [f"x{number}" for number in range(N)], renamed, rounded[order], label[order])
    assert "circular" in str(check_known_list(folder))


def test_a_list_read_off_the_page_by_eye_is_refused_too(null, tmp_path):
    _, patients, values, label = null
    names = known_selections()[0].names[:6]  # nothing was taken: no command, no button
    columns = [NAMES.index(name.removeprefix("intratumoural_")) for name in names]
    assert known_selections()[0].taken == ()
    with pytest.raises(RefusedError, match="derived_from"):
        evaluate(tmp_path / "again", patients, tuple(NAMES[c] for c in columns), values[:, columns], label)


def test_one_patient_of_the_study_is_enough(null, tmp_path):
    study, _, values, label = null
    columns = listed(study)
    fresh = np.random.default_rng(1).lognormal(size=(N, LISTED))
    fresh[5] = values[7, columns]
    others = [f"x{number}" for number in range(N)]
    with pytest.raises(RefusedError, match=r"\(1 by their feature values\)"):
        evaluate(tmp_path / "again", others, tuple(NAMES[c] for c in columns), fresh, label)


def test_on_other_patients_the_signature_is_evaluated(null, tmp_path):
    study, _, _, label = null
    columns = listed(study)
    fresh = np.random.default_rng(1).lognormal(size=(N, LISTED))
    evaluate(tmp_path / "other", [f"x{n}" for n in range(N)], tuple(NAMES[c] for c in columns), fresh, label)


def test_the_whole_table_and_a_list_from_elsewhere_may_be_analysed_again(null, tmp_path):
    _, patients, values, label = null
    evaluate(tmp_path / "whole", patients, NAMES, values, label)
    rare = [NAMES.index(n.removeprefix("intratumoural_")) for n in known_selections()[0].names[-6:]]
    evaluate(tmp_path / "prior", patients, tuple(NAMES[c] for c in rare), values[:, rare], label)


def test_a_derivation_from_an_unknown_selection_is_refused(null):
    study = null[0]
    protocol = read_protocol(study)
    plan = protocol.plan.model_copy(update={"derived_from": "0123456789ab"})
    write_protocol(study, protocol.model_copy(update={"plan": plan}))
    with pytest.raises(RefusedError, match="no selection known"):
        run(study, backend="inline")


def test_the_register_holds_neither_ids_nor_values(null):
    text = b"".join(path.read_bytes() for path in register_home().iterdir())
    assert b"patient 7" not in text
    assert (register_home().stat().st_mode & 0o077) == 0
