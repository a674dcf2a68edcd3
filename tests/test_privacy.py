"""Names, ids, dates and texts planted in tags, file names and tables are found nowhere but in the private folder."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.acquire.check import check, check_lines
from engine.acquire.pseudonyms import PRIVATE_FOLDER, PSEUDONYM, Pseudonyms
from engine.bench.malformed.image_files import write_image
from engine.bench.malformed.made_dicom import square, write_rtstruct, write_series
from engine.commands import app
from engine.protocol import Clinical, CovariateColumn, Covariates, Images, Outcome, Protocol, write_protocol
from engine.run.unbundle import compare_bundle, unbundle
from pages.menu import SECTIONS
from store.audit import audit_lines, verify_audit
from store.export import EXPORTS, export_table, write_export
from store.layout import StudyFolder
from store.publisher import rebuild
from store.snapshot import close_snapshots
from store.tombstones import tombstones, withdrawn_cases
from store.verification import verify
from tests.canaries import broken, canaries_in, everything_said, found_below, named
from tests.conftest import HOUSE
from tests.pages.conftest import show  # noqa: F401 - a fixture
from tests.store.recorded import text_of_member

PAGES = [path.removeprefix("pages/") for _, pages in SECTIONS for path, _ in pages]


@pytest.fixture(scope="module")
def named_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two patients with planted identifiers, brought up to date as far as images go; one is refused."""
    root = tmp_path_factory.mktemp("Canariensis_Serinus")
    images = root / "images"
    contours = [square(2.0 * place) for place in range(3, 8)]
    for patient, edit in (("CANARY-4711", named), ("CANARY-4711-b", broken), ("CANARY-4711-c", named)):
        write_series(
            images / patient / "ct", edit, series_uid=f"1.2.{len(patient)}.{ord(patient[-1])}", patient=patient
        )
        uid = f"1.2.{len(patient)}.{ord(patient[-1])}"
        rois = [("Tumour", contours), ("GTV 31.07.47", [square(18.0)])]
        write_rtstruct(images / patient / "Canariensis.dcm", rois, series_uid=uid, patient=patient)
    (images / "Canariensis 19470731.dcm").write_bytes(bytes(128) + b"DICM" + b"Canariensis" * 9)
    rows = "CANARY-4711,300,1,I,Canariensis\nCANARY-4711-c,900,0,II,Serinus\n"
    (root / "Canariensis.csv").write_text("id,days,event,stage,name\n" + rows)
    study = tmp_path_factory.mktemp("study")
    protocol = Protocol(
        images=Images(root=str(images), reference=("Tumour",)),
        clinical=Clinical(files=(str(root / "Canariensis.csv"),), id=("id",)),
        outcome=Outcome(kind="time", time="days", event="event"),
        covariates=Covariates(columns=(CovariateColumn(column="stage"),)),
    )
    write_protocol(study, protocol)
    run(study, "review")
    return study


def run(study: Path, until: str) -> None:
    """Run in a process of its own, as `start` does: what it says goes to run.log."""
    command = [sys.executable, "-m", "engine", "run", str(study), "--until", until, "--backend", "inline"]
    with (study / "run.log").open("a") as log:
        subprocess.run(command, cwd=HOUSE, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=True)


@pytest.fixture
def copied(named_study: Path, tmp_path: Path) -> Path:
    close_snapshots()
    return Path(shutil.copytree(named_study, tmp_path / "copy"))


def test_the_planted_study_has_cases_a_refusal_and_artifacts(named_study):
    result = check(named_study)
    assert len(result.accepted) == 2
    assert "no_rescale" in {one.code for one in result.refused}
    assert len(list((named_study / "artifacts").rglob("*.parquet"))) > 10


def test_the_store_holds_no_planted_identifier(named_study):
    kinds = {path.suffix for path in named_study.rglob("*") if path.is_file()}
    assert kinds >= {".parquet", ".gz", ".npz", ".duckdb", ".sqlite", ".log"}
    own = {PRIVATE_FOLDER, "study.toml"}  # the holder's: key, links, and where the images lie
    assert found_below(named_study, frozenset(own)) == {}


def test_exports_copies_and_messages_hold_no_planted_identifier(named_study, tmp_path):
    for table in EXPORTS:
        write_export(export_table(named_study, table), tmp_path / f"{table}.csv")
    done = CliRunner().invoke(app, ["deidentify", str(named_study), "--to", str(tmp_path / "away")])
    assert "2 cases" in done.output
    assert found_below(tmp_path) == {}
    lines = [line.partition(" [")[0] for line in check_lines(check(named_study))]  # the real path is for the holder
    assert canaries_in("\n".join(lines).encode()) == []


def test_a_bundle_of_a_dicom_study_holds_no_planted_identifier_and_runs_without_images(copied, tmp_path, monkeypatch):
    monkeypatch.setenv("COHORTSCOPE_SHARED", str(tmp_path))  # IBSI's references take minutes
    run(copied, "")
    CliRunner().invoke(app, ["bundle", str(copied), "--to", str(tmp_path / "bundle.zip")], catch_exceptions=False)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as packed:
        said = {name: name.encode() + text_of_member(name, packed.read(name)) for name in packed.namelist()}
    assert any(name.startswith("artifacts/features.vectors") for name in said)
    assert not {name: canaries_in(text) for name, text in said.items() if canaries_in(text)}
    assert not [name for name, text in said.items() if str(copied).encode() in text]
    close_snapshots()
    shutil.rmtree(copied)
    unbundle(tmp_path / "bundle.zip", tmp_path / "elsewhere")
    run(tmp_path / "elsewhere", "")
    assert all(one.equal == one.files for one in compare_bundle(tmp_path / "elsewhere"))


def test_the_snapshot_holds_pseudonyms_only(named_study):
    with sqlite3.connect(named_study / "ledger.sqlite") as ledger:
        units = {row[0] for row in ledger.execute("SELECT unit FROM placement WHERE unit<>'' AND unit NOT LIKE '#%'")}
    assert len(units) == 3
    assert all(PSEUDONYM.fullmatch(unit) for unit in units)


@pytest.mark.parametrize("page", PAGES)
def test_pages_addresses_and_logs_show_no_planted_identifier(show, named_study, page, caplog, capfd):  # noqa: F811
    with caplog.at_level("DEBUG"):
        shown = show(named_study, page)
    assert not shown.exception
    said = capfd.readouterr()
    assert canaries_in(f"{shown.query_params} {caplog.text} {said.out} {said.err}".encode()) == []
    text = " ".join(str(element.proto) for element in shown.main) + " ".join(str(e.proto) for e in shown.sidebar)
    tables = " ".join(frame.value.to_csv() for frame in shown.dataframe)
    assert canaries_in((text + tables).encode()) == []


def test_whois_names_the_patient_to_the_holder_and_is_audited(copied):
    case_id = Pseudonyms(copied, public_ids=False).case_id("CANARY-4711")
    runner = CliRunner()
    assert runner.invoke(app, ["whois", str(copied), case_id]).exit_code == 2  # no reason
    done = runner.invoke(app, ["whois", str(copied), case_id, "--reason", "incidental finding"])
    assert done.output.strip() == "CANARY-4711"
    assert audit_lines(copied, 1)[0].detail == f"{case_id}: incidental finding"
    shutil.rmtree(copied / PRIVATE_FOLDER)
    without = runner.invoke(app, ["whois", str(copied), case_id, "--reason", "incidental finding"])
    assert without.exit_code != 0
    assert "CANARY" not in without.output


def test_a_withdrawn_patient_leaves_nothing_but_a_tombstone(copied):
    case_id = Pseudonyms(copied, public_ids=False).case_id("CANARY-4711")
    done = CliRunner().invoke(app, ["withdraw", str(copied), case_id, "--reason", "asked for it"])
    assert done.exit_code == 0, done.output
    assert "outside the study" in done.output
    held = [p for p in copied.rglob("*") if p.is_file() and case_id.encode() in everything_said(p)]
    assert {p.name for p in held} == {"ledger.sqlite", "withdrawn.json"}
    with sqlite3.connect(copied / "ledger.sqlite") as ledger:
        tables = [row[0] for row in ledger.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        dump = {name: str(ledger.execute(f"SELECT * FROM {name}").fetchall()) for name in tables}
    assert {name for name, rows in dump.items() if case_id in rows} == {"audit", "withdrawal"}
    assert Pseudonyms(copied, public_ids=False).patient_id(case_id) is None
    assert verify(copied).clean
    assert verify_audit(copied).whole


def test_after_a_withdrawal_the_study_goes_on_without_the_patient(copied):
    case_id = Pseudonyms(copied, public_ids=False).case_id("CANARY-4711")
    CliRunner().invoke(app, ["withdraw", str(copied), case_id, "--reason", "asked for it"])
    run(copied, "review")
    assert [one.code for one in check(copied).refused if one.case == case_id] == ["withdrawn"]
    rows = export_table(copied, "cases").column("case_id").to_pylist()
    assert len(rows) == 1
    assert case_id not in rows
    assert 'CANARY-4711"' not in (copied / PRIVATE_FOLDER / "links.json").read_text()


def test_a_restored_backup_withdraws_again(copied, tmp_path):
    case_id = Pseudonyms(copied, public_ids=False).case_id("CANARY-4711")
    backup = tmp_path / "backup"
    shutil.copytree(copied, backup, ignore=shutil.ignore_patterns(PRIVATE_FOLDER))
    CliRunner().invoke(app, ["withdraw", str(copied), case_id, "--reason", "asked for it"])
    for name in ("artifacts", "snapshots"):
        shutil.rmtree(copied / name)
    for path in StudyFolder(copied).root.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copytree(backup, copied, dirs_exist_ok=True)
    assert tombstones(copied) == ()
    run(copied, "acquire")
    assert [stone.case_id for stone in tombstones(copied)] == [case_id]
    assert withdrawn_cases(copied) == {case_id: "asked for it"}
    assert case_id not in export_table(copied, "cases").column("case_id").to_pylist()
    rebuild(copied)


def test_what_a_run_and_a_backup_write_is_for_their_own_account_only(tmp_path):
    study, backup = tmp_path / "study", tmp_path / "backup"
    write_image(tmp_path / "images" / "P1" / "image.nii.gz")
    for words in (
        ("new", study, "--images", tmp_path / "images", "--reference", "tumour"),
        ("run", study, "--until", "acquire"),
        ("backup", study, backup),
    ):
        command = [sys.executable, "-m", "engine", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, umask=0o022)
    written = [study, backup, *study.rglob("*"), *backup.rglob("*")]
    assert {"ledger.sqlite", "artifacts", "snapshots", "study.toml", "run.lock"} <= {path.name for path in written}
    assert [str(path) for path in written if path.stat().st_mode & 0o077] == []


SERVED_ONCE = """import asyncio, app
async def serve():
    async with app.lifespan(app.app):
        pass
asyncio.run(serve())"""


@pytest.mark.parametrize("begin", ["import engine.run.remote", SERVED_ONCE])
def test_a_clusters_worker_and_the_app_write_for_their_own_account_only(begin):
    code = f"{begin}\nimport os\nprint(oct(os.umask(0)))"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, check=True, capture_output=True, text=True, umask=0o002, cwd=HOUSE)
    assert said.stdout.split()[-1] == "0o77"
