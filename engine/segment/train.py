"""Stage `training`: one training of one strategy, phase by phase, with a record of every image that it saw."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.protocol import digest
from engine.segment.anatomy import BACKGROUND, TUMOUR, labels_of
from engine.segment.membership import TRAINED_ROLES
from engine.segment.model import SeenByFold, file_sha256
from engine.segment.nnunet import CONFIGURATION
from engine.segment.nnunet_plan import NAME_DIGITS, manifest_of, moved_plans, prepared_name, write_prepared
from engine.segment.nnunet_training import EpochResult, PhaseJob, PhaseResult, train_phase, write_slim
from engine.segment.strategies.phase import Phase
from engine.segment.strategies.registry import strategy_of
from engine.training_protocol import Train
from store.records import DeclinedError, SeenCase, TrainedModel, TrainingEpoch, TrainingMember, TrainingPlan
from store.sources import Lookup, TrainingUnit, Workspace
from store.volumes import AnatomyMasks, CtSeries, TrainedWeights

DATASETS = {"anatomy": "Dataset001_Anatomy", "tumour": "Dataset002_Tumour", "tumour_and_anatomy": "Dataset003_Both"}
PURPOSES = {
    "planning": "planned on",
    "pretraining": "pretrained on",
    "training": "trained on",
    "monitoring": "monitored",
}
USES = "uses"  # in a training's own folder: which prepared cases it goes on from


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """One trained model: its files, its cost, its learning curve, and what it saw."""

    weights: TrainedWeights
    model: tuple[TrainedModel, ...]
    epochs: tuple[TrainingEpoch, ...]
    seen: tuple[SeenCase, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Training:
    """What all phases of one training share."""

    unit: TrainingUnit
    plan: TrainingPlan
    members: tuple[TrainingMember, ...]
    images: Lookup[CtSeries]
    outlines: Lookup[AnatomyMasks]
    train: Train
    workspace: Workspace

    @property
    def plans(self) -> dict[str, object]:
        """nnU-Net's plans."""
        return dict(json.loads(self.plan.plans_json))

    def labels(self, kind: str) -> tuple[str, ...]:
        """Names of the labels of a phase in order of value."""
        anatomy = tuple(self.plan.labels.split(",")) if kind != "tumour" else ()
        return (BACKGROUND, *anatomy, *(() if kind == "anatomy" else (TUMOUR,)))

    def cases(self, role: str) -> tuple[TrainingMember, ...]:
        """The cases of a role in this fold."""
        return tuple(m for m in self.members if m.fold == self.unit.fold and m.role == role)


def train_model(
    unit: TrainingUnit,
    plan: tuple[TrainingPlan, ...],
    members: tuple[TrainingMember, ...],
    images: Lookup[CtSeries],
    outlines: Lookup[AnatomyMasks],
    train: Train,
    workspace: Workspace,
) -> Trained:
    """Train one strategy with one seed on one fold; goes on from its last finished epoch when it was stopped.

    The same inputs, torch build and thread count give the same weights when train.loader_processes is 0, stopped or
    not. Seconds are wall-clock and CPU time of the process and enter no key. ValueError when a case that is to be
    reported would be trained on; DeclinedError when a phase lacks cases, or cases lack structures that it labels.
    """
    training = _Training(unit, plan[0], members, images, outlines, train, workspace)
    phases = strategy_of(unit.strategy).phases(train)
    for phase in phases:
        _check_labelled(training, phase)
    refuse_reported(training.cases("reported"), [m for phase in phases for m in _used(training, phase)])
    _note_what_it_uses(training)
    epochs: list[TrainingEpoch] = []
    result: PhaseResult | None = None
    for phase in phases:
        result = _run_phase(training, phase, result.checkpoint if result else None)
        epochs += [_record(training, phase, epoch) for epoch in result.epochs]
    if result is None:
        raise ValueError(f"strategy {unit.strategy} must have a phase, got none")
    seen = _seen(training, phases)
    weights = _weights(training, phases[-1], result.checkpoint, seen)
    return Trained(weights, (_model(training, weights, epochs, result.device, seen),), tuple(epochs), seen)


def refuse_reported(reported: tuple[TrainingMember, ...], used: list[TrainingMember]) -> None:
    """ValueError when an image that is to be reported is among those used, whatever its case is called."""
    held_out = {member.content_sha256 for member in reported}
    both = [member for member in used if member.content_sha256 in held_out or member.role not in TRAINED_ROLES]
    if both:
        raise ValueError(f"cases to be reported must not be trained on, got {len(both)} that would be")


def _note_what_it_uses(training: _Training) -> None:
    """Leave the name of the prepared cases in the training's own folder, so that they are kept as long as it is."""
    training.workspace.own.mkdir(parents=True, exist_ok=True)
    (training.workspace.own / USES).write_text(training.plan.plans_sha256[:NAME_DIGITS], encoding="utf-8")


def _check_labelled(training: _Training, phase: Phase) -> None:
    """DeclinedError when cases of a phase lack a structure that it labels: an organ would be taught as background."""
    wanted = set(training.labels(phase.labels)) - {BACKGROUND, TUMOUR}
    used = _used(training, phase)
    lacks = [wanted - set(member.anatomy.split(",")) for member in used]
    lacking = sum(map(bool, lacks))
    if lacking:
        raise DeclinedError(
            f"{lacking} of the {len(used)} cases that {training.unit.strategy} would train on lack anatomical labels"
            f" ({', '.join(sorted(set.union(*lacks)))}), and an organ without its label would be taught as background:"
            " add label maps for them, or leave this strategy out"
        )


def _used(training: _Training, phase: Phase) -> tuple[TrainingMember, ...]:
    if phase.cases == "tumour_free":
        return training.cases("tumour_free")
    return (*training.cases("training"), *training.cases("monitored"))


def _split(training: _Training, phase: Phase) -> tuple[tuple[TrainingMember, ...], tuple[TrainingMember, ...]]:
    """The cases that a phase trains on and those it monitors; DeclinedError when there are too few."""
    if phase.cases == "training":
        parts = training.cases("training"), training.cases("monitored")
    else:
        free, kept_back = training.cases("tumour_free"), training.train.monitored_cases
        parts = free[kept_back:], free[:kept_back]
    if not parts[0]:
        raise DeclinedError(
            f"phase {phase.name} needs more than {training.train.monitored_cases} tumour-free cases with anatomical"
            f" labels, got {len(parts[1])}"
        )
    return parts


def _run_phase(training: _Training, phase: Phase, start_from: Path | None) -> PhaseResult:
    """Prepare the phase's cases and run or resume it; pretraining is done once for all folds of a seed."""
    prepared = training.workspace.shared / training.plan.plans_sha256[:NAME_DIGITS]
    trained_on, monitored = _split(training, phase)
    names = _prepare(training, phase, prepared)
    parts = tuple(names[member.case_id] for member in trained_on), tuple(names[m.case_id] for m in monitored)
    results = training.workspace.own / phase.name
    if phase.name == "pretraining":
        identity = [training.plan.plans_sha256, training.train.model_dump(mode="json"), *parts, training.unit.seed]
        results = prepared / "pretraining" / digest(identity)[:NAME_DIGITS]
    job = PhaseJob(
        prepared=prepared,
        results=results,
        dataset=DATASETS[phase.labels],
        labels=training.labels(phase.labels),
        trained_on=parts[0],
        monitored=parts[1],
        epochs=phase.epochs,
        seed=training.unit.seed,
        start_from=start_from,
    )
    with _alone(results):
        return train_phase(
            job,
            training.plans,
            training.train,
            lambda epoch: training.workspace.tell(_record(training, phase, epoch)),
        )


def _prepare(training: _Training, phase: Phase, prepared: Path) -> dict[str, str]:
    """nnU-Net's preprocessing of every case of a phase, kept for the other trainings of the study; names by case.

    A name is of image and labels: what was prepared before a contour was corrected is not found again.
    """
    dataset = DATASETS[phase.labels]
    plans = moved_plans(training.plans, dataset)
    names = training.labels(phase.labels)
    folder = prepared / dataset / f"{plans['plans_name']}_{CONFIGURATION}"
    known = {}
    for member in _used(training, phase):
        ct = training.images.load(member.case_id)
        labels = labels_of(training.outlines.load(member.case_id), names, ct)
        known[member.case_id] = prepared_name(ct, labels)
        write_prepared(folder, known[member.case_id], ct, labels, plans, names)
    return known


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder of checkpoints; another process that wants it waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _record(training: _Training, phase: Phase, epoch: EpochResult) -> TrainingEpoch:
    unit = training.unit
    return TrainingEpoch(
        strategy=unit.strategy,
        seed=unit.seed,
        fold=unit.fold,
        phase=phase.name,
        epoch=epoch.epoch + 1,
        epochs=phase.epochs,
        loss=epoch.loss,
        monitored_loss=epoch.monitored_loss,
        pseudo_dice=epoch.pseudo_dice,
        tumour_pseudo_dice=epoch.tumour_pseudo_dice,
        learning_rate=epoch.learning_rate,
        seconds=epoch.seconds,
        cpu_seconds=epoch.cpu_seconds,
    )


def _seen(training: _Training, phases: tuple[Phase, ...]) -> tuple[SeenCase, ...]:
    """Every image that this model saw and what for: planning, pretraining, training, monitoring."""
    purposes = [("planning", content) for content in training.plan.planned_on.split(",")]
    for phase in phases:
        trained_on, monitored = _split(training, phase)
        purposes += [(phase.name, member.content_sha256) for member in trained_on]
        purposes += [("monitoring", member.content_sha256) for member in monitored]
    unit = training.unit
    return tuple(SeenCase(unit.strategy, unit.seed, unit.fold, content, purpose) for purpose, content in purposes)


def seen_in_words(seen: tuple[SeenCase, ...]) -> str:
    """How many different images a model saw for what: "12 planned on, 22 trained on, 2 monitored, 36 in all"."""
    counts = {purpose: len({case.content_sha256 for case in seen if case.purpose == purpose}) for purpose in PURPOSES}
    parts = [f"{counts[purpose]} {words}" for purpose, words in PURPOSES.items() if counts[purpose]]
    return f"{', '.join(parts)}, {len({case.content_sha256 for case in seen})} in all"


def _weights(training: _Training, last: Phase, checkpoint: Path, seen: tuple[SeenCase, ...]) -> TrainedWeights:
    """The files of the model: slim weights, and a manifest that lists what it saw."""
    path = training.workspace.own / "weights.pt"
    write_slim(checkpoint, path)
    unit, sha256 = training.unit, file_sha256(path)
    manifest = manifest_of(
        training.plans,
        training.labels(last.labels),
        f"{unit.strategy}-s{unit.seed}-f{unit.fold}",
        f"images of a study: {seen_in_words(seen)}; fold {unit.fold + 1} of {training.train.folds}",
    )
    settings = {
        name: value if isinstance(value, int | float | str) else str(value)
        for name, value in training.train.model_dump(mode="json").items()
    }
    manifest = manifest.model_copy(
        update={
            "weights_sha256": sha256,
            "training": {**settings, "strategy": unit.strategy, "seed": unit.seed, "fold": unit.fold},
            "folds": (SeenByFold(weights_sha256=sha256, saw=tuple(sorted({case.content_sha256 for case in seen}))),),
        }
    )
    return TrainedWeights(manifest.model_dump_json(), np.frombuffer(path.read_bytes(), dtype=np.uint8))


def _model(
    training: _Training, weights: TrainedWeights, epochs: list[TrainingEpoch], device: str, seen: tuple[SeenCase, ...]
) -> TrainedModel:
    unit = training.unit
    trained_on = {case.content_sha256 for case in seen if case.purpose in ("pretraining", "training")}
    return TrainedModel(
        strategy=unit.strategy,
        seed=unit.seed,
        fold=unit.fold,
        weights_sha256=json.loads(weights.manifest_json)["weights_sha256"],
        plans_sha256=training.plan.plans_sha256,
        iterations=len(epochs) * training.train.iterations,
        cpu_seconds=sum(epoch.cpu_seconds for epoch in epochs),
        seconds=sum(epoch.seconds for epoch in epochs),
        device=device,
        threads=training.train.threads,
        cases=len(trained_on),
    )
