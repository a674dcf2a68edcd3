"""Unpacked shared DICOM and a study around an image folder."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.protocol import Images, Protocol, Study, write_protocol

MakeStudy = Callable[..., Path]


def unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def real_tree(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LUNG1-001, the IBSI phantom (DICOM + RTSTRUCT each) and the twelve sarcomas (flat NIfTI) in one tree."""
    root = tmp_path_factory.mktemp("real")
    unpack(shared / "data/lung1_001/lung1_001_dicom.tar.xz", root / "lung1")
    unpack(shared / "data/ibsi1_ct_phantom/dicom.tar.xz", root / "ibsi1")
    (root / "sarcomas").symlink_to(shared / "data/sts_ct")
    return root


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    """A study of images below a folder, ids shown as they are, references GTV-1, Tumour and mask."""

    def make(root: Path, *reference: str) -> Path:
        study = tmp_path / "study"
        study.mkdir(exist_ok=True)
        images = Images(root=str(root), reference=reference or ("GTV-1", "Tumour", "mask"))
        write_protocol(study, Protocol(study=Study(public_ids=True), images=images))
        return study

    return make
