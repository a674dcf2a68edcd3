"""Our subclass of nnU-Net's trainer; imported only by the process that trains (torch takes seconds to import).

nnU-Net's own: network, loss, patches, augmentation, steps, schedule, checkpoint, pseudo-Dice. Ours: which cases, which
class a patch is centred on, the optimiser's settings, one file written whole an epoch, and silence.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import torch
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from numpy.typing import NDArray

from engine.processes import die_with_parent
from engine.segment.nnunet import CONFIGURATION, load_safely
from engine.segment.nnunet_plan import PLACES
from engine.training_protocol import Train

HEAD = ".seg_layers."
LATEST = "checkpoint_latest.pth"
FINAL = "checkpoint_final.pth"
CPU_SECONDS = "cpu_seconds"
LIGHT_NOISE_VARIANCE = (0.0, 0.02)
LIGHT_CONTRAST = (0.85, 1.15)
LIGHT_SHARE = 0.5


class PreparedCases(nnUNetDatasetBlosc2):  # type: ignore[misc]
    """nnU-Net's prepared cases, read without unpickling: a study's folder must not be able to run code."""

    def __init__(self, folder: str, identifiers: list[str], folder_with_segs_from_previous_stage: str | None) -> None:
        super().__init__(folder, list(identifiers), folder_with_segs_from_previous_stage)

    def load_case(self, identifier: str) -> tuple[object, object, None, dict[str, object]]:
        """Image and labels (c, z, y, x, opened, not read), nothing of an earlier stage, and where each label lies."""
        stem = Path(self.source_folder) / identifier
        places = np.load(f"{stem}{PLACES}", allow_pickle=False)
        found = {int(label): places[places[:, 0] == label, 1:] for label in self.labels}
        return self._opened(f"{stem}.b2nd"), self._opened(f"{stem}_seg.b2nd"), None, {"class_locations": found}

    labels: tuple[int, ...] = ()  # values of every label of the data set: nnU-Net wants one without voxels named too

    def _opened(self, path: str) -> blosc2.NDArray:
        array = blosc2.open(path, mode="r", mmap_mode="r", dparams={"nthreads": 1}, deserialize="safe")
        if not isinstance(array, blosc2.NDArray):  # an expression or a function would be run when it is read
            raise ValueError(f"a prepared case must be a plain array, got {type(array).__name__}")
        return array


class TumourLoader(nnUNetDataLoader):  # type: ignore[misc]
    """nnU-Net's loader, but a patch centred on a label is centred on the tumour with a given probability.

    nnU-Net draws the class uniformly among those present: beside five organs a tumour gets a sixth of the patches.
    """

    tumour_label: int | None = None
    tumour_share: float = 0.0
    parent: int = 0

    def set_thread_id(self, thread_id: int) -> None:
        """Called first thing in a process of its own, which would outlive a killed training: die with it instead."""
        if os.getpid() != self.parent:
            die_with_parent(self.parent)
        super().set_thread_id(thread_id)

    def get_bbox(  # noqa: D102  (nnU-Net's own method, its class chosen here)
        self,
        data_shape: NDArray[np.int64],
        force_fg: bool,
        class_locations: dict[object, object] | None,
        overwrite_class: int | None = None,
        verbose: bool = False,
    ) -> tuple[list[int], list[int]]:
        choose = force_fg and overwrite_class is None and self.tumour_label is not None
        if choose and np.random.uniform() < self.tumour_share:
            overwrite_class = self.tumour_label
        return super().get_bbox(data_shape, force_fg, class_locations, overwrite_class, verbose)  # type: ignore[no-any-return]


class Trainer(nnUNetTrainer):  # type: ignore[misc]
    """nnU-Net's trainer with our sizes and cases; `prepare` it, then `run_training`.

    Each epoch draws from generators seeded by seed and epoch, and its checkpoint replaces the last one whole: a
    training that was killed goes on from the last finished epoch and, without loader processes, ends the same.
    """

    def prepare(
        self,
        train: Train,
        epochs: int,
        seed: int,
        cases: tuple[tuple[str, ...], tuple[str, ...]],
        tell: Callable[[Trainer], None],
    ) -> None:
        """Set sizes, cases (trained on, monitored) and who is told after every epoch."""
        self.settings, self.seed, self.cases, self.tell = train, seed, cases, tell
        self.num_epochs = epochs
        self.num_iterations_per_epoch = train.iterations
        self.num_val_iterations_per_epoch = train.monitoring_iterations
        self.initial_lr = train.learning_rate
        self.oversample_foreground_percent = train.foreground_share
        self.probabilistic_oversampling = True
        self.save_every = 1
        self.logger.local_logger.my_fantastic_logging.setdefault(CPU_SECONDS, [])
        self._reseed(-1)
        self.initialize()

    def print_to_log_file(self, *args: object, **kwargs: object) -> None:  # noqa: D102
        pass

    def plot_network_architecture(self) -> None:  # noqa: D102
        pass

    def _save_debug_information(self) -> None:
        pass

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Nothing: cases are reported by our own inference, on images that no training saw."""

    def do_split(self) -> tuple[list[str], list[str]]:
        """The cases trained on and those monitored."""
        return list(self.cases[0]), list(self.cases[1])

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        """nnU-Net's SGD, or AdamW; nnU-Net's polynomial fall by epoch."""
        if self.settings.optimiser == "sgd":
            return super().configure_optimizers()  # type: ignore[no-any-return]
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def get_dataloaders(self) -> tuple[object, object]:
        """nnU-Net's loaders over our cases: no mirroring, the tumour oversampled."""
        patch = self.configuration_manager.patch_size
        scales = self._get_deep_supervision_scales()
        rotation, flat, initial_patch, _ = self.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        light = self.settings.augmentation == "light"
        transforms = (
            light_augmentation(scales)
            if light
            else self.get_training_transforms(patch, rotation, scales, (), flat, use_mask_for_norm=[False])
        )
        trained_on, monitored = (self._prepared(names) for names in self.do_split())
        loaders = (
            self._loader(trained_on, patch if light else initial_patch, transforms),
            self._loader(monitored, patch, self.get_validation_transforms(scales)),
        )
        if self.settings.loader_processes == 0:
            return SingleThreadedAugmenter(loaders[0], None), SingleThreadedAugmenter(loaders[1], None)
        return self._in_processes(loaders[0]), self._in_processes(loaders[1])

    def _prepared(self, names: list[str]) -> PreparedCases:
        cases = PreparedCases(self.preprocessed_dataset_folder, names, None)
        cases.labels = tuple(value for value in self.dataset_json["labels"].values() if value)
        return cases

    def _loader(self, dataset: object, patch: object, transforms: BasicTransform) -> TumourLoader:
        loader = TumourLoader(
            dataset,
            self.batch_size,
            patch,
            self.configuration_manager.patch_size,
            self.label_manager,
            oversample_foreground_percent=self.oversample_foreground_percent,
            probabilistic_oversampling=self.probabilistic_oversampling,
            transforms=transforms,
        )
        loader.tumour_label = self.dataset_json["labels"].get("tumour")
        loader.tumour_share = self.settings.tumour_share
        loader.parent = os.getpid()
        return loader

    def _in_processes(self, loader: TumourLoader) -> NonDetMultiThreadedAugmenter:
        return NonDetMultiThreadedAugmenter(
            data_loader=loader,
            transform=None,
            num_processes=self.settings.loader_processes,
            num_cached=max(6, self.settings.loader_processes),
            seeds=None,
            pin_memory=self.device.type == "cuda",
            wait_time=0.002,
        )

    def on_epoch_start(self) -> None:
        """Seed every generator by seed and epoch."""
        self._reseed(self.current_epoch)
        self._cpu_before = time.process_time()
        super().on_epoch_start()

    def _reseed(self, epoch: int) -> None:
        state = int(np.random.SeedSequence([self.seed, epoch + 1]).generate_state(1)[0])
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)

    def on_epoch_end(self) -> None:
        """Keep the checkpoint and tell; no plot, no best checkpoint: the last epoch is the model."""
        self.logger.log("epoch_end_timestamps", time.time(), self.current_epoch)
        self.logger.log(CPU_SECONDS, time.process_time() - self._cpu_before, self.current_epoch)
        self.save_checkpoint(str(Path(self.output_folder) / LATEST))
        self.tell(self)
        self.current_epoch += 1

    def on_train_end(self) -> None:
        """Keep the last epoch as the model and end the loaders."""
        self.save_checkpoint(str(Path(self.output_folder) / FINAL))
        for loader in (self.dataloader_train, self.dataloader_val):
            if isinstance(loader, NonDetMultiThreadedAugmenter):
                loader._finish()

    def save_checkpoint(self, filename: str) -> None:
        """nnU-Net's checkpoint, written beside and then moved into place."""
        temporary = f"{filename}.tmp"
        super().save_checkpoint(temporary)
        handle = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, filename)

    def resume(self) -> bool:
        """Go on from the last finished epoch, read without running anything; False where there is none."""
        path = Path(self.output_folder) / LATEST
        if not path.exists():
            return False
        kept: dict[str, Any] = dict(load_safely(path))
        self.network.load_state_dict(kept["network_weights"])
        self.optimizer.load_state_dict(kept["optimizer_state"])
        if self.grad_scaler is not None and kept["grad_scaler_state"] is not None:
            self.grad_scaler.load_state_dict(kept["grad_scaler_state"])
        self.logger.load_checkpoint(kept["logging"])
        self.current_epoch = int(kept["current_epoch"])
        return True

    def take_over(self, weights: dict[str, torch.Tensor]) -> None:
        """Start from the weights of another training, all but the last layers; ValueError when shapes differ."""
        own = self.network.state_dict()
        taken = {name: value for name, value in weights.items() if HEAD not in name}
        body = [name for name in own if HEAD not in name]
        wrong = [name for name in body if name not in taken or taken[name].shape != own[name].shape]
        if wrong:
            raise ValueError(f"weights must fit the plans' network, got {len(wrong)} layers that do not")
        self.network.load_state_dict({**own, **taken})

    def logged(self, name: str, epoch: int) -> list[float]:
        """What nnU-Net logged under a name in an epoch (-1 the last): one number, or one a label."""
        return [float(value) for value in np.atleast_1d(self.logger.get_value(name, step=None)[epoch])]


def light_augmentation(scales: list[list[float]] | None) -> BasicTransform:
    """Noise, contrast and brightness only, each on half of the patches."""
    transforms = [
        RandomTransform(
            GaussianNoiseTransform(noise_variance=LIGHT_NOISE_VARIANCE, p_per_channel=1, synchronize_channels=True),
            apply_probability=LIGHT_SHARE,
        ),
        RandomTransform(
            MultiplicativeBrightnessTransform(
                multiplier_range=BGContrast(LIGHT_CONTRAST), synchronize_channels=False, p_per_channel=1
            ),
            apply_probability=LIGHT_SHARE,
        ),
        RemoveLabelTansform(-1, 0),
    ]
    if scales is not None:
        transforms.append(DownsampleSegForDSTransform(ds_scales=scales))
    return ComposeTransforms(transforms)


def make_trainer(plans: dict[str, object], dataset: dict[str, object], device: str, resumed: bool) -> Trainer:
    """The trainer itself, made directly: nnU-Net's class finder imports every trainer it knows."""
    return Trainer({**plans, "continue_training": resumed}, CONFIGURATION, 0, dataset, torch.device(device))
