"""What a run says of the file system it would write to."""

from __future__ import annotations

import errno
from collections import namedtuple
from pathlib import Path

import pytest

from engine.run import disk
from engine.run.disk import LEAST_ROOM_BYTES, RoomKeeper, check_disk, file_system_of, network_warning
from engine.run.sources import Sources
from engine.run.task import answered

# proc_pid_mountinfo(5)
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /data rw - nfs4 server:/export rw,vers=4.2
41 22 0:36 / /data/fast rw - xfs /dev/nvme0n1 rw
42 22 0:37 / /mnt/my\\040share rw - cifs //server/share rw
43 22 0:38 / /home/me/far rw - fuse.sshfs me@far: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/work/study", "ext4"),
        ("/data/study", "nfs4"),
        ("/database/study", "ext4"),
        ("/data/fast/study", "xfs"),
        ("/mnt/my share/study", "cifs"),
    ],
)
def test_the_longest_mount_that_holds_a_path_says_what_it_is(path, kind):
    assert file_system_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize(("place", "warned"), [("/", False), ("/data", True), ("/home/me/far", True)])
def test_network_file_systems_are_warned_about(tmp_path, monkeypatch, place, warned):
    mounts = tmp_path / "mountinfo"
    kept = [line for line in MOUNTS.splitlines() if line.split()[4] == place]
    mounts.write_text("\n".join(kept).replace(f" {place} ", " / "))
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    said = network_warning(tmp_path)
    assert ("network file system" in said) == warned
    assert ("one machine only" in said) == warned


def test_a_run_that_would_not_fit_is_refused_with_both_numbers(tmp_path):
    with pytest.raises(RuntimeError, match=r"may need [\d.]+ GB .*GB free; free some"):
        check_disk(tmp_path, Sources(), 10**18)


Usage = namedtuple("Usage", "total used free")


def test_a_run_is_held_up_while_the_disk_is_full_and_goes_on_by_itself(tmp_path, monkeypatch, caplog):
    free = iter([LEAST_ROOM_BYTES - 1, 0, LEAST_ROOM_BYTES])
    slept = []
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: Usage(1, 1, next(free)))
    monkeypatch.setattr(disk.time, "sleep", slept.append)
    with caplog.at_level("WARNING", logger="cohortscope.run"):
        RoomKeeper(tmp_path).wait()
    assert len(slept) == 2
    assert next(record.message.split(":")[0] for record in caplog.records) == "paused"
    assert "the run goes on" in caplog.records[-1].message
    assert str(tmp_path) not in caplog.text


def test_a_full_disk_is_no_fault_of_the_case_and_another_error_is():
    def fails(number: int):
        def work():
            raise OSError(number, "no")

        return work

    assert answered(fails(errno.ENOSPC), attempts=3).state == "pending"
    assert answered(fails(errno.ENOSPC), attempts=30).state == "failed"
    assert answered(fails(errno.EIO), attempts=3).state == "failed"
