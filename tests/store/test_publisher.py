"""The publisher takes each artifact once, under the identity of the run, and notices damage."""

import hashlib

import pyarrow.parquet as pq
import pytest

from store.artifacts import store_value
from store.layout import StudyFolder
from store.ledger import Ledger, RunRow
from store.publisher import DamagedArtifactError, publish, rebuild
from store.records import Flag
from store.snapshot import open_snapshot
from store.verification import verify

PROTOCOL = '{"study": {"name": "s", "synthetic": true, "notice": "n"}}'
FLAGS = (Flag("acquire", "code", "text", "remedy"), Flag("acquire", "code 2", "text", "remedy"))


def record(study, key, unit, run_id="run-1", flags=FLAGS):
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        if not ledger.rows("SELECT 1 FROM run WHERE run_id=?", (run_id,)):
            row = RunRow(run_id, "2026-01-01T00:00:00", None, "running", "p", PROTOCOL, "", 1, 1, "", "host")
            ledger.start_run(row, "code", "{}")
        ledger.place_tasks(run_id, "acquire", [(unit, key)])
        ledger.claim(key)
        ledger.finish_task(key, (store_value(folder, "acquire.flags", key, Flag, flags),), 1.0, 1.0)


def test_rows_carry_run_and_case(tmp_path):
    record(tmp_path, "00", "CASE-A")
    record(tmp_path, "01", "CASE-B", flags=FLAGS[:1])
    publish(tmp_path)
    found = open_snapshot(tmp_path).rows("SELECT run_id, case_id, code FROM flag ORDER BY ALL").rows
    assert found == (("run-1", "CASE-A", "code"), ("run-1", "CASE-A", "code 2"), ("run-1", "CASE-B", "code"))


def test_publishing_twice_takes_nothing_twice(tmp_path):
    record(tmp_path, "00", "CASE-A")
    assert publish(tmp_path).ingested == 1
    second = publish(tmp_path)
    assert second.ingested == 0
    assert open_snapshot(tmp_path).generation == second.generation
    assert open_snapshot(tmp_path).rows("SELECT count(*) FROM flag").rows == ((2,),)


def test_results_from_before_a_record_gained_a_field_are_taken_in_beside_new_ones(tmp_path):
    folder = StudyFolder(tmp_path)
    record(tmp_path, "00", "CASE-A")
    record(tmp_path, "01", "CASE-B", flags=FLAGS[:1])
    path = folder.artifact("acquire.flags", "00", ".parquet")
    pq.write_table(pq.read_table(path).drop_columns(["remedy"]), path)
    with Ledger(folder) as ledger:
        ledger.rows("UPDATE artifact SET sha256=? WHERE key='00'", (hashlib.sha256(path.read_bytes()).hexdigest(),))
    publish(tmp_path)
    found = open_snapshot(tmp_path).rows("SELECT case_id, code, remedy FROM flag ORDER BY ALL").rows
    assert [(case, remedy is None) for case, _, remedy in found] == [
        ("CASE-A", True),
        ("CASE-A", True),
        ("CASE-B", False),
    ]


def test_a_column_that_a_record_has_lost_since_is_left_out_of_old_results(tmp_path):
    folder = StudyFolder(tmp_path)
    record(tmp_path, "00", "CASE-A")
    path = folder.artifact("acquire.flags", "00", ".parquet")
    old = pq.read_table(path)
    pq.write_table(old.append_column("severity", old["code"]), path)
    with Ledger(folder) as ledger:
        ledger.rows("UPDATE artifact SET sha256=? WHERE key='00'", (hashlib.sha256(path.read_bytes()).hexdigest(),))
    publish(tmp_path)
    assert open_snapshot(tmp_path).rows("SELECT count(*) FROM flag").rows == ((2,),)


def test_results_of_a_record_that_is_no_more_are_passed_over_and_the_rest_is_published(tmp_path):
    record(tmp_path, "00", "CASE-A")
    record(tmp_path, "01", "CASE-B", flags=FLAGS[:1])
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.rows("UPDATE artifact SET record_type='RocBand' WHERE key='00'")
    for made in (publish(tmp_path), rebuild(tmp_path)):
        assert made.ingested == 2
        assert open_snapshot(tmp_path).rows("SELECT case_id FROM flag").rows == (("CASE-B",),)
    assert publish(tmp_path).ingested == 0


def test_one_artifact_serves_two_runs_without_being_stored_twice(tmp_path):
    record(tmp_path, "00", "CASE-A")
    record(tmp_path, "00", "CASE-A", run_id="run-2")
    publish(tmp_path)
    found = open_snapshot(tmp_path).rows("SELECT run_id, count(*) FROM flag GROUP BY ALL ORDER BY ALL").rows
    assert found == (("run-1", 2), ("run-2", 2))


def test_three_generations_are_kept_and_rebuild_gives_the_same_rows(tmp_path):
    record(tmp_path, "00", "CASE-A")
    for _ in range(5):
        publish(tmp_path)
    before = open_snapshot(tmp_path).rows("SELECT * FROM flag ORDER BY ALL").rows
    rebuild(tmp_path)
    assert len(list((tmp_path / "snapshots").glob("gen-*.duckdb"))) == 3
    assert open_snapshot(tmp_path).rows("SELECT * FROM flag ORDER BY ALL").rows == before


def test_a_flipped_byte_is_refused_at_ingest_and_found_by_verify(tmp_path):
    record(tmp_path, "00", "CASE-A")
    assert verify(tmp_path).clean
    path = StudyFolder(tmp_path).artifact("acquire.flags", "00", ".parquet")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    assert verify(tmp_path).damaged == ("acquire.flags/00",)
    with pytest.raises(DamagedArtifactError) as caught:
        publish(tmp_path)
    assert caught.value.keys == ("00",)


def test_a_stray_file_is_reported(tmp_path):
    record(tmp_path, "00", "CASE-A")
    stray = StudyFolder(tmp_path).artifact("acquire.flags", "zz", ".parquet")
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"x")
    assert not verify(tmp_path).clean


def test_an_unreadable_work_database_is_made_anew(tmp_path):
    record(tmp_path, "00", "CASE-A")
    publish(tmp_path)
    StudyFolder(tmp_path).work_database.write_bytes(b"not a database")
    publish(tmp_path)
    assert open_snapshot(tmp_path).rows("SELECT count(*) FROM flag").rows == ((2,),)
