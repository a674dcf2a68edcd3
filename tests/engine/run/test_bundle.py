"""A study without its images, computed again in another folder: the same tables bit for bit, and nobody's name."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from engine.acquire.new import new_table_study
from engine.commands import app
from engine.pipeline import IMAGE_STUDY, TABLE_STUDY
from engine.protocol import Outcome, SelectionProtocol, read_protocol, write_protocol
from engine.run import runner
from engine.run.bundle import write_bundle
from engine.run.bundle_manifest import MANIFEST, is_carried, read_manifest, travelling_kinds
from engine.run.runner import run
from engine.run.unbundle import compare_bundle, unbundle
from store.bundled import differing_columns
from store.export import export_table
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import RefusedError
from store.snapshot import close_snapshots
from tests.store.recorded import text_of_member

PATIENT = "Canariensis"
QUICK = SelectionProtocol(resamples=6, trees=10, mrmr_features=10, most_kept=3)
N, P = 60, 20


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table study of planted ids, run to the end, in a folder of a telling name; and its bundle."""
    root = tmp_path_factory.mktemp(f"{PATIENT}_study")
    rng = np.random.default_rng(5)
    with (root / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["patient", "outcome", *(f"original_glcm_Feature{n}" for n in range(P))])
        values = rng.lognormal(size=(N, P))
        rows.writerows([f"{PATIENT}-{n}", n % 2, *map(repr, values[n].tolist())] for n in range(N))
    study = root / "study"
    new_table_study(study, root / "table.csv", (root / "table.csv",))
    changes = {"selection": QUICK, "outcome": Outcome(kind="binary", event="outcome")}
    write_protocol(study, read_protocol(study).model_copy(update=changes))
    run(study, backend="inline")
    write_bundle(study, root / "bundle.zip")
    close_snapshots()
    return study, root / "bundle.zip"


@pytest.fixture
def received(sent, tmp_path):
    unbundle(sent[1], tmp_path / "elsewhere")
    yield tmp_path / "elsewhere"
    close_snapshots()


def changed(bundle: Path, to: Path, edit: dict[str, bytes]) -> Path:
    """A copy of a bundle with some members replaced or added."""
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            new.writestr(name, edit.get(name, old.read(name)))
        for name in set(edit) - set(old.namelist()):
            new.writestr(name, edit[name])
    return to


def first_artifact(bundle: Path) -> str:
    with zipfile.ZipFile(bundle) as packed:
        return next(name for name in packed.namelist() if name.startswith("artifacts/imported"))


def test_a_table_study_computed_again_elsewhere_gives_the_same_tables_bit_for_bit(sent, received):
    with Ledger(StudyFolder(received)) as ledger:
        assert not {stage for stage, *_ in ledger.computed_counts()} & {"table", "resample", "prognosis"}
    run(received, backend="inline")
    found = compare_bundle(received)
    assert {"table.table", "resample.out_of_bag", "selection.frequencies", "prognosis.comparisons"} <= {
        one.kind for one in found
    }
    assert all(one.equal == one.files for one in found)
    with Ledger(StudyFolder(received)) as ledger:
        counts = ledger.computed_counts()
    assert sum(computed for stage, _, computed in counts if stage == "resample") == QUICK.resamples
    assert all(computed == 0 for stage, _, computed in counts if stage in ("clinical", "imported"))


def test_the_bundle_holds_no_patient_id_and_no_path(sent):
    study, bundle = sent
    with zipfile.ZipFile(bundle) as packed:
        said = {name: name.encode() + text_of_member(name, packed.read(name)) for name in packed.namelist()}
    assert not [name for name, text in said.items() if PATIENT.lower().encode() in text.lower()]
    assert not [name for name, text in said.items() if str(study.parent).encode() in text]
    assert not [name for name in said if "private" in name]
    assert len([name for name in said if name.startswith("results/")]) > 20


def test_the_same_run_is_bundled_to_the_same_bytes(sent, tmp_path):
    write_bundle(sent[0], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == sent[1].read_bytes()


def test_a_member_that_was_changed_is_refused_and_leaves_no_folder(sent, tmp_path):
    name = first_artifact(sent[1])
    with zipfile.ZipFile(sent[1]) as packed:
        raw = bytearray(packed.read(name))
    raw[len(raw) // 2] ^= 1
    bad = changed(sent[1], tmp_path / "bad.zip", {name: bytes(raw)})
    with pytest.raises(RefusedError, match="not the file that was bundled"):
        unbundle(bad, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "code"), [("artifacts/more.parquet", "bundle_damaged"), ("../out.txt", "archive_traversal")]
)
def test_a_member_that_nobody_listed_is_refused(sent, tmp_path, name, code):
    bad = changed(sent[1], tmp_path / "bad.zip", {name: b"x"})
    with pytest.raises(RefusedError) as caught:
        unbundle(bad, tmp_path / "elsewhere")
    assert caught.value.code == code
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("raw", [b"{}", b"not JSON", b'{"format": 2}'])
def test_a_manifest_that_is_none_is_refused(sent, tmp_path, raw):
    with pytest.raises(RefusedError, match="cannot be read"):
        unbundle(changed(sent[1], tmp_path / "bad.zip", {MANIFEST: raw}), tmp_path / "elsewhere")


def test_a_bundle_unpacked_by_hand_is_checked_before_it_runs(sent, tmp_path):
    with zipfile.ZipFile(sent[1]) as packed:
        packed.extractall(tmp_path / "by_hand")
    (tmp_path / "by_hand" / first_artifact(sent[1])).write_bytes(b"PAR1")
    with pytest.raises(RefusedError, match="not the file that was bundled"):
        run(tmp_path / "by_hand", backend="inline")
    close_snapshots()


def test_another_version_of_a_stage_that_cannot_be_computed_here_is_refused_by_both_versions(received, monkeypatch):
    newer = tuple(replace(s, version=9) if s.name == "imported" else s for s in TABLE_STUDY)
    monkeypatch.setattr(runner, "pipeline_of", lambda _: newer)
    with pytest.raises(RefusedError, match=r"imported.*stage version 2.*stage version 9.*bundle made by this code"):
        run(received, backend="inline")


def test_a_choice_that_reaches_the_table_is_refused_and_one_of_the_analysis_is_computed(received):
    protocol = read_protocol(received)
    table = protocol.features_table.model_copy(update={"overflow": "missing"})
    write_protocol(received, protocol.model_copy(update={"features_table": table}))
    with pytest.raises(RefusedError, match=r"Undo the change of study\.toml"):
        run(received, backend="inline")
    fewer = protocol.model_copy(update={"selection": QUICK.model_copy(update={"ridge": QUICK.ridge * 2})})
    write_protocol(received, fewer)
    run(received, backend="inline")
    found = {one.kind: one for one in compare_bundle(received)}
    assert found["table.table"].equal == 1
    assert "auc" in found["prognosis.summaries"].columns
    assert found["prognosis.summaries"].largest_relative > 0


def test_the_command_line_says_equal_or_which_column(sent, tmp_path):
    folder = str(tmp_path / "elsewhere")
    ask = CliRunner().invoke
    assert ask(app, ["unbundle", str(sent[1]), folder]).exit_code == 0
    assert isinstance(ask(app, ["compare-bundle", folder]).exception, ValueError)  # nothing was computed yet
    assert ask(app, ["run", folder, "--backend", "inline"]).exit_code == 0
    done = ask(app, ["compare-bundle", folder])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "EQUAL")
    assert json.loads(ask(app, ["compare-bundle", folder, "--json"]).stdout)["equal"] is True


def test_what_the_present_code_would_not_find_is_not_bundled(sent, tmp_path, monkeypatch):
    study = Path(shutil.copytree(sent[0], tmp_path / "study"))
    newer = tuple(replace(s, version=9) if s.name == "candidates" else s for s in TABLE_STUDY)
    monkeypatch.setattr("engine.run.bundle.pipeline_of", lambda _: newer)
    with pytest.raises(ValueError, match="stage candidates"):
        write_bundle(study, tmp_path / "bundle.zip")


def test_no_volume_travels_and_all_that_the_analysis_reads_does():
    kinds = travelling_kinds(IMAGE_STUDY)
    assert {"features.vectors", "perturbed_features.vectors", "perturb.perturbed", "acquire.acquisition"} <= kinds
    volumes = {"acquire.ct", "acquire.references", "segment.masks", "segment.doubt", "segment.features"}
    assert not kinds & {
        *volumes,
        "review.masks",
        "regions.masks",
        "perturb.masks",
        "training.weights",
        "anatomy.fingerprint",
    }
    computed = {stage.name for stage in IMAGE_STUDY if not is_carried(stage)}
    assert {"doubt", "association", "reproducibility", "batch", "table", "resample", "prognosis"} <= computed
    assert not computed & {"clinical", "acquire", "features", "conform", "carried", "embedding_names"}


def test_columns_that_differ_are_named_with_the_largest_relative_difference(tmp_path):
    pq.write_table(pa.table({"a": [1.0, None], "b": ["x", "y"], "c": [[1.0], [2.0]]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": [1.5, None], "b": ["x", "y"], "c": [[1.0], [2.0]]}), tmp_path / "2.parquet")
    columns, largest = differing_columns(tmp_path / "1.parquet", tmp_path / "2.parquet")
    assert columns == ("a",)
    assert largest == pytest.approx(0.5 / 1.5)
    pq.write_table(pa.table({"a": [1.0, None], "b": ["x", "z"], "c": [[1.0], [2.0]]}), tmp_path / "3.parquet")
    columns, largest = differing_columns(tmp_path / "1.parquet", tmp_path / "3.parquet")
    assert columns == ("b",)
    assert np.isnan(largest)


def test_a_study_of_images_is_computed_again_without_them(demo_copy, tmp_path):
    protocol = read_protocol(demo_copy)
    write_protocol(demo_copy, protocol.model_copy(update={"selection": QUICK.model_copy(update={"resamples": 4})}))
    run(demo_copy, backend="inline")
    before = export_table(demo_copy, "comparison").drop(["run_id"])
    write_bundle(demo_copy, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as packed:
        said = b"".join(text_of_member(name, packed.read(name)) for name in packed.namelist())
    assert str(demo_copy).encode() not in said
    close_snapshots()
    shutil.rmtree(demo_copy)
    elsewhere = tmp_path / "elsewhere"
    unbundle(tmp_path / "bundle.zip", elsewhere)
    assert not list(elsewhere.rglob("*.nii.gz"))
    assert not [p for p in elsewhere.rglob("*.npz") if p.parent.parent.name.endswith(("masks", "references"))]
    assert read_manifest(elsewhere).verdicts
    run(elsewhere, backend="inline")
    assert all(one.equal == one.files for one in compare_bundle(elsewhere))
    after = export_table(elsewhere, "comparison").drop(["run_id"])
    assert after.drop(["standing"]).equals(before.drop(["standing"]))
    close_snapshots()
