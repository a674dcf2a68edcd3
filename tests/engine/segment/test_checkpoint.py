"""Import of foreign models: what is accepted, and that nothing of a refused file ran or was written."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from engine.commands import app
from engine.segment.checkpoint import import_model
from engine.segment.model import Architecture, Manifest, find_model, read_manifest
from engine.segment.nnunet import build_network, load_model, nnunet_plans
from engine.segment.results_archive import CHECKPOINT_FILE
from store.records import RefusedError

TINY = Architecture(
    network="PlainConvUNet",
    features_per_stage=(4, 8, 8),
    kernel_sizes=((3, 3, 3),) * 3,
    strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
    n_conv_per_stage=(1, 2, 2),
    n_conv_per_stage_decoder=(1, 1),
)
MANIFEST = Manifest(
    name="tiny",
    weights_sha256="0" * 64,
    architecture=TINY,
    spacing_mm=(3.0, 3.0, 3.0),
    patch_zyx=(16, 16, 16),
    hu_low=-1000,
    hu_high=400,
    hu_mean=-400,
    hu_sd=400,
    labels=("background", "lung_left", "lung_right", "tumour"),
    training={},
    trained_on="nothing",
)
NAMED = {"preprocessor": "preprocessor_name", "resampling": "resampling_fn_data", "reader": "image_reader_writer"}


class Crafted:
    """Pickles to a call of os.system that leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.trace}",)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def checkpoint(network: str = "PlainConvUNet") -> dict:
    """What nnU-Net writes at the end of a training, of a network with random weights."""
    torch.manual_seed(0)
    architecture = TINY.model_copy(update={"network": network})
    plans = nnunet_plans(MANIFEST.model_copy(update={"architecture": architecture}), 2)
    bounds = {"percentile_00_5": -900, "percentile_99_5": 300, "mean": -400, "std": 400}
    plans["foreground_intensity_properties_per_channel"] = {"0": {k: np.float64(v) for k, v in bounds.items()}}
    plans["image_reader_writer"] = "SimpleITKIO"
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "lung_left": 1, "lung_right": 2, "tumor": 3},
    }
    return {
        "network_weights": build_network(architecture, 4).state_dict(),
        "init_args": {"plans": plans, "configuration": "3d_fullres", "dataset_json": dataset},
        "trainer_name": "nnUNetTrainer",
        "logging": {"ema": [np.float64(0.5)]},
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }


def configuration(content: dict) -> dict:
    return content["init_args"]["plans"]["configurations"]["3d_fullres"]


def results_folder(folder: Path, content: dict) -> Path:
    """The folder that nnUNetv2_train leaves: Dataset/trainer__plans__configuration/fold_0."""
    inner = folder / "Dataset001_Lung" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    (inner / "fold_0").mkdir(parents=True)
    torch.save(content, inner / "fold_0" / CHECKPOINT_FILE)
    plain = json.loads(json.dumps(content["init_args"], default=float))
    (inner / "plans.json").write_text(json.dumps(plain["plans"]))
    (inner / "dataset.json").write_text(json.dumps(plain["dataset_json"]))
    return folder


def zipped(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return file


def refusal(path: Path, home: Path, fold: str | None = None) -> RefusedError:
    """The refusal of a file; nothing may have been registered."""
    with pytest.raises(RefusedError) as refused:
        import_model(path, fold)
    assert not home.exists()
    return refused.value


@pytest.mark.parametrize("network", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_a_genuine_checkpoint_becomes_a_registered_model_with_its_weights(tmp_path, home, network):
    content = checkpoint(network)
    torch.save(content, tmp_path / "mine.pth")
    model = import_model(tmp_path / "mine.pth")
    assert find_model("mine") == model
    loaded = load_model(model, "cpu")
    assert loaded.manifest.labels == ("background", "lung_left", "lung_right", "tumour")
    assert loaded.manifest.architecture.network == network
    for name, tensor in loaded.network.state_dict().items():
        assert torch.allclose(tensor, content["network_weights"][name], atol=1e-3)
    assert Path(model.weights_path).stat().st_size < (tmp_path / "mine.pth").stat().st_size


def test_a_results_folder_its_zip_and_its_checkpoint_give_the_same_network(tmp_path, home):
    content = checkpoint()
    folder = results_folder(tmp_path / "results", content)
    file = zipped(folder, tmp_path / "export.zip")
    torch.save(content, tmp_path / "mine.pth")
    models = [import_model(path) for path in (folder, file, tmp_path / "mine.pth")]
    weights = {load_model(model, "cpu").manifest.weights_sha256 for model in models}
    assert len(weights) == 1
    assert [model.name for model in models] == ["results-fold-0", "export-fold-0", "mine"]


def test_the_command_names_the_model_by_its_hash(tmp_path, home):
    folder = results_folder(tmp_path / "results", checkpoint())
    result = CliRunner().invoke(app, ["model", "import", str(folder), "--fold", "0"])
    assert result.exit_code == 0
    sha, name = result.output.split()
    assert find_model(sha[:12]).name == name


def test_plans_of_before_nnunet_2_3_are_read(tmp_path, home):
    content = checkpoint()
    plan = configuration(content)
    layers = plan.pop("architecture")["arch_kwargs"]
    plan |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 8,
        "conv_kernel_sizes": layers["kernel_sizes"],
        "pool_op_kernel_sizes": layers["strides"],
        "n_conv_per_stage_encoder": layers["n_conv_per_stage"],
        "n_conv_per_stage_decoder": layers["n_conv_per_stage_decoder"],
    }
    torch.save(content, tmp_path / "old.pth")
    assert load_model(import_model(tmp_path / "old.pth"), "cpu").manifest.architecture == TINY


@pytest.mark.parametrize("writer", ["pickle", "torch", "torch_legacy"])
def test_a_crafted_pickle_is_refused_and_nothing_ran(tmp_path, home, writer):
    trace, file = tmp_path / "ran", tmp_path / "evil.pth"
    content = {"network_weights": Crafted(trace)}
    if writer == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=writer == "torch")
    assert refusal(file, home).code == "model_unsafe"
    assert not trace.exists()


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_a_crafted_pickle_in_results_is_refused_and_nothing_ran(tmp_path, home, packing):
    trace, folder = tmp_path / "ran", results_folder(tmp_path / "results", checkpoint())
    (path,) = folder.rglob(CHECKPOINT_FILE)
    torch.save(checkpoint() | {"logging": Crafted(trace)}, path)
    source = folder if packing == "folder" else zipped(folder, tmp_path / "export.zip")
    assert refusal(source, home).code == "model_unsafe"
    assert not trace.exists()


def test_a_checkpoint_whose_records_unpack_is_refused_unread(tmp_path, home):
    """A zip bomb: 128 MiB of zeros in a record of less than one."""
    torch.save(checkpoint(), tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as source,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb,
    ):
        for record in source.infolist():
            bomb.writestr(record.filename, source.read(record))
        with bomb.open("archive/data/999", "w") as stream:
            stream.write(bytes(128 << 20))
    assert (tmp_path / "bomb.pth").stat().st_size < 1 << 20
    refused = refusal(tmp_path / "bomb.pth", home)
    assert refused.code == "model_unsafe"
    assert "nothing was unpacked" in refused.message


def test_results_that_unpack_to_more_than_weights_are_refused_unread(tmp_path, home):
    folder = results_folder(tmp_path / "results", checkpoint())
    (path,) = folder.rglob(CHECKPOINT_FILE)
    path.write_bytes(bytes(16 << 20))
    refused = refusal(zipped(folder, tmp_path / "bomb.zip"), home)
    assert refused.code == "model_archive"
    assert "nothing was unpacked" in refused.message


@pytest.mark.parametrize("name", ["../outside.json", "/etc/outside.json", "a/../../outside.json", "C:\\outside.json"])
def test_a_name_that_leads_out_of_the_zip_is_refused(tmp_path, home, name):
    file = zipped(results_folder(tmp_path / "results", checkpoint()), tmp_path / "export.zip")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, "x")
    refused = refusal(file, home)
    assert refused.code == "model_archive"
    assert "outside itself" in refused.message
    assert not list(tmp_path.rglob("outside.json"))


@pytest.mark.parametrize("file", ["text.pth", "text.zip", "missing.pth", "cut.pth"])
def test_a_file_that_is_no_model_is_refused(tmp_path, home, file):
    if file == "cut.pth":
        torch.save(checkpoint(), tmp_path / file)
        (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:2000])
    elif file != "missing.pth":
        (tmp_path / file).write_text("nothing of the kind")
    assert refusal(tmp_path / file, home).code == "model_weights"


@pytest.mark.parametrize("place", ["class", "layer", "import", "import_known", "preprocessor", "resampling", "reader"])
def test_a_plan_that_names_os_system_is_refused(tmp_path, home, place):
    content = checkpoint()
    plan = configuration(content)
    architecture = plan["architecture"]
    if place == "class":
        architecture["network_class_name"] = "os.system"
    elif place in ("layer", "import_known"):
        architecture["arch_kwargs"] = architecture["arch_kwargs"] | {"conv_op": "os.system"}
    elif place == "import":
        architecture["arch_kwargs"] = architecture["arch_kwargs"] | {"block": "os.system"}
        architecture["_kw_requires_import"] = [*architecture["_kw_requires_import"], "block"]
    else:
        target = content["init_args"]["plans"] if place == "reader" else plan
        keys = {
            "preprocessor": "preprocessor_name",
            "resampling": "resampling_fn_data",
            "reader": "image_reader_writer",
        }
        target[keys[place]] = "os.system"
    torch.save(content, tmp_path / "plan.pth")
    refused = refusal(tmp_path / "plan.pth", home)
    assert refused.code == "model_plan"
    assert "list of allowed ones" in refused.message


def test_plans_beside_a_checkpoint_that_name_os_system_are_refused(tmp_path, home):
    folder = results_folder(tmp_path / "results", checkpoint())
    (plans,) = folder.rglob("plans.json")
    plans.write_text(plans.read_text().replace("torch.nn.LeakyReLU", "os.system"))
    refused = refusal(folder, home)
    assert refused.code == "model_plan"
    assert "list of allowed ones" in refused.message


def test_plans_beside_a_checkpoint_that_are_not_its_own_are_refused(tmp_path, home):
    folder = results_folder(tmp_path / "results", checkpoint())
    (plans,) = folder.rglob("plans.json")
    plans.write_text(plans.read_text().replace('"std": 400.0', '"std": 401.0'))
    assert "not those that it was trained with" in refusal(folder, home).message


def test_a_fold_that_is_not_there_is_named_with_those_that_are(tmp_path, home):
    folder = results_folder(tmp_path / "results", checkpoint())
    refused = refusal(folder, home, "3")
    assert refused.code == "model_archive"
    assert "fold_3" in refused.message
    assert "folds: 0" in refused.message


@pytest.mark.parametrize("where", ["plans", "dataset", "weights"])
def test_a_model_of_two_channels_is_refused(tmp_path, home, where):
    content = checkpoint()
    init = content["init_args"]
    if where == "plans":
        intensities = init["plans"]["foreground_intensity_properties_per_channel"]
        intensities["1"] = intensities["0"]
    elif where == "dataset":
        init["dataset_json"]["channel_names"] = {"0": "CT", "1": "PET"}
    else:
        weights = content["network_weights"]
        for name in [n for n in weights if "encoder.stages.0.0.convs.0" in n and n.endswith("conv.weight")]:
            weights[name] = weights[name].repeat(1, 2, 1, 1, 1)
    torch.save(content, tmp_path / "two.pth")
    refused = refusal(tmp_path / "two.pth", home)
    assert refused.code == ("model_weights" if where == "weights" else "model_plan")
    assert where == "weights" or "2 image channels" in refused.message


def test_a_tensor_that_only_claims_to_be_huge_is_refused_before_it_is_filled(tmp_path, home):
    content = checkpoint()
    name = next(iter(content["network_weights"]))
    content["network_weights"][name] = torch.zeros(1).as_strided((1 << 20, 1 << 20), (0, 0))
    torch.save(content, tmp_path / "huge.pth")
    assert (tmp_path / "huge.pth").stat().st_size < 1 << 20
    assert refusal(tmp_path / "huge.pth", home).code == "model_weights"


def test_plans_of_a_network_too_large_to_hold_are_refused_before_it_is_built(tmp_path, home):
    content = checkpoint()
    layers = configuration(content)["architecture"]["arch_kwargs"]
    configuration(content)["architecture"]["arch_kwargs"] = layers | {
        "features_per_stage": [1024] * 3,
        "n_conv_per_stage": [8] * 3,
    }
    torch.save(content, tmp_path / "large.pth")
    refused = refusal(tmp_path / "large.pth", home)
    assert refused.code == "model_plan"
    assert "would hold more than" in refused.message


class Blown:
    """Pickles to a numpy scalar of a type that is as large as one likes, without its bytes."""

    def __reduce__(self):
        return np.float64(0).__reduce__()[0], (np.dtype("V60000000"),)


def test_a_scalar_of_any_size_is_refused_before_it_is_filled(tmp_path, home):
    content = checkpoint()
    content["logging"] = [Blown()]
    torch.save(content, tmp_path / "blown.pth")
    assert refusal(tmp_path / "blown.pth", home).code in ("model_unsafe", "model_weights")


@pytest.mark.parametrize("place", ["dataset_name", "configuration"])
def test_a_name_that_is_a_nest_of_lists_is_not_spelled_out(tmp_path, home, place):
    content = checkpoint()
    nest: list[object] = ["x"]
    for _ in range(60):  # spelled out: 2 ** 60 letters
        nest = [nest, nest]
    target = content["init_args"]["plans"] if place == "dataset_name" else content["init_args"]
    target[place] = nest
    torch.save(content, tmp_path / "nest.pth")
    if place == "configuration":
        assert refusal(tmp_path / "nest.pth", home).code == "model_plan"
    else:
        assert import_model(tmp_path / "nest.pth").name == "nest"


@pytest.mark.parametrize(
    ("reader", "wanted", "axes"),
    [
        ("SimpleITKIO", None, "LPS"),
        ("NibabelIO", "RAS", "RAS"),
        ("SimpleITKIOWithReorient", None, "RAS"),
        ("NibabelIOWithReorient", None, "RAS"),
    ],
)
def test_the_axes_of_the_training_images_are_kept(tmp_path, home, reader, wanted, axes):
    content = checkpoint()
    content["init_args"]["plans"]["image_reader_writer"] = reader
    torch.save(content, tmp_path / "turned.pth")
    assert read_manifest(Path(import_model(tmp_path / "turned.pth", None, wanted).manifest_path)).axes == axes


@pytest.mark.parametrize(
    ("function", "settings", "resampling", "apart"),
    [
        ("resample_data_or_seg_to_shape", {"order": 3, "force_separate_z": None}, "nnunet", True),
        ("resample_torch_fornnunet", {"force_separate_z": False}, "nnunet_linear", False),
        ("resample_torch_fornnunet", {"force_separate_z": None}, "nnunet_linear", True),
        ("resample_torch_simple", {}, "nnunet_linear", False),
    ],
)
def test_how_training_images_were_resampled_is_kept(tmp_path, home, function, settings, resampling, apart):
    content = checkpoint()
    configuration(content).update({"resampling_fn_data": function, "resampling_fn_data_kwargs": settings})
    torch.save(content, tmp_path / "resampled.pth")
    manifest = read_manifest(Path(import_model(tmp_path / "resampled.pth").manifest_path))
    assert (manifest.resampling, manifest.coarse_axis_apart) == (resampling, apart)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: configuration(c).update({"resampling_fn_data_kwargs": {"order": 1}}),
        lambda c: configuration(c).update({"resampling_fn_data_kwargs": {"force_separate_z": True}}),
        lambda c: configuration(c).update({"spacing": [1.0, 1.0], "patch_size": [64, 64]}),
        lambda c: c["init_args"]["dataset_json"]["labels"].update({"ignore": 4}),
    ],
)
def test_what_inference_does_not_offer_is_refused_by_name(tmp_path, home, change):
    content = checkpoint()
    change(content)
    torch.save(content, tmp_path / "other.pth")
    refused = refusal(tmp_path / "other.pth", home)
    assert refused.code == "model_plan"
    assert any(word in refused.message for word in ("resamples", "2d", "ignore label"))


def test_a_zip_with_idle_parts_in_its_names_is_read(tmp_path, home):
    folder = results_folder(tmp_path / "results", checkpoint())
    with zipfile.ZipFile(tmp_path / "idle.zip", "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(path, f"./{path.relative_to(folder)}".replace("/fold_0", "//fold_0"))
    assert import_model(tmp_path / "idle.zip").name == "idle-fold-0"


def test_a_half_written_manifest_disables_no_other_model(home):
    home.mkdir(parents=True)
    (home / "broken.json").write_text('{"name": "mi')
    assert find_model("demo").name == "demo"
    with pytest.raises(ValueError, match=r"not readable: broken\.json"):
        find_model("mine")


def test_weights_of_another_network_are_refused(tmp_path, home):
    content = checkpoint()
    content["network_weights"].popitem()
    torch.save(content, tmp_path / "other.pth")
    assert refusal(tmp_path / "other.pth", home).code == "model_weights"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, home, value):
    content = checkpoint()
    next(iter(content["network_weights"].values())).fill_(value)
    torch.save(content, tmp_path / "nan.pth")
    assert refusal(tmp_path / "nan.pth", home).code == "model_weights"
