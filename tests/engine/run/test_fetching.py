"""A public cohort from a server on loopback that breaks off, answers wrongly and refuses, as networks do."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from engine.acquire import public_cohort
from engine.acquire.public_cohort import fetch_file, files_of, wanted_series
from engine.commands import app
from engine.run.fetching import fetch_cohort

COLLECTION = "nsclc_radiomics_interobserver1"
PAGE = 100  # files a page of the list


def content(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest() * (40 + len(key))


class Bucket(ThreadingHTTPServer):
    """Buckets as S3 serves them; `faults` says which answer goes wrong how, once each."""

    daemon_threads = True

    def __init__(self, folders: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.folders = folders
        self.faults: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()
        self.ranges: dict[str, str] = {}
        self.parted = False
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{{bucket}}"

    def fault(self, key: str) -> str:
        with self.lock:
            self.asked[key] += 1
            return self.faults[key].pop(0) if self.faults.get(key) else ""


class Answers(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        if "list-type" in asked:
            return self.list(asked["prefix"][0].rstrip("/"), int(asked.get("continuation-token", ["0"])[0]))
        return self.file("/".join(parts.path.split("/")[2:]))

    def list(self, folder: str, start: int) -> None:
        count = self.server.folders[folder]
        entries = []
        for n in range(start, min(start + PAGE, count)):
            key = f"{folder}/{n:04d}.dcm"
            tag = hashlib.md5(content(key)).hexdigest() + ("-2" if self.server.parted else "")
            size = len(content(key))
            entries.append(f'<Contents><Key>{key}</Key><Size>{size}</Size><ETag>"{tag}"</ETag></Contents>')
        rest = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if start + PAGE < count else ""
        space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        self.answer(200, f"<ListBucketResult {space}>{''.join(entries)}{rest}</ListBucketResult>".encode())

    def file(self, key: str) -> None:
        whole, fault = content(key), self.server.fault(key)
        start = int(self.headers["Range"].split("=")[1].rstrip("-")) if "Range" in self.headers else 0
        if start:
            self.server.ranges[key] = self.headers["Range"]
        if fault == "refused":
            self.answer(503, b"")
        elif fault == "wrong":
            self.answer(200, bytes(len(whole)))
        elif fault == "breaks off":
            self.answer(200, whole[: len(whole) // 2], len(whole))
        elif fault == "moved":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
        else:
            self.answer(206 if start else 200, whole[start:])

    def answer(self, status: int, body: bytes, claimed: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def wanted():
    return wanted_series(COLLECTION, 1, (), images_only=False)


@pytest.fixture
def bucket(wanted, monkeypatch):
    monkeypatch.setattr(public_cohort, "FIRST_PAUSE_SECONDS", 0.001)
    server = Bucket({one.folder: one.files for one in wanted.series})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ct(wanted):
    return next(one for one in wanted.series if one.modality == "CT")


def fetched(bucket, wanted, target):
    return fetch_cohort(wanted, target, lambda *_: None, bucket.address)


def test_everything_comes_whole_and_a_second_call_asks_for_nothing(bucket, wanted, tmp_path):
    done = fetched(bucket, wanted, tmp_path)
    assert (done.fetched, done.present, done.failures) == (sum(one.files for one in wanted.series), 0, ())
    for one in wanted.series:
        for path in (tmp_path / one.folder).iterdir():
            assert path.read_bytes() == content(f"{one.folder}/{path.name}")
    before = sum(bucket.asked.values())
    again = fetched(bucket, wanted, tmp_path)
    assert (again.fetched, again.present) == (0, done.fetched)
    assert sum(bucket.asked.values()) == before


def test_what_broke_off_goes_on_where_it_stopped(bucket, wanted, tmp_path):
    file = files_of(ct(wanted), bucket.address)[3]
    key = f"{ct(wanted).folder}/{file.name}"
    bucket.faults[key] = ["breaks off"]
    assert fetch_file(file, tmp_path, lambda _: None)
    assert (tmp_path / file.name).read_bytes() == content(key)
    assert bucket.ranges[key] == f"bytes={len(content(key)) // 2}-"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_wrong_file_is_thrown_away_and_a_refusal_is_asked_again(bucket, wanted, tmp_path):
    first, second = (f"{ct(wanted).folder}/{n:04d}.dcm" for n in (0, 1))
    bucket.faults = {first: ["wrong", "breaks off"], second: ["refused", "refused"]}
    assert not fetched(bucket, wanted, tmp_path).failures
    assert (tmp_path / first).read_bytes() == content(first)
    assert (bucket.asked[first], bucket.asked[second]) == (3, 3)


def test_a_file_that_never_comes_is_told_and_the_rest_is_there_for_the_next_call(bucket, wanted, tmp_path):
    key = f"{ct(wanted).folder}/0002.dcm"
    bucket.faults[key] = ["wrong"] * 4
    done = fetched(bucket, wanted, tmp_path)
    assert len(done.failures) == 1
    assert "another size or hash" in done.failures[0]
    assert not (tmp_path / key).exists()
    again = fetched(bucket, wanted, tmp_path)
    assert not again.failures
    assert (tmp_path / key).read_bytes() == content(key)


def test_no_redirect_is_followed(bucket, wanted, tmp_path):
    key = f"{ct(wanted).folder}/0000.dcm"
    bucket.faults[key] = ["moved"] * 4
    assert "answered 302" in fetched(bucket, wanted, tmp_path).failures[0]


def test_files_sent_in_parts_have_no_hash_and_are_counted(bucket, wanted, tmp_path):
    bucket.parted = True
    done = fetched(bucket, wanted, tmp_path)
    assert done.unhashed == done.fetched


def test_a_list_that_lacks_files_is_no_series(bucket, wanted, tmp_path):
    bucket.folders[ct(wanted).folder] -= 1
    assert "lists" in fetched(bucket, wanted, tmp_path).failures[0]


def test_too_little_room_is_said_before_anything_is_asked(bucket, wanted, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("engine.run.fetching.shutil.disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match="GB are free"):
        fetched(bucket, wanted, tmp_path)
    assert not bucket.asked


def test_an_unencrypted_address_of_another_computer_is_refused(wanted):
    with pytest.raises(ValueError, match="https"):
        files_of(ct(wanted), "http://example.org/{bucket}")


def test_the_command_says_what_to_cite_and_what_comes_next(bucket, tmp_path):
    asked = ["fetch", COLLECTION, "--patients", "1", "--to", str(tmp_path), "--address", bucket.address]
    told = CliRunner().invoke(app, asked)
    assert told.exit_code == 0, told.output
    assert f"next: new STUDY --images {tmp_path}" in told.output
    assert "not for commercial purposes" in (tmp_path / "CITE.md").read_text()


def test_a_dry_run_asks_no_network_and_tells_size_licence_and_doi(monkeypatch):
    monkeypatch.setattr(public_cohort.urllib.request, "build_opener", lambda *_: pytest.fail("the network was asked"))
    told = CliRunner().invoke(app, ["fetch", "nsclc_radiomics", "--patients", "5", "--dry-run"])
    assert told.exit_code == 0
    assert "5 CT, 5 RTSTRUCT, 5 SEG series, 567 files, 0.40 GB" in told.output  # index 25.0.5
    assert "10.7937/k9/tcia.2015.pf0m9rei, CC BY-NC 3.0" in told.output


def test_an_unknown_collection_is_refused_with_those_it_may_mean():
    with pytest.raises(ValueError, match="nsclc_radiogenomics"):
        wanted_series("nsclc", 0, (), images_only=False)
    with pytest.raises(ValueError, match="dicom_lidc_idri_nodules"):
        wanted_series("lidc_idri", 0, (), images_only=False)


def test_named_annotations_of_others_make_a_cohort_of_images_without_outlines():
    found = wanted_series("lidc_idri", 2, ("dicom_lidc_idri_nodules",), images_only=False)
    assert found.patients == 2
    assert {one.annotations for one in found.series if one.modality == "SEG"} == {"dicom_lidc_idri_nodules"}
