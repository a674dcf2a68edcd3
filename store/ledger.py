"""The ledger: runs, tasks with leases, artifacts, verdicts and audit in SQLite; the small mutable truth of a study."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from store.layout import StoredFile, StudyFolder
from store.ledger_schema import SCHEMA as SCHEMA
from store.ledger_schema import WORKED_BEFORE_4
from store.records import Refusal, Verdict
from store.review_schema import DRAFT_COLUMNS_SINCE_6, DRAFTS_BEFORE_5, REVIEW_SCHEMA, VERDICT_COLUMNS_SINCE_3
from store.row_marks import row_mark

LEDGER_VERSION = 6
BUSY_MS = 30_000
DRAWN_KIND = "drawn"
FINISHED = ("done", "failed", "declined", "refused")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as recorded."""

    run_id: str
    started_at: str
    finished_at: str | None
    state: str  # running | finished | cancelled | interrupted
    protocol_sha256: str
    protocol_json: str
    until_stage: str
    seed: int
    pid: int
    pid_start: str
    host: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tasks of one stage that were declined in a run for one reason; a stage that was not begun is one task."""

    stage: str
    reason: str
    tasks: int


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What went wrong or was left out in a run."""

    failed: int
    refused: int
    declined: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task as recorded."""

    key: str
    stage: str
    unit: str
    run_id: str
    state: str
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """One recorded artifact."""

    seq: int
    kind: str
    key: str
    record_type: str
    suffix: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far one stage of the latest run is; remaining_seconds is None until something finished."""

    stage: str
    done: int
    failed: int
    total: int
    seconds: float
    remaining_seconds: float | None
    note: str = ""


def now() -> str:
    """The present moment in UTC, ISO 8601 to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def process_start(pid: int) -> str:
    """When a process of this host started, as the kernel counts; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def is_alive(pid: int, start: str) -> bool:
    """Whether the very process that wrote down pid and start time still runs on this host."""
    return bool(start) and process_start(pid) == start


class Ledger:
    """A connection to one study's ledger; open one per thread, close it when done."""

    def __init__(self, folder: StudyFolder) -> None:
        folder.root.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder.ledger, timeout=BUSY_MS / 1000, isolation_level=None)
        self._connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        if self._connection.execute("PRAGMA user_version").fetchone()[0] < LEDGER_VERSION:
            self._migrate()

    def _migrate(self) -> None:
        """Add what an older or an empty ledger lacks; all of it or nothing, whoever else opens it."""
        self._connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {REVIEW_SCHEMA}")
        for table, columns in (("verdict", VERDICT_COLUMNS_SINCE_3), ("draft", DRAFT_COLUMNS_SINCE_6)):
            known = {str(row[1]) for row in self.rows(f"PRAGMA table_info({table})")}
            for name, kind in columns:
                if name not in known:
                    self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
        for last in (WORKED_BEFORE_4, DRAFTS_BEFORE_5, f"PRAGMA user_version={LEDGER_VERSION}", "COMMIT"):
            self._connection.execute(last)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One immediate transaction: all of it or nothing."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Rows of one query of this package."""
        return list(self._connection.execute(sql, parameters).fetchall())

    # --- runs ---

    def start_run(self, run: RunRow, code_version: str, packages_json: str) -> None:
        """Record a new run; runs still called running by a dead runner become interrupted."""
        with self.transaction() as connection:
            connection.execute("UPDATE run SET state='interrupted', finished_at=? WHERE state='running'", (now(),))
            place = connection.execute("SELECT coalesce(max(place),0)+1 FROM run").fetchone()[0]
            connection.execute(
                "INSERT INTO run VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (run.run_id, place, run.started_at, None, run.state, run.protocol_sha256, run.protocol_json)
                + (run.until_stage, run.seed, code_version, packages_json, run.host, run.pid, run.pid_start),
            )

    def finish_run(self, run_id: str, state: str) -> None:
        """Record how a run ended."""
        with self.transaction() as connection:
            connection.execute("UPDATE run SET state=?, finished_at=? WHERE run_id=?", (state, now(), run_id))

    def latest_run(self) -> RunRow | None:
        """The newest run, or None."""
        found = self.rows(
            "SELECT run_id, started_at, finished_at, state, protocol_sha256, protocol_json, until_stage, seed, pid,"
            " pid_start, host FROM run ORDER BY place DESC LIMIT 1"
        )
        return RunRow(*found[0]) if found else None  # type: ignore[arg-type]

    def protocol_json(self, run_id: str) -> str:
        """The protocol a run was started with; KeyError for an unknown run."""
        found = self.rows("SELECT protocol_json FROM run WHERE run_id=?", (run_id,))
        if not found:
            raise KeyError(f"no run {run_id}")
        return str(found[0][0])

    def run_counts(self, run_id: str) -> RunCounts:
        """How many tasks of a run failed, inputs were refused, stages skipped."""
        states = self.rows("SELECT t.state FROM placement p JOIN task t USING (key) WHERE p.run_id=?", (run_id,))
        counts = [str(row[0]) for row in states]
        gate = self.rows("SELECT count(*) FROM refusal WHERE run_id=?", (run_id,))[0][0]
        return RunCounts(counts.count("failed"), counts.count("refused") + int(str(gate)), self.declined(run_id))

    def declined(self, run_id: str) -> tuple[LeftOut, ...]:
        """What was declined in a run and why, in order of the stages."""
        found = self.rows(
            "SELECT p.stage, t.reason, count(*) FROM placement p JOIN task t USING (key) WHERE p.run_id=? AND"
            " t.state='declined' GROUP BY p.stage, t.reason UNION ALL SELECT stage, reason, 1 FROM skipped"
            " WHERE run_id=?",
            (run_id, run_id),
        )
        return tuple(LeftOut(str(stage), str(reason), int(str(tasks))) for stage, reason, tasks in found)

    def record_refusals(self, run_id: str, refusals: Sequence[Refusal]) -> None:
        """Record the cases that discovery did not let in."""
        with self.transaction() as connection:
            connection.executemany(
                "INSERT INTO refusal VALUES (?,?,?,?,?,?)",
                [(run_id, r.case_id, r.code, r.file, r.message, r.remedy) for r in refusals],
            )

    def why_missing(self, run_id: str, stage: str) -> str:
        """Why a stage gave nothing in a run: the reason it was skipped or declined, else empty."""
        found = self.rows(
            """SELECT reason FROM skipped WHERE run_id=? AND stage=?
            UNION ALL SELECT t.reason FROM placement p JOIN task t USING (key)
            WHERE p.run_id=? AND p.stage=? AND t.state IN ('declined','failed') LIMIT 1""",
            (run_id, stage, run_id, stage),
        )
        return str(found[0][0]) if found else ""

    def record_skipped(self, run_id: str, stage: str, reason: str) -> None:
        """Record that a stage was not done in a run, with the reason."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO skipped VALUES (?,?,?)", (run_id, stage, reason))

    # --- tasks ---

    def place_tasks(self, run_id: str, stage: str, units: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        """Place (unit, key) pairs in a run and enqueue what has no result yet; returns the keys still to compute.

        Units that took longest in the stages before come first, so that no long case is left alone at the end.
        """
        with self.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO placement VALUES (?,?,?,?)", [(run_id, stage, u, k) for u, k in units]
            )
            connection.executemany(
                "INSERT INTO task (key, stage, unit, run_id, state) VALUES (?,?,?,?,'pending') ON CONFLICT(key)"
                " DO UPDATE SET run_id=excluded.run_id, unit=excluded.unit,"
                " attempts=CASE WHEN state IN ('failed','refused') THEN 0 ELSE attempts END,"
                " state=CASE WHEN state IN ('failed','refused') THEN 'pending' ELSE state END",
                [(k, stage, u, run_id) for u, k in units],
            )
            found = connection.execute(
                "WITH cost AS (SELECT p.unit, sum(t.seconds) AS seconds FROM placement p JOIN task t USING (key)"
                " WHERE p.run_id=? GROUP BY p.unit)"
                " SELECT t.key FROM placement p JOIN task t USING (key) JOIN cost ON cost.unit=p.unit"
                " WHERE p.run_id=? AND p.stage=? AND t.state IN ('pending','running')"
                " ORDER BY cost.seconds DESC, p.rowid",
                (run_id, run_id, stage),
            ).fetchall()
        return tuple(dict.fromkeys(str(row[0]) for row in found))

    def task(self, key: str) -> TaskRow:
        """One task; KeyError when there is none."""
        found = self.rows("SELECT key, stage, unit, run_id, state, attempts, reason FROM task WHERE key=?", (key,))
        if not found:
            raise KeyError(f"no task with key {key[:12]}")
        return TaskRow(*found[0])  # type: ignore[arg-type]

    def state_of(self, key: str) -> str:
        """The state of a task, empty when there is none."""
        found = self.rows("SELECT state FROM task WHERE key=?", (key,))
        return str(found[0][0]) if found else ""

    def claim(self, key: str) -> bool:
        """Take the lease of a pending task for this process; False when it is finished or someone alive holds it."""
        pid = os.getpid()
        with self.transaction() as connection:
            changed = connection.execute(
                "UPDATE task SET state='running', attempts=attempts+1, lease_host=?, lease_pid=?, lease_start=?,"
                " lease_at=? WHERE key=? AND state='pending'",
                (socket.gethostname(), pid, process_start(pid), time.time(), key),
            ).rowcount
        return changed == 1

    def finish_task(self, key: str, files: Sequence[StoredFile], seconds: float, peak_mb: float) -> None:
        """Record a task's artifacts and its end in one transaction; a differing second result is an incident."""
        with self.transaction() as connection:
            for file in files:
                self.record_artifact(connection, key, file)
            connection.execute(
                "UPDATE task SET state='done', computed=computed+1, seconds=?, peak_mb=?, reason='', finished_at=?"
                " WHERE key=?",
                (seconds, peak_mb, now(), key),
            )
            connection.execute("INSERT OR IGNORE INTO worked SELECT run_id, key FROM task WHERE key=?", (key,))

    @staticmethod
    def record_artifact(connection: sqlite3.Connection, key: str, file: StoredFile) -> None:
        """Record one artifact inside an open transaction; a differing second result is an incident and replaces it."""
        known = connection.execute("SELECT sha256 FROM artifact WHERE kind=? AND key=?", (file.kind, key)).fetchone()
        if known is None:
            connection.execute(
                "INSERT INTO artifact (kind, key, record_type, suffix, sha256, bytes, created_at)"
                " VALUES (?,?,?,?,?,?,?)",
                (file.kind, key, file.record_type, file.suffix, file.sha256, file.bytes, now()),
            )
        elif known[0] != file.sha256:
            text = "a second result differs from the recorded one; the second is on disk"
            connection.execute("INSERT INTO incident VALUES (?,?,?,?)", (now(), file.kind, key, text))
            connection.execute("DELETE FROM artifact WHERE kind=? AND key=?", (file.kind, key))
            Ledger.record_artifact(connection, key, file)

    def end_task(self, key: str, state: str, reason: str) -> None:
        """Record that a task ended without a result: failed, declined or refused; or pending again."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE task SET state=?, reason=?, finished_at=? WHERE key=?", (state, reason, now(), key)
            )

    def computed_counts(self) -> tuple[tuple[str, str, int], ...]:
        """Stage, state and number of recorded results of every task; more than one is a task done twice."""
        found = self.rows("SELECT stage, state, computed FROM task")
        return tuple((str(stage), str(state), int(str(computed))) for stage, state, computed in found)

    def return_all_leases(self) -> int:
        """Make every running task pending again; only for the holder of run.lock when no worker is alive."""
        with self.transaction() as connection:
            return connection.execute("UPDATE task SET state='pending' WHERE state='running'").rowcount

    def return_leases_of(self, pid: int) -> tuple[str, ...]:
        """Make the running tasks of a dead process of this host pending again; returns their keys."""
        with self.transaction() as connection:
            found = connection.execute(
                "SELECT key FROM task WHERE state='running' AND lease_host=? AND lease_pid=?",
                (socket.gethostname(), pid),
            ).fetchall()
            connection.executemany("UPDATE task SET state='pending' WHERE key=?", found)
        return tuple(str(row[0]) for row in found)

    def leases(self) -> tuple[tuple[str, str, int, str], ...]:
        """All leases: key, host, pid, start of the process."""
        found = self.rows("SELECT key, lease_host, lease_pid, lease_start FROM task WHERE state='running'")
        return tuple((str(a), str(b), int(str(c)), str(d)) for a, b, c, d in found)

    # --- placements and artifacts ---

    def placed(self, run_id: str, stage: str) -> tuple[tuple[str, str, str], ...]:
        """(unit, key, state) of every task of a stage in a run, ordered by unit."""
        found = self.rows(
            "SELECT p.unit, p.key, t.state FROM placement p JOIN task t USING (key) WHERE p.run_id=? AND p.stage=?"
            " ORDER BY p.unit",
            (run_id, stage),
        )
        return tuple((str(a), str(b), str(c)) for a, b, c in found)

    def placed_unit(self, run_id: str, stage: str, unit: str) -> tuple[str, str]:
        """Key and state of one task of a stage in a run; both empty when it is not placed."""
        found = self.rows(
            "SELECT p.key, t.state FROM placement p JOIN task t USING (key)"
            " WHERE p.run_id=? AND p.stage=? AND p.unit=?",
            (run_id, stage, unit),
        )
        return (str(found[0][0]), str(found[0][1])) if found else ("", "")

    def contents(self, key: str) -> tuple[tuple[str, str], ...]:
        """(kind, sha256) of every file of a task, in order of kind."""
        found = self.rows("SELECT kind, sha256 FROM artifact WHERE key=? ORDER BY kind", (key,))
        return tuple((str(kind), str(sha256)) for kind, sha256 in found)

    def latest_done(self, stage: str) -> tuple[tuple[str, str], ...]:
        """(unit, key) of the finished tasks of a stage in the latest run that placed any."""
        found = self.rows(
            "SELECT p.unit, p.key FROM placement p JOIN task t USING (key) WHERE p.stage=? AND t.state='done' AND"
            " p.run_id=(SELECT r.run_id FROM run r JOIN placement q USING (run_id) WHERE q.stage=?"
            " ORDER BY r.place DESC LIMIT 1) ORDER BY p.unit",
            (stage, stage),
        )
        return tuple((str(unit), str(key)) for unit, key in found)

    def artifacts_after(self, seq: int) -> tuple[ArtifactRow, ...]:
        """Artifacts recorded after a sequence number, in order."""
        found = self.rows(
            "SELECT seq, kind, key, record_type, suffix, sha256, bytes FROM artifact WHERE seq>? ORDER BY seq", (seq,)
        )
        return tuple(ArtifactRow(*row) for row in found)  # type: ignore[arg-type]

    def forget_artifacts(self, keys: Sequence[str]) -> None:
        """Drop the records of damaged results so that the next run computes them again; not of drawings."""
        with self.transaction() as connection:
            connection.executemany(f"DELETE FROM artifact WHERE key=? AND kind<>'{DRAWN_KIND}'", [(k,) for k in keys])
            connection.executemany("UPDATE task SET state='pending', attempts=0 WHERE key=?", [(k,) for k in keys])

    # --- verdicts and audit ---

    def record_verdict(self, verdict: Verdict, actor: str) -> None:
        """Store a signed verdict and its audit line in one transaction."""
        with self.transaction() as connection:
            self.insert_verdict(connection, verdict, actor)

    def insert_verdict(self, connection: sqlite3.Connection, verdict: Verdict, actor: str) -> None:
        """Store a verdict and its audit line inside an open transaction."""
        columns = [field.name for field in dataclasses.fields(Verdict)]
        marks = ",".join("?" * len(columns))
        cells = [getattr(verdict, name) for name in columns]
        connection.execute(f"INSERT INTO verdict ({','.join(columns)}) VALUES ({marks})", cells)
        words = (verdict.case_id, verdict.structure, verdict.judgement, verdict.role, verdict.mode)
        replaced = f" replaces: {verdict.amends}" if verdict.amends else ""
        drawn = f" mask {verdict.drawn_key[:12]}" if verdict.drawn_key else ""
        self.append_audit(connection, actor, "verdict", " ".join(words) + drawn + replaced + row_mark(verdict))

    def verdicts(self, case_id: str | None = None) -> tuple[Verdict, ...]:
        """Signed verdicts in order of signing, of one case or of all."""
        columns = ",".join(field.name for field in dataclasses.fields(Verdict))
        where = "" if case_id is None else " WHERE case_id=?"
        found = self.rows(f"SELECT {columns} FROM verdict{where} ORDER BY seq", () if case_id is None else (case_id,))
        return tuple(Verdict(*row) for row in found)  # type: ignore[arg-type]

    def audit(self, actor: str, action: str, detail: str) -> None:
        """Append one line to the chained audit."""
        with self.transaction() as connection:
            self.append_audit(connection, actor, action, detail)

    @staticmethod
    def append_audit(connection: sqlite3.Connection, actor: str, action: str, detail: str) -> None:
        """Append one line to the chained audit inside an open transaction."""
        last = connection.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        previous, at = (last[0] if last else ""), now()
        text = json.dumps([previous, at, actor, action, detail], separators=(",", ":"))
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail, previous, hash) VALUES (?,?,?,?,?,?)",
            (at, actor, action, detail, previous, hashlib.sha256(text.encode()).hexdigest()),
        )

    def audit_is_whole(self) -> bool:
        """Whether every audit line hashes to what it says and follows the one before."""
        previous = ""
        for at, actor, action, detail, before, digest in self.rows(
            "SELECT at, actor, action, detail, previous, hash FROM audit ORDER BY seq"
        ):
            text = json.dumps([previous, at, actor, action, detail], separators=(",", ":"))
            if before != previous or hashlib.sha256(text.encode()).hexdigest() != digest:
                return False
            previous = str(digest)
        return True

    # --- progress ---

    def progress(self, run_id: str) -> tuple[StageProgress, ...]:
        """Done, failed, total, seconds and remaining seconds of every stage placed in a run, in order of placing."""
        found = self.rows(
            "SELECT p.stage, sum(t.state IN ('done','declined')), sum(t.state IN ('failed','refused')), count(*),"
            " coalesce(sum(CASE WHEN t.run_id=p.run_id THEN t.seconds END),0), avg(t.seconds),"
            " max(CASE WHEN t.state='declined' THEN t.reason ELSE '' END)"
            " FROM placement p JOIN task t USING (key) WHERE p.run_id=? GROUP BY p.stage ORDER BY min(p.rowid)",
            (run_id,),
        )
        return tuple(_progress(row) for row in found)


def _progress(row: tuple[object, ...]) -> StageProgress:
    stage, done, failed, total, seconds, mean, note = row
    left = int(str(total)) - int(str(done)) - int(str(failed))
    cores = len(os.sched_getaffinity(0))
    remaining = None if mean is None else float(str(mean)) * left / min(cores, max(1, left))
    return StageProgress(
        str(stage), int(str(done)), int(str(failed)), int(str(total)), float(str(seconds)), remaining, str(note)
    )


def read_progress(study: Path) -> tuple[StageProgress, ...]:
    """Progress of the latest run of a study, empty when there is none."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return ()
    with Ledger(folder) as ledger:
        run = ledger.latest_run()
        return () if run is None else ledger.progress(run.run_id)


def running(study: Path) -> bool:
    """Whether a run of this study is alive on this host."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return False
    with Ledger(folder) as ledger:
        run = ledger.latest_run()
    return run is not None and run.state == "running" and is_alive(run.pid, run.pid_start)
