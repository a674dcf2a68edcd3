"""What the machine says of itself; the answers are those that nvidia-smi gives on an H100, whole and split by MIG."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.present.wording.runs import gpu_line
from engine.processes import gpus, memory_gb

# `nvidia-smi --query-gpu=name,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits`
WHOLE = "NVIDIA H100 80GB HBM3, 63, 12188, 81559"
SPLIT = "NVIDIA H100 80GB HBM3, [N/A], 345, 81559"


def put_program(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_every_gpu_says_how_busy_it_is_and_how_full(tmp_path, monkeypatch):
    put_program(tmp_path, monkeypatch, f"echo '{WHOLE}'\necho '{SPLIT}'")
    first, second = gpus()
    assert (first.name, first.busy_percent) == ("NVIDIA H100 80GB HBM3", 63.0)
    # MiB of 1,048,576 bytes: 12188 are 12.78 GB, 81559 are 85.52 GB
    assert (first.used_gb, first.size_gb) == pytest.approx((12.780044288, 85.520809984))
    assert second.busy_percent is None
    assert gpu_line(first) == "NVIDIA H100 80GB HBM3: 63 % busy, 12.8 of 85.5 GB in use."
    assert gpu_line(second) == "NVIDIA H100 80GB HBM3: 0.4 of 85.5 GB in use."


@pytest.mark.parametrize("script", ["exit 9", "echo nothing known", "echo 'a, b, c, d'", "echo 'x, 5, 6'"])
def test_a_program_that_fails_or_talks_otherwise_is_no_gpu(tmp_path, monkeypatch, script):
    put_program(tmp_path, monkeypatch, script)
    assert gpus() == ()


def test_a_machine_without_the_program_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == ()


def test_free_memory_is_part_of_all_memory():
    free, size = memory_gb()
    assert 0 < free < size
