"""The snapshot pages read: locked down, read-only, one connection a generation."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from store.layout import StudyFolder
from store.queries.answers import ask
from store.snapshot import Answers, NoSnapshotError, close_snapshots, open_snapshot


def publish_number(study: Path, generation: str, number: int) -> None:
    """A generation that holds one number."""
    folder = StudyFolder(study)
    folder.snapshots.mkdir(exist_ok=True)
    connection = duckdb.connect(str(folder.snapshots / generation))
    connection.execute("CREATE TABLE fact AS SELECT ? AS number", [number]).fetchall()
    connection.close()
    folder.current.write_text(generation, encoding="ascii")


def number_of(study: Path) -> object:
    return open_snapshot(study).rows("SELECT number FROM fact").rows[0][0]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    publish_number(tmp_path, "gen-00000001.duckdb", 1)
    yield tmp_path
    close_snapshots()


def test_unpublished_study_says_so(tmp_path):
    with pytest.raises(NoSnapshotError):
        open_snapshot(tmp_path)


def test_same_generation_is_opened_once(study):
    assert open_snapshot(study) is open_snapshot(study)


def test_new_generation_is_seen_and_an_old_holder_still_reads(study):
    old = open_snapshot(study)
    for number in (2, 3, 4):
        publish_number(study, f"gen-0000000{number}.duckdb", number)
        assert number_of(study) == number
    assert old.rows("SELECT number FROM fact").rows == ((1,),)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO fact VALUES (2)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY fact TO '/tmp/cohortscope-escape.csv'",
        "SET enable_external_access=true",
        "ATTACH '/tmp/cohortscope-escape.duckdb'",
    ],
)
def test_nothing_is_written_and_no_file_is_reached(study, sql):
    with pytest.raises(duckdb.Error):
        open_snapshot(study).rows(sql)


def test_python_variables_are_not_tables(study):
    secret = {"a": [1]}  # noqa: F841
    with pytest.raises(duckdb.CatalogException):
        open_snapshot(study).rows("SELECT * FROM secret")


def test_threads_get_their_own_rows(study):
    snapshot, wrong = open_snapshot(study), []

    def ask(number: int) -> None:
        for _ in range(50):
            if snapshot.rows("SELECT ? + 0 AS n FROM fact", [number]).rows != ((number,),):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@dataclass(frozen=True)
class Fact:
    number: int


def test_a_question_is_answered_from_memory_until_there_is_another_generation(study):
    first = ask(open_snapshot(study), Fact, "SELECT number FROM fact WHERE number < ?", (5,))
    assert first == (Fact(1),)
    assert ask(open_snapshot(study), Fact, "SELECT number FROM fact WHERE number < ?", (5,)) is first
    assert ask(open_snapshot(study), Fact, "SELECT number FROM fact WHERE number < ?", (1,)) == ()
    publish_number(study, "gen-00000002.duckdb", 2)
    assert ask(open_snapshot(study), Fact, "SELECT number FROM fact WHERE number < ?", (5,)) == (Fact(2),)


def test_no_more_rows_are_remembered_than_there_is_room_for():
    answers, asked = Answers(rows=10), []

    def ask_for(name, rows):
        def answer():
            asked.append(name)
            return (name,) * rows

        assert answers.remembered(name, answer) == (name,) * rows

    for name, rows in (("a", 4), ("b", 4), ("a", 4), ("c", 4), ("a", 4), ("b", 4), ("large", 11), ("a", 4)):
        ask_for(name, rows)
    assert asked == ["a", "b", "c", "b", "large", "a"]
