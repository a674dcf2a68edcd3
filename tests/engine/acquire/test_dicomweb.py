"""Import from a DICOMweb archive: the same files as on disk come through the same gate; half an answer is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from engine.acquire.check import check
from engine.acquire.dicomweb import Archive, fetch_studies
from engine.bench.malformed.specimen import write_outlined
from store.records import RefusedError
from tests.engine.acquire.dicomweb_server import PASSWORD, USER, serving
from tests.pages.conftest import free_port

START_SECONDS = 60
ORTHANC = shutil.which("Orthanc")
PLUGIN = "libOrthancDicomWeb.so"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_outlined(tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture(params=["own", "orthanc"] if ORTHANC or os.environ.get("COHORTSCOPE_REQUIRE_ORTHANC") else ["own"])
def address(request: pytest.FixtureRequest, files: Path, tmp_path: Path) -> Iterator[str]:
    """The base address of a service with the files: our small one, and Orthanc itself where it is installed."""
    if request.param == "own":
        with serving(files) as found:
            yield found
        return
    assert ORTHANC, "Orthanc is required here and absent: apt-get install orthanc orthanc-dicomweb"
    port = free_port()
    config = {
        "HttpPort": port, "StorageDirectory": str(tmp_path / "db"), "IndexDirectory": str(tmp_path / "db"),
        "RemoteAccessAllowed": False, "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD},
        "DicomServerEnabled": False, "Plugins": ["/usr/share/orthanc/plugins"], "DicomWeb": {"Root": "/dicom-web/"},
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [ORTHANC, str(tmp_path / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _fill(f"http://127.0.0.1:{port}", files)
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        process.terminate()
        process.wait(30)


def _fill(base: str, files: Path) -> None:
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    passwords.add_password(None, base, USER, PASSWORD, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    deadline = time.monotonic() + START_SECONDS
    for path in sorted(files.rglob("*.dcm")):
        while True:
            try:
                opener.open(f"{base}/instances", data=path.read_bytes(), timeout=30).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "Orthanc did not take a file"
                time.sleep(0.3)


def test_a_patient_comes_from_the_archive_through_the_gate(address, files, tmp_path, make_study):
    found = fetch_studies(Archive(address, USER, PASSWORD), ("P1",), tmp_path / "images")
    assert (found.series, found.instances) == (2, 13)
    result = check(make_study(tmp_path / "images", "Tumour"))
    assert (result.accepted, result.refused) == (("P1",), ())
    assert not [path for path in (tmp_path / "images").rglob("*") if "P1" in path.name]


@pytest.mark.parametrize(("patient", "code"), [("P2", "no_patient"), ("P*", "wildcard"), ("", "wildcard")])
def test_a_patient_who_is_not_there_is_refused(address, tmp_path, patient, code):
    with pytest.raises(RefusedError, match=code):
        fetch_studies(Archive(address, USER, PASSWORD), (patient,), tmp_path / "images")
    assert not (tmp_path / "images").exists()


def test_a_wrong_password_is_refused_without_saying_it(address, tmp_path):
    with pytest.raises(RefusedError, match="HTTP 401") as caught:
        fetch_studies(Archive(address, USER, "guess"), ("P1",), tmp_path / "images")
    assert "guess" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_an_answer_that_breaks_off_leaves_nothing_behind(files, tmp_path, share):
    with serving(files, share) as address, pytest.raises(RefusedError, match="broken_off"):
        fetch_studies(Archive(address, USER, PASSWORD), ("P1",), tmp_path / "images")
    assert not (tmp_path / "images").exists()


def test_a_study_that_names_no_patient_is_nobodys(files, tmp_path):
    with serving(files, unfiltered=True) as address, pytest.raises(RefusedError, match="no_patient"):
        fetch_studies(Archive(address, USER, PASSWORD), ("P1",), tmp_path / "images")
    assert not (tmp_path / "images").exists()


def test_a_file_of_another_patient_is_never_written(files, tmp_path):
    one = next(path for path in sorted(files.rglob("*.dcm")) if pydicom.dcmread(path).Modality == "CT")
    other = pydicom.dcmread(one)
    other.PatientID = "SOMEBODY_ELSE"
    other.save_as(one.with_name("z.dcm"))
    with serving(files) as address, pytest.raises(RefusedError, match="other_patient") as caught:
        fetch_studies(Archive(address, USER, PASSWORD), ("P1",), tmp_path / "images")
    assert "SOMEBODY" not in str(caught.value)
    assert not (tmp_path / "images").exists()


def test_a_series_shorter_than_announced_is_refused(files, tmp_path):
    with serving(files, kept_back=1) as address, pytest.raises(RefusedError, match="cut_series"):
        fetch_studies(Archive(address, USER, PASSWORD), ("P1",), tmp_path / "images")
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("address", ["http://archive.example.org/dicom-web", "ftp://127.0.0.1/", "archive"])
def test_an_unencrypted_address_beyond_this_computer_is_refused(tmp_path, address):
    with pytest.raises(RefusedError, match="unencrypted"):
        fetch_studies(Archive(address), ("P1",), tmp_path / "images")
