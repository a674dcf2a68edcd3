"""The door to nnU-Net's training: one phase of one training, resumed where it was stopped."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.segment.nnunet import default_device, load_safely, save_slim, tensors_of, threads
from engine.segment.nnunet_plan import dataset_json, moved_plans, nnunet_folders
from engine.training_protocol import Train

if TYPE_CHECKING:  # only the process that trains imports torch
    import torch

    from engine.segment.nnunet_trainer import Trainer

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class PhaseJob:
    """One phase of a training: folders, data set, labels in order of value, cases by name, epochs, seed."""

    prepared: Path  # data sets of prepared cases
    results: Path  # checkpoints of this phase
    dataset: str
    labels: tuple[str, ...]
    trained_on: tuple[str, ...]
    monitored: tuple[str, ...]
    epochs: int
    seed: int
    start_from: Path | None = None  # a checkpoint of an earlier phase


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one epoch came to; losses are nnU-Net's (Dice + cross-entropy, lowest -1), pseudo-Dice in 0..1 or None."""

    epoch: int
    loss: float
    monitored_loss: float
    pseudo_dice: float | None
    tumour_pseudo_dice: float | None
    learning_rate: float
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """A finished phase: its last checkpoint, every epoch in order, and the device."""

    checkpoint: Path
    epochs: tuple[EpochResult, ...]
    device: str


def train_phase(job: PhaseJob, plans: Json, train: Train, tell: Callable[[EpochResult], None]) -> PhaseResult:
    """Run or go on with one phase; `tell` hears of every epoch when it is over.

    A phase that was finished before is read back. The prepared cases lie in the folder of the job's data set.
    """
    from engine.segment import nnunet_trainer as heavy

    device = default_device() if train.device == "auto" else train.device
    described = dataset_json(job.labels, len(job.trained_on))
    with contextlib.ExitStack() as stack:
        stack.enter_context(nnunet_folders(job.prepared, job.results, train.loader_processes))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(threads(train.threads))
        trainer = heavy.make_trainer(moved_plans(plans, job.dataset), described, device, resumed=True)
        trainer.prepare(train, job.epochs, job.seed, (job.trained_on, job.monitored), lambda t: tell(epoch_of(t, -1)))
        final = Path(trainer.output_folder) / heavy.FINAL
        if not trainer.resume() and job.start_from is not None:
            trainer.take_over(weights_in(job.start_from))
        if not final.exists():
            _write_fingerprint(trainer)
            trainer.run_training()
    done = tuple(epoch_of(trainer, number) for number in range(job.epochs))
    return PhaseResult(final, done, device)


def _write_fingerprint(trainer: Trainer) -> None:
    """nnU-Net copies a fingerprint beside its results; ours is in the plans, so an empty one stands for it."""
    folder = Path(trainer.preprocessed_dataset_folder_base)
    (folder / "dataset_fingerprint.json").write_text("{}", encoding="utf-8")


def epoch_of(trainer: Trainer, number: int) -> EpochResult:
    """One logged epoch by its number, -1 the last."""
    from engine.segment import nnunet_trainer as heavy

    by_class = trainer.logged("dice_per_class_or_region", number)
    tumour = trainer.dataset_json["labels"].get("tumour")
    return EpochResult(
        epoch=number if number >= 0 else trainer.current_epoch,
        loss=trainer.logged("train_losses", number)[0],
        monitored_loss=trainer.logged("val_losses", number)[0],
        pseudo_dice=_or_none(trainer.logged("mean_fg_dice", number)[0]),
        tumour_pseudo_dice=None if tumour is None else _or_none(by_class[tumour - 1]),
        learning_rate=trainer.logged("lrs", number)[0],
        seconds=trainer.logged("epoch_end_timestamps", number)[0] - trainer.logged("epoch_start_timestamps", number)[0],
        cpu_seconds=trainer.logged(heavy.CPU_SECONDS, number)[0],
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def weights_in(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The named weights of a checkpoint of ours, read without running anything."""
    content = load_safely(checkpoint)["network_weights"]
    if not isinstance(content, Mapping):
        raise ValueError(f"a checkpoint must hold named weights, got {type(content).__name__}")
    return dict(tensors_of(content))


def write_slim(checkpoint: Path, path: Path) -> None:
    """Write the weights of a checkpoint once each, as float16."""
    save_slim(weights_in(checkpoint), path)
