"""nnU-Net's own predictor on one of our models, untouched, for comparison; a door to nnU-Net beside `nnunet.py`."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from engine.segment.model import Manifest, SegmentationModel
from engine.segment.nnunet import CONFIGURATION, load_model, nnunet_plans

RESAMPLING = "resample_data_or_seg_to_shape"
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


class StockPredictor:
    """nnUNetPredictor with a model's network and plans: default order-3 resampling, float32 on a CPU, no mirroring."""

    def __init__(self, model: SegmentationModel, device: str, step_share: float) -> None:
        import torch

        for name in FOLDERS:
            os.environ.setdefault(name, tempfile.gettempdir())
        loaded = load_model(model, "cpu", "float32")
        network = loaded.networks[0].to(memory_format=torch.contiguous_format)
        with contextlib.redirect_stdout(io.StringIO()):
            self._predictor = _predictor(device, step_share)
            _initialise(self._predictor, network, loaded.manifest)

    def predict_file(self, image: Path, target: Path) -> None:
        """Read a NIfTI file, write its label map to `target` (.nii.gz)."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._predictor.predict_from_files_sequential([[str(image)]], [str(target)])


def _predictor(device: str, step_share: float) -> Any:  # noqa: ANN401 (nnU-Net is not typed)
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    return nnUNetPredictor(step_share, use_mirroring=False, device=torch.device(device), allow_tqdm=False)


def _initialise(predictor: Any, network: Any, manifest: Manifest) -> None:  # noqa: ANN401 (nnU-Net is not typed)
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(_plans(manifest))
    labels = {name: value for value, name in enumerate(manifest.labels)}
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    configuration = plans.get_configuration(CONFIGURATION)
    predictor.manual_initialization(
        network, plans, configuration, [network.state_dict()], dataset, "nnUNetTrainer", None
    )


def _plans(manifest: Manifest) -> dict[str, object]:
    """Plans of a manifest with what inference needs, at nnU-Net's defaults."""
    intensities = {
        "mean": manifest.hu_mean,
        "std": manifest.hu_sd,
        "percentile_00_5": manifest.hu_low,
        "percentile_99_5": manifest.hu_high,
    }
    plans: dict[str, Any] = nnunet_plans(manifest, 2)
    plans.update(
        image_reader_writer="SimpleITKIO",
        transpose_forward=[0, 1, 2],
        transpose_backward=[0, 1, 2],
        foreground_intensity_properties_per_channel={"0": intensities},
    )
    configuration = plans["configurations"][CONFIGURATION]
    for what, order in (("data", 3), ("seg", 1), ("probabilities", 1)):
        configuration[f"resampling_fn_{what}"] = RESAMPLING
        settings = {"is_seg": what == "seg", "order": order, "order_z": 0, "force_separate_z": None}
        configuration[f"resampling_fn_{what}_kwargs"] = settings
    return plans
