"""Units and keys: which tasks a stage consists of in a run, and under which key each result is stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from engine.bench.reference_files import REFERENCES_ABSENT
from engine.protocol import Protocol, canonical_json, digest, without_paths
from engine.run.sources import case_identity, prior_identity, program_identity, reference_identity, table_identity
from engine.run.stage import (
    ALL_CASES,
    CARRIED_SUBSET,
    GATHERED,
    PRIOR_SUBSET,
    TRAINED_SUBSET,
    Input,
    Stage,
    inputs_of,
    producer_of,
)
from engine.segment.strategies.registry import total_epochs
from store.ledger import Ledger
from store.records import Verdict
from store.reviews import latest_verdicts
from store.source_list import Sources
from store.sources import (
    AnatomyProgram,
    CaseSource,
    ClinicalSource,
    ModelFile,
    PlantingNumber,
    PriorSource,
    ReferenceFiles,
    ResampleNumber,
    TrainingUnit,
    Verdicts,
)

COHORT_UNIT = ""
RESAMPLE_MARK = "#"


class MissingInputError(Exception):
    """A unit cannot be planned because an earlier stage gave no result for it; carries the reason in words."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that planning reads: the run, its pipeline and protocol, its sources, the model's hash."""

    run_id: str
    pipeline: tuple[Stage, ...]
    protocol: Protocol
    sources: Sources
    model_sha256: str
    same_as: dict[str, str] = field(default_factory=dict)  # key of a task -> key of an equal result it counts as
    by_case: dict[str, CaseSource] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_case", {case.case_id: case for case in self.sources.cases})


def resample_unit(number: int) -> str:
    """The unit of one bootstrap."""
    return f"{RESAMPLE_MARK}{number:05d}"


def units_of(plan: Plan, stage: Stage, ledger: Ledger) -> tuple[str, ...]:
    """The units of a stage: cases (all, with an earlier CT, or the perturbed), the cohort, resamples, or trainings."""
    if stage.cases == TRAINED_SUBSET and not plan.protocol.strategies.names:
        return ()
    if stage.cases == CARRIED_SUBSET and not plan.protocol.external.model:
        return ()
    if stage.unit == "training":
        return tuple(unit.text for unit in training_units(plan.protocol))
    if stage.unit == "cohort":
        return (COHORT_UNIT,)
    if stage.unit == "permutation":
        return tuple(resample_unit(b) for b in range(plan.protocol.self_test.repeats))
    if stage.unit == "planting":
        return tuple(resample_unit(b) for b in range(plan.protocol.detection.repeats))
    if stage.unit == "resample":
        return tuple(resample_unit(b) for b in range(plan.protocol.selection.resamples))
    if stage.cases == PRIOR_SUBSET:
        return tuple(source.case_id for source in plan.sources.cases if source.prior)
    cases = tuple(source.case_id for source in plan.sources.cases)
    return cases if stage.cases in (ALL_CASES, TRAINED_SUBSET) else perturbed_subset(plan, cases, ledger)


def training_units(protocol: Protocol) -> tuple[TrainingUnit, ...]:
    """Every training of a study, the longest strategies first so that none is left for last."""
    chosen = protocol.strategies
    order = sorted(chosen.names, key=lambda name: -total_epochs(name, protocol.train))
    return tuple(
        TrainingUnit(name, seed, fold)
        for seed in chosen.seeds
        for name in order
        for fold in range(protocol.train.folds)
    )


def perturbed_subset(plan: Plan, cases: tuple[str, ...], ledger: Ledger) -> tuple[str, ...]:
    """The random subset of cases to perturb, among cases with features: by seed and image, so that neither a case id
    nor a corrected mask moves another case in or out.
    """
    choices = plan.protocol.perturb
    if choices.preset == "none":
        return ()
    with_features = {unit for unit, _, state in ledger.placed(plan.run_id, "features") if state == "done"}
    images = {unit: key for unit, key, _ in ledger.placed(plan.run_id, "acquire")}
    order = {case: digest([plan.protocol.study.seed, images[case]]) for case in cases if case in with_features}
    ranked = sorted(order, key=lambda case: (order[case], case))
    return tuple(sorted(ranked[: choices.cases or None]))


def task_key(plan: Plan, stage: Stage, unit: str, ledger: Ledger) -> str:
    """The key of one task; MissingInputError says which earlier stage gave nothing."""
    inputs, sections = [], {}
    seeded = False
    for wanted in inputs_of(stage):
        if wanted.form == "section":
            name = section_name(plan.protocol, wanted.record_type)
            sections[name] = getattr(without_paths(plan.protocol), name).model_dump(mode="json")
        elif wanted.form == "generator":
            seeded = True
        elif wanted.form in ("workspace", "sharing"):
            continue
        else:
            inputs.append([wanted.parameter, input_identity(plan, stage, unit, wanted, ledger)])
    seed = plan.protocol.study.seed if seeded else None
    parts = {"step": stage.name, "version": stage.version, "inputs": inputs, "protocol": sections, "seed": seed}
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def section_name(protocol: Protocol, section: type) -> str:
    """The field of the protocol that holds a section type."""
    return next(name for name in type(protocol).model_fields if type(getattr(protocol, name)) is section)


def input_identity(plan: Plan, stage: Stage, unit: str, wanted: Input, ledger: Ledger) -> object:
    """What of one input enters the key: the keys of the tasks that made it, or the hashes of its files."""
    if wanted.form == "source":
        return _source_identity(plan, unit, wanted, ledger)
    if wanted.form == "model":
        return plan.model_sha256
    producer = producer_of(plan.pipeline, stage, wanted.record_type)
    if producer is None:
        return None
    if wanted.form in GATHERED:
        return _gathered_identity(plan, producer.stage, wanted, ledger)
    of_unit = unit if producer.stage.unit in ("case", "training") else COHORT_UNIT
    key, state = ledger.placed_unit(plan.run_id, producer.stage.name, of_unit)
    if state == "done":
        return plan.same_as.get(key, key)
    if wanted.optional:
        return None
    raise MissingInputError(_why(plan, producer.stage.name, ledger))


def _gathered_identity(plan: Plan, producer: Stage, wanted: Input, ledger: Ledger) -> object:
    """The keys of every finished task of a stage; missing where it gave none and somebody waits for it."""
    placed = ledger.placed(plan.run_id, producer.name)
    done = {u: plan.same_as.get(k, k) for u, k, state in placed if state == "done"}
    declined = any(state == "declined" for _, _, state in placed)
    if not done and (wanted.form in ("resamples", "trainings") or declined):
        raise MissingInputError(_why(plan, producer.name, ledger))
    return sorted(done.items())


def _why(plan: Plan, stage: str, ledger: Ledger) -> str:
    """The first reason of a chain of stages that gave nothing."""
    return ledger.why_missing(plan.run_id, stage) or f"needs {stage}, which gave no result"


def _source_identity(plan: Plan, unit: str, wanted: Input, ledger: Ledger) -> object:
    if wanted.record_type is CaseSource:
        return case_identity(plan.by_case[unit])
    if wanted.record_type is PriorSource:
        prior = plan.by_case[unit].prior
        return prior and prior_identity(prior)
    if wanted.record_type in (ResampleNumber, PlantingNumber):
        return int(unit.removeprefix(RESAMPLE_MARK))
    if wanted.record_type is TrainingUnit:
        return unit
    if wanted.record_type is Verdicts:
        return _verdicts_identity(ledger.verdicts(unit))
    if wanted.record_type is AnatomyProgram:
        return program_identity(plan.sources.program)
    if wanted.record_type in (ReferenceFiles, ModelFile):
        return _files_identity(plan, wanted)
    source = plan.sources.clinical if wanted.record_type is ClinicalSource else plan.sources.table
    if source is None:
        what = "a clinical table" if wanted.record_type is ClinicalSource else "a feature table"
        raise MissingInputError(f"needs {what}, and the study names none")
    return table_identity(source)


def _files_identity(plan: Plan, wanted: Input) -> object:
    if wanted.record_type is ModelFile:
        if plan.sources.model is None:
            raise MissingInputError("needs a model file, and the study names none")
        return plan.sources.model.sha256
    if plan.sources.references is None:
        raise MissingInputError(REFERENCES_ABSENT)
    return reference_identity(plan.sources.references)


def _verdicts_identity(rows: tuple[Verdict, ...]) -> list[list[str]]:
    """What of a case's verdicts can change a mask: last words, and none where nobody accepted or drew anything."""
    words = latest_verdicts(rows)
    return [_verdict_identity(v) for v in words] if any(v.judgement == "none" or v.drawn_key for v in words) else []


def _verdict_identity(verdict: Verdict) -> list[str]:
    """What of a verdict can change a mask; time and words cannot."""
    plain = [verdict.structure, verdict.reader, verdict.judgement, verdict.mask_key]
    special = [verdict.drawn_key, verdict.role, verdict.mode, str(verdict.reading)]
    return plain if special == ["", "reader", "work list", "1"] else [*plain, *special]
