"""Where anatomical labels come from, and what is said when a program for them is absent."""

import shutil
import socket
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.run.sources import program_identity
from engine.segment.anatomy import label_anatomy
from engine.segment.anatomy_programs import TOTAL_STRUCTURES, find_program, label_by_program
from engine.training_protocol import Anatomy
from store.records import DeclinedError
from store.sources import AnatomyProgram
from store.volumes import LabelMaps, Mask, ReferenceMasks
from tests.engine.segment.trainings import GRID, ct_of, labelled, lungs, references, tumour


def outlined(name: str) -> ReferenceMasks:
    parts = [Mask(side, "independent", "reference", voxels, GRID) for side, voxels in lungs().items()]
    return ReferenceMasks((*references(name).masks, *parts))


def test_outlined_lungs_serve_as_anatomy_without_the_tumour():
    done = label_anatomy(ct_of("T1"), outlined("T1"), LabelMaps(()), Anatomy(source="lungs"), AnatomyProgram())
    assert done.trainable[0].anatomy == "lung_left,lung_right"
    for mask in done.masks.masks:
        if mask.structure == "anatomy":
            assert not (mask.voxels & tumour("T1")).any()


def test_the_volume_of_the_tumour_is_that_of_the_reference():
    assert labelled("T1").trainable[0].tumour_ml == pytest.approx(125 * 0.027)
    assert labelled("F1").trainable[0].tumour_ml == 0


def test_a_case_without_labels_is_left_without():
    done = label_anatomy(ct_of("F1"), ReferenceMasks(()), LabelMaps(()), Anatomy(), AnatomyProgram())
    assert (done.masks.masks, done.trainable[0].anatomy) == ((), "")


PROGRAMS = ("totalsegmentator", "lungmask")


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Both programs count as installed, and look for their weights below a folder of the test."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: types.SimpleNamespace(name=name))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.18.0")
    monkeypatch.setenv("TOTALSEG_HOME_DIR", str(tmp_path / "total"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("TOTALSEG_WEIGHTS_PATH", raising=False)
    monkeypatch.delenv("COHORTSCOPE_LUNGMASK_WEIGHTS", raising=False)
    return tmp_path


def place(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def place_weights(folder: Path) -> None:
    """Files where both programs keep theirs."""
    place(folder / "torch" / "hub" / "checkpoints" / "unet_r231-d5d2fc3d.pth")
    for number in (291, 292, 293, 294, 295, 298):
        data_set = folder / "total" / "nnunet" / "results" / f"Dataset{number}_TotalSegmentator_1559subj"
        place(data_set / "nnUNetTrainer__nnUNetPlans__3d_fullres" / "fold_0" / "checkpoint_final.pth")


def module_of(monkeypatch, name: str, **content) -> None:
    """A program's module of these names, as if it were installed."""
    module = types.ModuleType(name)
    for attribute, value in content.items():
        setattr(module, attribute, value)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_absent_program_is_one_sentence(monkeypatch, program):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DeclinedError, match=f"{program}, which is not installed"):
        label_by_program(ct_of("F1"), find_program(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_without_its_weights_is_not_even_called(monkeypatch, installed, program):
    called = []
    module_of(monkeypatch, "lungmask", LMInferer=lambda **_: called.append(1))
    module_of(monkeypatch, "totalsegmentator.python_api", totalsegmentator=lambda *_, **__: called.append(1))
    with pytest.raises(DeclinedError, match="weights are not on this machine"):
        label_by_program(ct_of("F1"), find_program(program))
    assert called == []


def test_one_missing_data_set_of_totalsegmentator_is_named(installed):
    place_weights(installed)
    shutil.rmtree(next(installed.rglob("Dataset298_*")))
    with pytest.raises(DeclinedError, match=r"not on this machine \(Dataset298\)"):
        label_by_program(ct_of("F1"), find_program("totalsegmentator"))


def test_weights_that_the_environment_names_must_be_there(installed, monkeypatch):
    place_weights(installed)
    monkeypatch.setenv("COHORTSCOPE_LUNGMASK_WEIGHTS", str(installed / "nowhere.pth"))
    assert find_program("lungmask").missing


@pytest.mark.parametrize("program", PROGRAMS)
def test_another_version_or_other_weights_make_another_key(installed, monkeypatch, program):
    """What was declined for want of weights is tried again once they are there: the task has another key."""
    without = program_identity(find_program(program))
    place_weights(installed)
    found = program_identity(find_program(program))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "3.0.0")
    newer = program_identity(find_program(program))
    assert len({str(identity) for identity in (without, found, newer)}) == 3


def test_sources_without_a_program_know_of_none(installed):
    assert find_program("label maps") == find_program("lungs") == AnatomyProgram()


def lungmask_that(monkeypatch, installed, act) -> AnatomyProgram:
    """lungmask with its weights, whose network acts so."""
    place_weights(installed)
    module_of(monkeypatch, "lungmask", LMInferer=lambda **_: types.SimpleNamespace(apply=act))
    return find_program("lungmask")


def test_a_program_gets_no_network(monkeypatch, installed):
    """A server of this machine listens; what is refused is the attempt, by name and by address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("localhost", "127.0.0.1"):
            program = lungmask_that(monkeypatch, installed, lambda _, h=host: socket.create_connection((h, port)))
            with pytest.raises(DeclinedError, match="asked for the network"):
                label_by_program(ct_of("F1"), program)
        with socket.socket() as plain:
            direct = lungmask_that(monkeypatch, installed, lambda _: plain.connect(("127.0.0.1", port)))
            with pytest.raises(DeclinedError, match="asked for the network"):
                label_by_program(ct_of("F1"), direct)
        socket.create_connection(("localhost", port)).close()  # afterwards as before


def test_a_program_that_ends_the_process_declines_its_case(monkeypatch, installed):
    with pytest.raises(DeclinedError, match=r"gave up by itself \(exit 1\)"):
        label_by_program(ct_of("F1"), lungmask_that(monkeypatch, installed, lambda _: sys.exit(1)))


def test_statistics_are_off_before_totalsegmentator_runs_even_on_its_first_day(monkeypatch, installed):
    """Its set_config_key does nothing without a file, and the file that it then makes has statistics on."""
    kept: dict[str, object] = {}

    def set_key(name, value):
        if kept:
            kept[name] = value

    def run(image, labels, **_):
        assert kept["send_usage_stats"] is False
        sitk.WriteImage(sitk.ReadImage(str(image)) * 0, str(labels))

    place_weights(installed)
    setup = lambda: kept.update(send_usage_stats=True)  # noqa: E731
    every = dict(enumerate(sum(TOTAL_STRUCTURES.values(), ()), start=1))
    module_of(monkeypatch, "totalsegmentator")
    module_of(monkeypatch, "totalsegmentator.config", set_config_key=set_key, setup_totalseg=setup)
    module_of(monkeypatch, "totalsegmentator.map_to_binary", class_map={"total": every})
    module_of(monkeypatch, "totalsegmentator.python_api", totalsegmentator=run)
    found = label_by_program(ct_of("F1"), find_program("totalsegmentator"))
    assert set(found) == set(TOTAL_STRUCTURES)


def test_a_programs_values_become_left_and_right(monkeypatch, installed):
    """The contract with lungmask 0.2.22: LMInferer.apply takes an ITK image, gives 1 right and 2 left."""
    values = np.zeros(GRID.shape_zyx, dtype=np.uint8)
    values[lungs()["lung_right"]], values[lungs()["lung_left"]] = 1, 2
    program = lungmask_that(monkeypatch, installed, lambda _: values)
    done = label_anatomy(ct_of("F1"), ReferenceMasks(()), LabelMaps(()), Anatomy(source="lungmask"), program)
    found = {mask.name: mask.voxels for mask in done.masks.masks}
    assert np.array_equal(found["lung_left"], lungs()["lung_left"])
    assert {mask.origin for mask in done.masks.masks} == {"automatic"}
