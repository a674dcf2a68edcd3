"""A whole image study under a patient's name, from upload to meeting: no result, export or page says it."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.acquire.check import check, check_lines
from engine.acquire.pseudonyms import PRIVATE_FOLDER, PSEUDONYM
from engine.commands import app
from engine.run.intake import record_simulated_verdicts
from engine.run.meeting_desk import fill_basket
from pages.gate import OPEN
from pages.menu import SECTIONS
from store.export import EXPORTS, export_table, latest_run_id, write_export
from store.snapshot import close_snapshots, open_snapshot
from tests.canaries import COHORT, canaries_in, everything_said, found_below, plant_cohort
from tests.conftest import HOUSE, THREAD_LIMITS
from tests.pages.conftest import Server

STEMS = [path.rpartition("/")[2].removesuffix(".py") for _, pages in SECTIONS for path, _ in pages]
INPUTS = frozenset({"images", PRIVATE_FOLDER, "verdicts.csv"})  # the hospital's own files, and the way back
SENT = {"report.html", "report.pptx", "images.pptx", "meeting.html", "bundle.zip", "model.json", "list.json"}
SENT |= {"data_protection_assessment.md", "model_card.md", "manifest.json", "image.nii.gz", "features.csv"}
# what only another study, or a training, could fill
EMPTY = {"carried", "external", "label_maps", "anatomy", "training_plan", "training", "trained_overlap", "strategies"}
FILLED = {"prior", "segment", "perturbed_features", "reproducibility", "batch", "selection", "final", "prognosis"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The planted cohort, run to its end by a process of its own, verdicts signed and a meeting filled."""
    folder = tmp_path_factory.mktemp("Canariensis_Serinus") / "study"
    folder.mkdir()
    plant_cohort(folder)
    record_simulated_verdicts(folder)
    with (folder / "run.log").open("w") as log:
        command = [sys.executable, "-m", "engine", "run", str(folder), "--backend", "inline"]
        # IBSI's references, which take minutes, are looked for in a folder that holds none
        environment = os.environ | THREAD_LIMITS | {"COHORTSCOPE_SHARED": str(folder)}
        subprocess.run(command, cwd=HOUSE, env=environment, stdout=log, stderr=log, check=True)
    fill_basket(folder, OPEN, OPEN.name, latest_run_id(open_snapshot(folder)))
    yield folder
    close_snapshots()


@pytest.fixture(scope="module")
def sent(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that may leave the house, and all that the commands said while they wrote it."""
    folder = tmp_path_factory.mktemp("sent")
    for table in EXPORTS:
        write_export(export_table(study, table), folder / f"{table}.csv")
    commands = [
        ["deidentify", "--to", "away"],
        ["paperwork", "--to", "papers"],
        ["bundle", "--to", "bundle.zip"],
        ["export-model", "--to", "model.json"],
        ["signature", "--top", "5", "--to", "list.json"],
        *(["report", "--to", f"report.{suffix}", "--level", "pseudonymised"] for suffix in ("pptx", "html")),
        ["report", "--to", "images.pptx", "--level", "images"],
        ["report", "--to", "meeting.html", "--level", "pseudonymised", "--meeting", OPEN.name],
        *(["status", "--json"], ["status"], ["verify"]),
    ]
    said = []
    for name, *rest in commands:
        placed = [str(folder / word) if rest[max(0, n - 1)] == "--to" and n else word for n, word in enumerate(rest)]
        done = CliRunner().invoke(app, [name, str(study), *placed])
        assert done.exit_code == 0, f"{name}: {done.output[-500:]}"
        said.append(done.output)
    said.append(CliRunner().invoke(app, ["audit", "show", str(study)]).output)
    (folder / "said.txt").write_text("\n".join(said))
    return folder


class HeardServer(Server):
    """The app, with what it says kept."""

    def start(self) -> None:
        """Begin the process, its words in a file."""
        self.heard = Path(self.environment["COHORTSCOPE_STUDY"]).parent / "server.log"
        with self.heard.open("wb") as log:
            self.process = subprocess.Popen(self.command, cwd=HOUSE, env=self.environment, stdout=log, stderr=log)
        self._wait()


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[HeardServer]:
    found = HeardServer(study)
    yield found
    found.stop()


def test_the_study_went_to_its_end_with_every_upload(study):
    with sqlite3.connect(study / "ledger.sqlite") as ledger:
        state = ledger.execute("SELECT state FROM run ORDER BY rowid DESC").fetchone()[0]
        failed = ledger.execute("SELECT stage, reason FROM task WHERE state NOT IN ('done', 'refused')").fetchall()
        filled = {row[0] for row in ledger.execute("SELECT DISTINCT stage FROM task WHERE state='done'")}
    assert (state, failed) == ("finished", [])
    assert len(set(export_table(study, "features").column("case_id").to_pylist())) == COHORT
    assert filled >= FILLED
    assert not filled & EMPTY


def test_every_case_is_called_by_its_pseudonym(study):
    with sqlite3.connect(study / "ledger.sqlite") as ledger:
        units = {row[0] for row in ledger.execute("SELECT unit FROM placement WHERE unit<>'' AND unit NOT LIKE '#%'")}
    assert len(units) >= COHORT
    assert all(PSEUDONYM.fullmatch(unit) or unit.isdecimal() for unit in units)


def test_neither_store_nor_logs_nor_snapshots_hold_a_planted_text(study):
    kinds = {path.suffix for path in study.rglob("*") if path.is_file()}
    assert kinds >= {".parquet", ".gz", ".npz", ".duckdb", ".sqlite", ".log", ".toml"}
    assert found_below(study, INPUTS) == {}


def test_what_the_inputs_hold_would_be_found(study):
    """Else a search that sees nothing would pass as a store that holds nothing."""
    found = found_below(study / "images")
    assert len(found) > COHORT
    assert {"Canariensis", "CANARY-4711", "ACC-90210", "Castle Hospital"} <= {
        one for said in found.values() for one in said
    }
    assert found_below(study / PRIVATE_FOLDER)


def test_what_leaves_the_house_holds_no_planted_text(sent):
    files = {path.name for path in sent.rglob("*") if path.is_file()}
    assert files >= SENT | {
        "data_protection_assessment.md",
        "model_card.md",
        "list.json",
        "features.csv",
        "image.nii.gz",
    }
    assert found_below(sent) == {}


def test_what_the_gate_says_holds_no_planted_text(study):
    found = check(study)
    assert {one.code for one in found.refused} >= {"no_rescale", "no_reference_roi", "undecodable"}
    lines = [line.partition(" [")[0] for line in check_lines(found)]  # the real path is for the holder's terminal
    assert canaries_in("\n".join(lines).encode()) == []


def test_a_users_own_folder_of_models_and_lists_holds_no_planted_text(study, sent):
    assert found_below(Path(os.environ["COHORTSCOPE_HOME"])) == {}


def listen(page, heard: list[bytes]) -> None:
    """Keep all that goes between a browser and the app: addresses, messages of its sockets, and files."""

    def frame(sent: str | bytes) -> None:
        heard.append(sent if isinstance(sent, bytes) else sent.encode())

    page.on("websocket", lambda socket: (socket.on("framereceived", frame), socket.on("framesent", frame)))
    page.on("request", lambda request: heard.append(request.url.encode()))
    page.on("requestfinished", lambda request: heard.append(body_of(request)))
    page.on("console", lambda line: heard.append(line.text.encode()))


def body_of(request) -> bytes:
    """What the app answered, but for its own programs."""
    if re.search(r"/static/|/viewer\.js", request.url):
        return b""
    try:
        return request.response().body()
    except Exception:  # noqa: BLE001 - an answer that a page left behind has no body any more
        return b""


def settled(page) -> None:
    page.wait_for_selector("text=· seed ")
    page.wait_for_selector("[data-testid=stStatusWidget]", state="detached")


@pytest.mark.parametrize("stem", STEMS)
def test_no_page_shows_sends_or_is_addressed_by_a_planted_text(server, page, stem):
    heard: list[bytes] = []
    listen(page, heard)
    page.goto(f"{server.address}/{stem}")
    if stem == "review":
        field = page.locator("[data-testid=stForm] [data-testid=stSelectbox] input").first
        field.fill("Reader of tests")
        field.press("Enter")
        page.get_by_role("button", name="Begin").click()
        page.wait_for_selector(".viewer[data-key], [data-testid=stImage]")
    settled(page)
    for tab in page.get_by_role("tab").all():
        tab.click()
    heard += [page.url.encode(), page.title().encode(), page.content().encode()]
    assert len(b"".join(heard)) > 10_000
    assert canaries_in(b"\n".join(heard)) == []


def test_the_apps_own_log_holds_no_planted_text(server):
    assert canaries_in(everything_said(server.heard)) == []
