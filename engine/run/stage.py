"""A stage is a plain function; its signature is its declaration. Here signatures are read, nothing is computed."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.section import Section
from store.records import Cohort, Resamples
from store.sources import (
    AnatomyProgram,
    CaseSource,
    ClinicalSource,
    FeatureTableSource,
    Lookup,
    ModelFile,
    PlantingNumber,
    PriorSource,
    ReferenceFiles,
    ResampleNumber,
    Sharing,
    Trainings,
    TrainingUnit,
    Verdicts,
    Workspace,
)
from store.volumes import ArrayRecord, CtSeries, MaskSet

Unit = Literal["case", "cohort", "resample", "permutation", "planting", "training"]
Form = Literal[
    "one",
    "many",
    "cohort",
    "lookup",
    "resamples",
    "trainings",
    "section",
    "generator",
    "source",
    "workspace",
    "sharing",
    "model",
]
SOURCES = (
    AnatomyProgram,
    CaseSource,
    ClinicalSource,
    FeatureTableSource,
    ModelFile,
    PlantingNumber,
    PriorSource,
    ReferenceFiles,
    ResampleNumber,
    TrainingUnit,
    Verdicts,
)
FORMS: dict[object, Form] = {
    tuple: "many",
    Cohort: "cohort",
    Lookup: "lookup",
    Resamples: "resamples",
    Trainings: "trainings",
}
GATHERED = ("cohort", "lookup", "resamples", "trainings")
ALL_CASES = "all"
PERTURBED_SUBSET = "perturbed"
PRIOR_SUBSET = "prior"  # those with an earlier CT
TRAINED_SUBSET = "trained"  # none unless the study names training strategies
CARRIED_SUBSET = "carried"  # none unless the study names a model made elsewhere


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the study: its name, its version (rises whenever its numbers may change), its unit, its function."""

    name: str
    version: int
    unit: Unit
    function: Callable[..., object]
    cases: str = ALL_CASES


@dataclass(frozen=True, slots=True)
class Output:
    """One artifact a stage makes: field of its result, artifact kind, what it holds."""

    field: str
    kind: str
    record_type: type


@dataclass(frozen=True, slots=True)
class Input:
    """One parameter of a stage: where it comes from and whether it may be missing."""

    parameter: str
    form: Form
    record_type: type
    optional: bool


@functools.cache
def outputs_of(stage: Stage) -> tuple[Output, ...]:
    """The artifacts of a stage, read from the dataclass it returns."""
    returned = typing.get_type_hints(stage.function)["return"]
    hints = typing.get_type_hints(returned)
    found = []
    for field in dataclasses.fields(returned):
        hint = hints[field.name]
        record_type = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
        found.append(Output(field.name, f"{stage.name}.{field.name}", record_type))
    return tuple(found)


@functools.cache
def inputs_of(stage: Stage) -> tuple[Input, ...]:
    """The inputs of a stage, read from its parameters; TypeError names a parameter that nothing can fill."""
    hints = typing.get_type_hints(stage.function)
    return tuple(_input(stage, name, hint) for name, hint in hints.items() if name != "return")


def _input(stage: Stage, name: str, hint: object) -> Input:
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        optional = True
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    form, record_type = _form(hint)
    if record_type is None:
        raise TypeError(f"stage {stage.name}: nothing produces parameter {name}: {hint}")
    return Input(name, form, record_type, optional)


def _form(hint: object) -> tuple[Form, type | None]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in FORMS:
        return FORMS[origin], arguments[0]
    if not isinstance(hint, type):
        return "one", None
    return _plain_form(hint), hint if _plain_form(hint) else None


def _plain_form(hint: type) -> Form:
    if hint is np.random.Generator:
        return "generator"
    if issubclass(hint, Section):
        return "section"
    if hint in SOURCES:
        return "source"
    if hint is Workspace:
        return "workspace"
    if hint is Sharing:
        return "sharing"
    if issubclass(hint, CtSeries | MaskSet | ArrayRecord):
        return "one"
    return "model"


@dataclass(frozen=True, slots=True)
class Producer:
    """Which stage and output make a record type."""

    stage: Stage
    output: Output


def producer_of(pipeline: tuple[Stage, ...], consumer: Stage, record_type: type) -> Producer | None:
    """The earlier stage whose output has exactly this type, or None; ValueError when two do."""
    found = []
    for stage in pipeline:
        if stage.name == consumer.name:
            break
        found += [Producer(stage, o) for o in outputs_of(stage) if o.record_type is record_type]
    if len(found) > 1:
        raise ValueError(f"{record_type.__name__} is made by {[f.stage.name for f in found]}; one maker only")
    return found[0] if found else None


def check_pipeline(pipeline: tuple[Stage, ...]) -> None:
    """Raise ValueError naming stage and parameter when something is read that nothing before it makes."""
    for stage in pipeline:
        for wanted in inputs_of(stage):
            needs_producer = wanted.form in ("one", "many", *GATHERED)
            if needs_producer and not wanted.optional and producer_of(pipeline, stage, wanted.record_type) is None:
                raise ValueError(f"stage {stage.name} reads {wanted.record_type.__name__}, made by no stage before it")
