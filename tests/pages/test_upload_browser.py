"""The upload page in a real browser: archives and a table are judged, confirmed, kept; hostile ones leave nothing."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.acquire.check import check
from engine.bench.malformed.image_files import mask_array, write_image
from engine.bench.malformed.specimen import write_outlined
from engine.protocol import Images, Protocol, Study, read_protocol, write_protocol
from store.access import set_account
from tests.pages.conftest import Server, settled

SECRET = "a secret of the proxy"
PATIENTS = [f"P{n}" for n in range(1, 6)]
TABLE = "patient;days;event;age;sex;seen\n" + "".join(
    f"{name};{300 + n};{n % 2};{60 + n};{'fm'[n % 2]};2019-03-0{n}\n" for n, name in enumerate(PATIENTS, 1)
)


def headers(name: str) -> dict[str, str]:
    return {"X-Cohortscope-Proxy": SECRET, "X-Forwarded-User": name}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    write_protocol(folder, Protocol(study=Study(public_ids=True), images=Images(reference=("Tumour",))))
    for role in ("administrator", "reader", "viewer"):
        set_account(folder, f"{role}@example.org", role, "boss")
    return folder


@pytest.fixture
def server(study: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("COHORTSCOPE_SIGN_IN", "proxy")
    monkeypatch.setenv("COHORTSCOPE_PROXY_SECRET", SECRET)
    found = Server(study)
    yield found
    found.stop()


def open_as(page, server: Server, role: str) -> None:
    page.context.set_extra_http_headers(headers(f"{role}@example.org"))
    page.goto(f"{server.address}/upload")
    page.wait_for_selector(f"text={role}@example.org · {role}")


def held(study: Path) -> list[str]:
    """What lies in a study beside its own records and keys."""
    own = ("study.toml", "ledger.sqlite", "key")
    files = [path for path in study.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(study)) for path in files if not path.name.startswith(own))


def dicom_zip(folder: Path) -> Path:
    """A DICOM series with its structure set."""
    write_outlined(folder / "dicom")
    return Path(shutil.make_archive(str(folder / "dicom"), "zip", folder / "dicom"))


def nifti_zip(folder: Path) -> Path:
    """Four cases as NIfTI."""
    for name in PATIENTS[1:]:
        write_image(folder / "nifti" / name / "image.nii.gz")
        write_image(folder / "nifti" / name / "Tumour.nii.gz", mask_array())
    return Path(shutil.make_archive(str(folder / "nifti"), "zip", folder / "nifti"))


def send_images(page, path: Path) -> None:
    page.locator(".st-key-packed input[type=file]").set_input_files(str(path))
    page.get_by_role("button", name="Check the images").click()


def keep_them(page, count: str) -> None:
    page.wait_for_selector(f"text={count} accepted, 0 refused")
    page.get_by_role("button", name="Keep them").click()
    page.wait_for_selector("text=The images are in the study")


def choose(page, key: str, value: str) -> None:
    settled(page)
    field = page.locator(f".st-key-{key} input")
    field.click()
    field.press_sequentially(value)
    field.press("Enter")
    page.locator("h1").first.click()  # closes a list that lies over the rest of the page


def test_an_administrator_brings_in_archives_and_a_table(server, page, study, tmp_path):
    open_as(page, server, "administrator")
    send_images(page, dicom_zip(tmp_path))
    page.wait_for_selector("text=1 accepted, 0 refused")
    assert not (study / "images").exists()  # nothing is kept before it is confirmed
    keep_them(page, "1")
    send_images(page, nifti_zip(tmp_path))
    keep_them(page, "4")
    assert sorted(check(study).accepted) == PATIENTS
    page.locator(".st-key-table input[type=file]").set_input_files(
        {"name": "clinical.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
    )
    page.get_by_role("button", name="Read its columns").click()
    page.locator(".st-key-map-id").wait_for()
    assert "2019-03" not in page.content()  # the preview shows columns and never a cell
    choose(page, "map-id", "patient")
    choose(page, "map-time", "days")
    choose(page, "map-event", "event")
    page.wait_for_selector("text=5 patients; 0 rows refused")
    choose(page, "map-covariates", "age")
    settled(page)
    page.locator(".st-key-keep-table button").click()
    page.wait_for_selector("text=study.toml names the table")
    protocol = read_protocol(study)
    assert (protocol.outcome.time, protocol.outcome.event) == ("days", "event")
    assert [one.column for one in protocol.covariates.columns] == ["age"]
    assert len(protocol.clinical.files) == 1


def hostile_tar() -> bytes:
    """An archive that would write beside its folder, after a good file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("P1/image.nii.gz", "../../study.toml"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"data"))
    return packed.getvalue()


def bomb_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("P1/image.nii", np.zeros(16 << 20, np.uint8).tobytes())
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("a.tar", hostile_tar, "archive_traversal"),
        ("a.zip", bomb_zip, "archive_bomb"),
        ("a.zip", lambda: b"PK no archive", "archive_damaged"),
    ],
)
def test_a_hostile_archive_is_refused_with_code_and_remedy_and_leaves_nothing(server, page, study, name, make, code):
    before = (study / "study.toml").read_bytes()
    open_as(page, server, "administrator")
    page.locator(".st-key-packed input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": make()}
    )
    page.get_by_role("button", name="Check the images").click()
    page.wait_for_selector(f"text=Refused: {code}")
    assert "Pack the plain files again, without links." in page.inner_text("[data-testid=stAlert] >> nth=-1")
    assert held(study) == []
    assert (study / "study.toml").read_bytes() == before
    page.get_by_role("button", name="Check the images").wait_for()  # the way to try again is still there


def test_an_upload_that_cannot_be_judged_can_be_discarded(show, study):
    """A session would else be stuck with it: it was judged before the button was drawn."""
    app = show(study, "study/upload.py")
    app.session_state["upload-images"] = "0" * 16  # nothing lies there: swept away, or another disk
    app.run()
    assert "cannot be judged" in app.error[0].value
    app.button(key="drop-images").click().run()
    assert "upload-images" not in app.session_state
    assert not app.exception


def test_images_that_the_gate_refuses_can_only_be_discarded(server, page, study, tmp_path):
    write_image(tmp_path / "bad" / "P1" / "image.nii.gz")
    (tmp_path / "bad" / "P2").mkdir()
    (tmp_path / "bad" / "P2" / "image.nii.gz").write_bytes(b"no image")
    packed = Path(shutil.make_archive(str(tmp_path / "bad"), "zip", tmp_path / "bad"))
    open_as(page, server, "administrator")
    send_images(page, packed)
    page.wait_for_selector("text=1 accepted, 1 refused")
    assert page.get_by_role("button", name="Keep them").is_disabled()
    said = page.inner_text("body")
    for text in ("P2 CT image", "undecodable", "the NIfTI header cannot be read. Export it again."):
        assert text in said
    assert "Nothing if it is to be segmented." in said  # a remedy is never cut off
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Check the images").wait_for()
    assert json.loads((study / "private" / "index.json").read_text()) == {}  # nor where it lay
    assert held(study) == ["private/index.json"]


@pytest.mark.parametrize("role", ["reader", "viewer"])
def test_others_are_told_whom_to_ask_and_offered_nothing(server, page, role):
    open_as(page, server, role)
    page.wait_for_selector("text=which may not: upload images")
    assert not page.locator("input[type=file]").count()
    assert "An administrator gives roles" in page.inner_text("body")
