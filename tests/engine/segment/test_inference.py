"""The sweep against a sum over the whole volume, nnU-Net's own predictor, and what happens when memory runs out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from engine.bench.segmentation import label_dsc
from engine.geometry import grid_of, to_image
from engine.phantom.training_set import as_case, unseen_phantom
from engine.protocol import Segment
from engine.segment import inference
from engine.segment.inference import predict_with, within_memory
from engine.segment.model import describe_model, find_model, write_manifest
from engine.segment.nnunet import LoadedModel, TooLargeError, load_model
from engine.segment.sliding_window import Sweep, Window, gaussian_weights, tile_corners
from engine.segment.stock import StockPredictor
from store.records import RefusedError
from store.volumes import CtSeries

TILE = (32, 32, 48)


class Limited(nn.Module):
    """A network on a device that holds so many voxels of input and no more."""

    def __init__(self, network: nn.Module, voxels: int) -> None:
        super().__init__()
        self.network, self.voxels = network, voxels

    def encoder(self, tiles: torch.Tensor) -> list[torch.Tensor]:
        if tiles.numel() > self.voxels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return self.network.encoder(tiles)

    def decoder(self, skips: list[torch.Tensor]) -> torch.Tensor:
        return self.network.decoder(skips)


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    return load_model(find_model("demo"), "cpu", "float32")


@pytest.fixture(scope="module")
def phantom():
    return unseen_phantom(2)


@pytest.fixture(scope="module")
def ct(phantom):
    return as_case(phantom)[0]


def limited(demo: LoadedModel, voxels: int) -> LoadedModel:
    return replace(demo, networks=(Limited(demo.networks[0], voxels),))


def no_other_device(device: str) -> LoadedModel:
    raise AssertionError(f"a model on the CPU was asked for {device}")


@pytest.mark.parametrize(("tile", "multiple"), [(32, 4), (48, 4), (96, 4), (112, 8)])
def test_tiles_that_just_touch_leave_no_voxel_out(tile, multiple):
    for length in range(tile, tile + 200):
        starts = [z for z, _, _ in tile_corners((length, 32, 32), (tile, 32, 32), 1.0, (multiple, 1, 1))]
        assert max(np.diff([-tile, *starts])) <= tile
        assert (starts[0], starts[-1]) == (0, length - tile)


def test_tiles_cover_a_volume_and_advance_by_at_most_the_step():
    corners = tile_corners((96, 97, 128), (32, 48, 64), 0.5, (4, 4, 4))
    covered = np.zeros((96, 97, 128), dtype=np.bool_)
    for z, y, x in corners:
        covered[z : z + 32, y : y + 48, x : x + 64] = True
    assert covered.all()
    assert sorted({c[0] for c in corners}) == [0, 16, 32, 48, 64]


@pytest.mark.parametrize("shape", [(72, 48, 65), (32, 50, 48)])
def test_slabs_are_the_weighted_mean_over_all_tiles(demo, shape):
    volume = np.random.default_rng(3).standard_normal(shape, dtype=np.float32)
    sweep = Sweep(volume, demo, Window(TILE, 0.5))
    weights, total, norm = gaussian_weights(TILE).astype(np.float64), np.zeros((4, *shape)), np.zeros(shape)
    for z, y, x in sweep.corners:
        box = (slice(z, z + TILE[0]), slice(y, y + TILE[1]), slice(x, x + TILE[2]))
        total[(slice(None), *box)] += demo.forward(volume[box][None, None]).logits[0] * weights
        norm[box] += weights
    slabs = list(sweep.slabs())
    assert [slab.start for slab in slabs] == sorted({corner[0] for corner in sweep.corners})
    assert np.allclose(np.concatenate([slab.logits for slab in slabs], axis=1), total / norm, atol=1e-3)
    assert np.isfinite(sweep.features).all()


def test_one_tile_is_the_network_on_the_whole_volume(demo):
    volume = np.random.default_rng(1).standard_normal(TILE, dtype=np.float32)
    sweep = Sweep(volume, demo, Window(TILE, 0.5))
    (slab,) = sweep.slabs()
    whole = demo.forward(volume[None, None])
    assert np.allclose(slab.logits, whole.logits[0], atol=1e-4)
    assert np.allclose(sweep.features, whole.features[0], atol=1e-4)


def test_masks_are_those_of_nnunets_own_predictor(tmp_path, ct, demo):
    """The same network with the same plans: spacing coarser than the CT, an image smaller than a tile on one axis."""
    shipped = find_model("demo")
    changes = {"resampling": "nnunet", "spacing_mm": (3.4, 3.4, 3.4), "patch_zyx": (64, 80, 64)}
    write_manifest(tmp_path / "m.json", demo.manifest.model_copy(update=changes))
    (tmp_path / "m.pt").write_bytes(Path(shipped.weights_path).read_bytes())
    model = describe_model(tmp_path / "m.json")
    sitk.WriteImage(to_image(ct.intensity_hu, ct.grid), str(tmp_path / "ct_0000.nii.gz"))
    StockPredictor(model, "cpu", 0.5).predict_file(tmp_path / "ct_0000.nii.gz", tmp_path / "stock.nii.gz")
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "stock.nii.gz")))
    loaded = load_model(model, "cpu", "float32")
    found = predict_with(ct, loaded, Window(loaded.manifest.patch_zyx, 0.5), Segment())
    assert found.swept.tiles > 1
    assert (expected == 3).sum() > 100
    assert min(label_dsc(found.labels, expected, loaded.manifest.labels).values()) >= 0.999


def test_labels_lie_on_the_cts_own_axes(ct, demo):
    window = Window(demo.manifest.patch_zyx, 1.0)
    plain = predict_with(ct, demo, window, Segment())
    turned_image = sitk.DICOMOrient(to_image(ct.intensity_hu, ct.grid), "PIR")
    turned = CtSeries(sitk.GetArrayFromImage(turned_image), grid_of(turned_image))
    found = to_image(predict_with(turned, demo, window, Segment()).labels, turned.grid)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(found, "LPS")), plain.labels)


def test_when_memory_runs_out_tiles_get_smaller_and_it_is_said(ct, demo, phantom):
    voxels = int(np.prod(demo.manifest.patch_zyx))
    found = within_memory(ct, limited(demo, voxels // 2), Segment(tile_step_share=1.0), no_other_device)
    assert found.swept.fallback == "smaller tiles"
    assert np.prod(found.swept.window.tile_zyx) <= voxels // 2
    assert (found.labels == 1).sum() > 1000


def test_a_gpu_that_is_full_before_the_model_is_on_it_gives_way_to_the_cpu(ct, demo, monkeypatch):
    asked: list[tuple[str, str | None]] = []

    def load(model, device, precision, folds):
        asked.append((device, precision))
        if device == "cuda":
            raise TooLargeError("out of memory")
        return demo

    inference._kept_model.cache_clear()  # another test may have left the model there
    monkeypatch.setattr(inference, "load_model", load)
    monkeypatch.setattr(inference, "usable_device", lambda choice: choice)
    choices = Segment(device="cuda", precision="float16", tile_step_share=1.0)
    found = inference.predict(ct, choices, find_model("demo"))
    assert asked == [("cuda", "float16"), ("cpu", None)]  # half precision is for the GPU alone
    assert found.swept.fallback == "cpu"


def test_cuda_without_a_gpu_is_refused_in_one_sentence(ct):
    if torch.cuda.is_available():
        return
    with pytest.raises(RefusedError, match="sees no GPU") as refused:
        inference.predict(ct, Segment(device="cuda"), find_model("demo"))
    assert refused.value.code == "no_gpu"


def test_a_model_trained_on_images_turned_to_ras_sees_them_so(ct, demo):
    """The demo network on a turned image: as if nothing had been turned, for a model of the turned axes."""
    window = Window(demo.manifest.patch_zyx, 1.0)
    turned = replace(demo, manifest=demo.manifest.model_copy(update={"axes": "RAS"}))
    mirrored = CtSeries(np.ascontiguousarray(ct.intensity_hu[:, ::-1, ::-1]), ct.grid)  # the patient turned round
    plain = predict_with(ct, demo, window, Segment(crop=False)).labels
    assert np.array_equal(predict_with(mirrored, turned, window, Segment(crop=False)).labels[:, ::-1, ::-1], plain)


def test_when_nothing_fits_the_case_is_refused(ct, demo):
    with pytest.raises(RefusedError) as refused:
        within_memory(ct, limited(demo, 10), Segment(), no_other_device)
    assert refused.value.code == "out_of_memory"


def test_after_the_gpu_the_cpu_is_tried(ct, demo):
    """The device that is full only has another name here; what follows is the way any device takes."""
    full = replace(limited(demo, 10), device="cpu:0")
    asked = []

    def reload(device: str) -> LoadedModel:
        asked.append(device)
        return demo

    found = within_memory(ct, full, Segment(tile_step_share=1.0), reload)
    assert asked == ["cpu"]
    assert found.swept.fallback == "cpu"
    assert found.swept.window.tile_zyx == demo.manifest.patch_zyx


def test_other_errors_of_the_network_are_not_taken_for_lack_of_memory(ct, demo):
    broken = replace(demo, manifest=demo.manifest.model_copy(update={"patch_zyx": (17, 33, 49)}))
    with pytest.raises(RuntimeError, match="size"):
        within_memory(ct, broken, Segment(), no_other_device)
