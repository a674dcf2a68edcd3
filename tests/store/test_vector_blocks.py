"""Feature vectors in blocks and sealed files: the same rows come back, whatever was sealed, killed or recorded anew."""

from __future__ import annotations

import dataclasses
import itertools
import shutil

import duckdb
import numpy as np
import pytest

import store.publisher
from store.artifacts import records_to_arrow, store_value
from store.export import export_table
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import publish, rebuild
from store.queries.reproducibility import PATIENTS_SHOWN, feature_iccs, feature_values
from store.records import STATUSES, FeatureName, FeatureVector, PerturbedFeatureVector, PerturbedMask
from store.schema import BLOCK
from store.snapshot import close_snapshots, open_snapshot
from store.vector_blocks import SEALED_GLOB, in_blocks, seal
from tests.store.recorded import finish_run, icc_row, record, start_run

LENGTH = 2 * BLOCK + 5
SEAL_AT = 20  # block rows: two cases of three masks have eighteen


@pytest.fixture(autouse=True)
def small_seals(monkeypatch):
    """The real sealing, at a size that a test can reach."""
    monkeypatch.setattr(store.publisher, "seal", lambda connection, folder: seal(connection, folder, SEAL_AT))
    yield
    close_snapshots()


def vector(kind, case, perturbation, length=LENGTH, feature_set="s"):
    values = case * 1000.0 + np.arange(length) + (0 if perturbation == "none" else 0.25)
    values[3] = np.nan
    statuses = np.where(np.isnan(values), 1, 0).astype(np.uint8)
    return kind("intratumoural", perturbation, feature_set, values, statuses)


def write_case(study, case):
    record(study, "run-1", "features", f"CASE-{case:04d}", [vector(FeatureVector, case, "none")])
    perturbed = [vector(PerturbedFeatureVector, case, name) for name in ("noise-1", "noise-2")]
    masks = [
        PerturbedMask("intratumoural", name, "random", "noise", "{}", 1.0, 0.0, True) for name in ("noise-1", "noise-2")
    ]
    record(study, "run-1", "perturbed", f"CASE-{case:04d}", perturbed, masks)


def begin(study):
    start_run(study, "run-1")
    names = [FeatureName("s", place, "original", "glcm", f"F{place}") for place in range(LENGTH)]
    record(study, "run-1", "names", "", names)
    record(study, "run-1", "reproducibility", "", [icc_row("intratumoural", "random", "F70")])


def values_of(study):
    rows = export_table(study, "features").to_pylist()
    return {(r["case_id"], r["perturbation"], r["feature"]): (r["value"], r["status"]) for r in rows}


def expected(cases):
    return {
        (f"CASE-{case:04d}", perturbation, f"F{place}"): (
            None if place == 3 else case * 1000.0 + place + (0 if perturbation == "none" else 0.25),
            STATUSES[1 if place == 3 else 0],
        )
        for case in cases
        for perturbation in ("none", "noise-1", "noise-2")
        for place in range(LENGTH)
    }


def sealed(study):
    return sorted(path.name for path in StudyFolder(study).snapshots.glob(SEALED_GLOB))


def test_blocks_hold_every_value_and_status_in_its_place():
    rows = [vector(FeatureVector, case, "none") for case in range(3)]
    rows += [vector(FeatureVector, 7, "none", length=BLOCK, feature_set="short")]
    blocks = in_blocks(records_to_arrow(rows, FeatureVector)).to_pylist()
    assert len(blocks) == 3 * 3 + 1
    for name, case, length in (("s", 2, LENGTH), ("short", 7, BLOCK)):
        own = sorted((b for b in blocks if b["feature_set"] == name), key=lambda b: b["block"])
        own = [b for b in own if (b["values"][0] or 0) // 1000 == case]
        flat = [value for block in own for value in block["values"]]
        assert flat == [None if k == 3 else case * 1000.0 + k for k in range(length)]
        assert [s for block in own for s in block["statuses"]] == [1 if k == 3 else 0 for k in range(length)]
        assert [len(block["values"]) for block in own][:-1] == [BLOCK] * (len(own) - 1)


def test_no_vector_gives_no_block():
    assert in_blocks(records_to_arrow((), FeatureVector)).num_rows == 0


def test_sealed_and_open_rows_are_one_table_and_sealed_ones_are_not_copied_again(tmp_path):
    begin(tmp_path)
    for case in range(4):
        write_case(tmp_path, case)
        publish(tmp_path)
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    assert values_of(tmp_path) == expected(range(4))
    assert len(sealed(tmp_path)) == 1
    write_case(tmp_path, 4)
    generation = publish(tmp_path).generation
    own = duckdb.connect(str(tmp_path / "snapshots" / generation), read_only=True)
    open_rows = own.execute("SELECT count(*) FROM r_feature_block").fetchall()[0][0]
    own.close()
    assert open_rows < SEAL_AT
    assert values_of(tmp_path) == expected(range(5))


def test_a_rebuild_seals_anew_and_older_generations_stay_readable(tmp_path):
    begin(tmp_path)
    for case in range(4):
        write_case(tmp_path, case)
    publish(tmp_path)
    before, old = sealed(tmp_path), open_snapshot(tmp_path)
    assert len(before) == 1
    rebuild(tmp_path)
    assert set(before) < set(sealed(tmp_path))
    assert old.rows("SELECT count(*) FROM feature_block").rows == ((4 * 9,),)
    assert values_of(tmp_path) == expected(range(4))
    for _ in range(store.publisher.KEPT_GENERATIONS):
        publish(tmp_path)
    assert not set(before) & set(sealed(tmp_path))
    assert values_of(tmp_path) == expected(range(4))


def test_a_result_recorded_anew_replaces_its_sealed_rows(tmp_path):
    begin(tmp_path)
    for case in range(4):
        write_case(tmp_path, case)
    publish(tmp_path)
    folder = StudyFolder(tmp_path)
    with Ledger(folder) as ledger:
        kind = "features.FeatureVector"
        key = str(ledger.rows("SELECT key FROM placement WHERE stage='features' AND unit='CASE-0001'")[0][0])
        changed = dataclasses.replace(vector(FeatureVector, 1, "none"), values=np.full(LENGTH, 5.0))
        stored = store_value(folder, kind, key, FeatureVector, (changed,))
        with ledger.transaction() as connection:
            ledger.record_artifact(connection, key, stored)
    publish(tmp_path)
    found = values_of(tmp_path)
    assert {value for (case, how, _), (value, _) in found.items() if (case, how) == ("CASE-0001", "none")} == {5.0}
    rest = {at: value for at, value in expected(range(4)).items() if at[:2] != ("CASE-0001", "none")}
    assert {at: value for at, value in found.items() if at in rest} == rest
    assert len(found) == len(expected(range(4)))


@pytest.mark.parametrize("point", ["DETACH sealing", "DELETE FROM r_feature_block", "INSERT INTO sealed"])
def test_a_publisher_that_dies_while_it_seals_loses_and_doubles_nothing(tmp_path, monkeypatch, point):
    begin(tmp_path)
    for case in range(4):
        write_case(tmp_path, case)

    class Dying:
        def __init__(self, connection):
            self.connection = connection

        def execute(self, sql, *given):
            if sql.startswith(point):
                raise KeyboardInterrupt
            return self.connection.execute(sql, *given)

    def die(connection, folder):
        return seal(Dying(connection), folder, SEAL_AT)

    with monkeypatch.context() as patch:
        patch.setattr(store.publisher, "seal", die)
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path)
    publish(tmp_path)
    assert values_of(tmp_path) == expected(range(4))
    assert not list(StudyFolder(tmp_path).snapshots.glob("*.tmp"))


@pytest.mark.parametrize("damage", ["gone", "unreadable"])
def test_a_lost_sealed_file_is_made_again_from_the_artifacts(tmp_path, damage):
    begin(tmp_path)
    for case in range(4):
        write_case(tmp_path, case)
    publish(tmp_path)
    close_snapshots()
    path = StudyFolder(tmp_path).snapshots / sealed(tmp_path)[0]
    path.unlink()
    if damage == "unreadable":
        path.write_bytes(b"nothing of a database")
    publish(tmp_path)
    assert values_of(tmp_path) == expected(range(4))


def test_a_copied_study_reads_its_own_sealed_files(tmp_path):
    begin(tmp_path / "a")
    for case in range(4):
        write_case(tmp_path / "a", case)
    publish(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "it's b")
    shutil.rmtree(tmp_path / "a")
    assert values_of(tmp_path / "it's b") == expected(range(4))


def test_what_an_older_version_published_stays_readable_but_for_the_vectors(tmp_path):
    begin(tmp_path)
    write_case(tmp_path, 0)
    generation = publish(tmp_path).generation
    old = duckdb.connect(str(tmp_path / "snapshots" / generation))
    for statement in ("DROP VIEW feature_block", "DROP TABLE r_feature_block", "DROP TABLE sealed"):
        old.execute(statement).fetchall()
    old.close()
    snapshot = open_snapshot(tmp_path)
    (row,) = feature_iccs(snapshot, "run-1", "random")
    assert feature_values(snapshot, "run-1", row) == ()
    with pytest.raises(ValueError, match="rebuild STUDY"):
        export_table(tmp_path, "features")
    rebuild(tmp_path)
    assert values_of(tmp_path) == expected([0])


def test_one_feature_of_many_patients_shows_some_evenly_and_says_of_how_many(tmp_path):
    begin(tmp_path)
    many = 2 * PATIENTS_SHOWN
    for case in range(many):
        write_case(tmp_path, case)
    publish(tmp_path)
    snapshot = open_snapshot(tmp_path)
    (row,) = feature_iccs(snapshot, "run-1", "random")
    values = feature_values(snapshot, "run-1", row)
    shown = sorted({value.case_id for value in values})
    assert {value.patients for value in values} == {many}
    assert len(values) == 3 * PATIENTS_SHOWN
    assert len(shown) == PATIENTS_SHOWN
    assert {int(b[5:]) - int(a[5:]) for a, b in itertools.pairwise(shown)} == {2}  # cases rise with the value
    assert {v.value - 1000.0 * int(v.case_id[5:]) for v in values} == {70.0, 70.25}
