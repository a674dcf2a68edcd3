"""The door to programs that label anatomy, where they are installed with their weights; neither is required.

TotalSegmentator (Apache-2.0, task `total`) and lungmask (Apache-2.0, R231). Both fetch missing weights by themselves;
here they are called only when their weights lie on this machine, and without a way to the network while they run.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from engine.geometry import to_image
from store.records import DeclinedError
from store.sources import AnatomyProgram
from store.volumes import BoolZyx, CtSeries

Structures = dict[str, BoolZyx]
TOTAL_STRUCTURES: dict[str, tuple[str, ...]] = {
    "lung_left": ("lung_upper_lobe_left", "lung_lower_lobe_left"),
    "lung_right": ("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
    "heart": ("heart",),
    "aorta": ("aorta",),
    "oesophagus": ("esophagus",),
    "trachea": ("trachea",),
}
TOTAL_DATASETS = (291, 292, 293, 294, 295, 298)  # as `totalseg_download_weights -t total` places them
LUNGMASK_VALUES = {"lung_right": 1, "lung_left": 2}
LUNGMASK_WEIGHTS = "COHORTSCOPE_LUNGMASK_WEIGHTS"
LUNGMASK_FILE = "unet_r231-d5d2fc3d.pth"  # as torch.hub keeps it
INTERNET = (socket.AF_INET, socket.AF_INET6)


def find_program(source: str) -> AnatomyProgram:
    """What is on this machine of the program that `anatomy.source` names; an empty record for the other sources.

    Nothing of it is imported. Version and weights enter the key of a case's anatomy: another version may draw other
    organs, and what was declined for want of the program is done once it is there.
    """
    finders = {"totalsegmentator": _totalsegmentator_weights, "lungmask": _lungmask_weights}
    if source not in finders:
        return AnatomyProgram()
    if importlib.util.find_spec(source) is None:
        return AnatomyProgram(source)
    try:
        version = importlib.metadata.version(source)
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    found, missing = finders[source]()
    weights = tuple(sorted((path.name, path.stat().st_size) for path in found))
    return AnatomyProgram(source, version, weights, missing, str(found[0]) if found else "")


def _totalsegmentator_weights() -> tuple[list[Path], tuple[str, ...]]:
    """Checkpoints of the data sets of task `total`, and the names of those without one."""
    home = os.environ.get("TOTALSEG_HOME_DIR", str(Path.home() / ".totalsegmentator"))
    folder = Path(os.environ.get("TOTALSEG_WEIGHTS_PATH", str(Path(home) / "nnunet" / "results")))
    found, missing = [], []
    for number in TOTAL_DATASETS:
        checkpoints = sorted(folder.glob(f"Dataset{number}_*/**/*.pth"))
        found += checkpoints
        if not checkpoints:
            missing.append(f"Dataset{number}")
    return found, tuple(missing)


def _lungmask_weights() -> tuple[list[Path], tuple[str, ...]]:
    """The file that the environment names, else the one that torch.hub keeps."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "torch"
    kept = Path(os.environ.get("TORCH_HOME", str(cache))) / "hub" / "checkpoints" / LUNGMASK_FILE
    path = Path(os.environ.get(LUNGMASK_WEIGHTS, str(kept)))
    return ([path], ()) if path.is_file() else ([], (LUNGMASK_FILE,))


def label_by_program(ct: CtSeries, program: AnatomyProgram) -> Structures:
    """Structures of a CT by name, boolean z, y, x on its grid, from `totalsegmentator` or `lungmask`.

    DeclinedError, in one sentence, where the program is not installed, lacks weights, or ends by itself.
    """
    name = program.name
    if not program.version:
        raise DeclinedError(
            f"anatomy.source is {name}, which is not installed: `pip install -c requirements.txt {name}`, or give"
            " label maps"
        )
    if program.missing:
        raise DeclinedError(
            f"{name} is installed, but weights are not on this machine ({', '.join(program.missing)}), and nothing is"
            " fetched during a run: copy them where it looks for them, or give label maps"
        )
    programs: dict[str, Callable[[CtSeries, AnatomyProgram], Structures]] = {
        "totalsegmentator": _by_totalsegmentator,
        "lungmask": _by_lungmask,
    }
    try:
        with _offline():
            return programs[name](ct, program)
    except SystemExit as error:
        raise DeclinedError(f"{name} gave up by itself (exit {error.code}); give label maps instead") from error
    except OfflineError as error:
        raise DeclinedError(f"{name} asked for the network although its weights are here; give label maps") from error


class OfflineError(OSError):
    """A program asked for the network, which it does not get."""


@contextmanager
def _offline() -> Iterator[None]:
    """No name is looked up and no connection to another machine is made by this process inside."""

    def no_lookup(*_: object, **__: object) -> object:
        raise OfflineError("no network during a run")

    def no_connection(connection: socket.socket, address: tuple[object, ...] | str) -> object:
        if connection.family in INTERNET:
            raise OfflineError("no network during a run")
        return before[1](connection, address)

    before = socket.getaddrinfo, socket.socket.connect
    socket.getaddrinfo = no_lookup  # type: ignore[assignment]
    socket.socket.connect = no_connection  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        socket.getaddrinfo = before[0]
        socket.socket.connect = before[1]  # type: ignore[method-assign]


def _by_totalsegmentator(ct: CtSeries, _: AnatomyProgram) -> Structures:
    from totalsegmentator.config import set_config_key, setup_totalseg
    from totalsegmentator.map_to_binary import class_map
    from totalsegmentator.python_api import totalsegmentator

    setup_totalseg()  # without its file a key is not set, and the file is then made with statistics on
    set_config_key("send_usage_stats", False)
    wanted = [name for names in TOTAL_STRUCTURES.values() for name in names]
    with tempfile.TemporaryDirectory() as scratch:
        image, labels = Path(scratch) / "ct.nii.gz", Path(scratch) / "labels.nii.gz"
        sitk.WriteImage(to_image(ct.intensity_hu, ct.grid), str(image))
        totalsegmentator(image, labels, ml=True, roi_subset=wanted, quiet=True)
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(labels)))
    numbers = {name: number for number, name in class_map["total"].items()}
    return {name: np.isin(values, [numbers[part] for part in parts]) for name, parts in TOTAL_STRUCTURES.items()}


def _by_lungmask(ct: CtSeries, program: AnatomyProgram) -> Structures:
    from lungmask import LMInferer

    inferer = LMInferer(modelname="R231", modelpath=program.place, tqdm_disable=True)
    values = np.asarray(inferer.apply(to_image(ct.intensity_hu, ct.grid)))
    return {name: values == value for name, value in LUNGMASK_VALUES.items()}
