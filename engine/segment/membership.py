"""Stage `training_plan`: which case takes which part in which fold, and nnU-Net's plans, made once for all strategies.

The plans come from the tumour-free cases with their anatomy: their window of HU then holds lung as well as soft
tissue (a tumour alone would cut lung off at -432 HU), and no reported case was looked at. All strategies get the same
plans, so that windowing does not stand in for the strategy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.protocol import digest
from engine.segment.anatomy import BACKGROUND
from engine.segment.nnunet_plan import check_patch, fold_splits, make_plans
from engine.training_protocol import Train
from store.records import Cohort, DeclinedError, TrainableCase, TrainingMember, TrainingPlan
from store.sources import Lookup
from store.volumes import CaseFingerprint

FEWEST_TRAINED = 2
FEWEST_REPORTED = 2
TRAINED_ROLES = ("tumour_free", "training", "monitored")

Cases = tuple[tuple[str, TrainableCase], ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """The plans and the part of every case in every fold."""

    plan: tuple[TrainingPlan, ...]
    members: tuple[TrainingMember, ...]


def plan_training(cases: Cohort[TrainableCase], fingerprints: Lookup[CaseFingerprint], train: Train) -> Planned:
    """Split the cases and let nnU-Net plan.

    Cases stand in the order of their content's hash, so names decide nothing. One fold: a share of the tumour cases is
    reported. Several: nnU-Net's own cross-validation over them. Tumour-free cases are only planned and pretrained on;
    without any, plans come from the training cases, which cross-validation must not do. DeclinedError when there are
    too few cases, no anatomy, one image under two names, or a patch that the network cannot take.
    """
    ordered = tuple(sorted(cases.rows, key=lambda row: row[1].content_sha256))
    _check_distinct(ordered)
    free: Cases = tuple(row for row in ordered if row[1].tumour_ml == 0 and row[1].anatomy)
    tumours: Cases = tuple(row for row in ordered if row[1].tumour_ml > 0)
    members = [member for fold in range(train.folds) for member in _fold(fold, free, tumours, train)]
    planned_on = free or _training_cases(tumours, members, train)
    structures = _common_structures(planned_on)
    plans = make_plans([fingerprints.load(case) for case, _ in planned_on], (BACKGROUND, *structures), train)
    check_patch(plans, train)
    text = json.dumps(plans, sort_keys=True)
    plan = TrainingPlan(
        plans_json=text,
        labels=",".join(structures),
        planned_on=",".join(facts.content_sha256 for _, facts in planned_on),
        plans_sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    return Planned((plan,), tuple(members))


def _check_distinct(ordered: Cases) -> None:
    contents = [facts.content_sha256 for _, facts in ordered]
    if len(set(contents)) != len(contents):
        raise DeclinedError("two cases hold the same image: one could be trained on and the other reported")


def _fold(fold: int, free: Cases, tumours: Cases, train: Train) -> Iterable[TrainingMember]:
    """The parts of one fold."""
    contents = [facts.content_sha256 for _, facts in tumours]
    reported = _reported(contents, fold, train)
    left = [content for content in contents if content not in reported]
    if len(left) < FEWEST_TRAINED + train.monitored_cases or len(reported) < FEWEST_REPORTED:
        raise DeclinedError(
            f"training needs at least {FEWEST_TRAINED + train.monitored_cases} cases with a tumour to learn from and"
            f" {FEWEST_REPORTED} to report, got {len(left)} and {len(reported)}"
        )
    monitored = set(sorted(left, key=lambda content: digest(["monitored", content]))[: train.monitored_cases])
    for case, facts in tumours:
        content = facts.content_sha256
        role = "reported" if content in reported else "monitored" if content in monitored else "training"
        yield TrainingMember(fold, case, content, role, facts.anatomy)
    for case, facts in free:
        yield TrainingMember(fold, case, facts.content_sha256, "tumour_free", facts.anatomy)


def _reported(contents: Sequence[str], fold: int, train: Train) -> set[str]:
    """Hashes of the cases that a fold reports."""
    if train.folds == 1:
        ranked = sorted(contents, key=lambda content: digest(["reported", content]))
        return set(ranked[: round(train.held_out_share * len(contents))])
    if len(contents) < train.folds:
        raise DeclinedError(f"{train.folds} folds need as many cases with a tumour, got {len(contents)}")
    return set(fold_splits(contents, train.folds)[fold])


def _training_cases(tumours: Cases, members: Sequence[TrainingMember], train: Train) -> Cases:
    """Without tumour-free cases: the cases with anatomy that are trained on, none of them reported."""
    if train.folds > 1:
        raise DeclinedError(
            "cross-validation needs tumour-free cases to plan on: plans from the training cases would have seen every"
            " case; add some, or set train.folds = 1"
        )
    reported = {member.content_sha256 for member in members if member.role == "reported"}
    return tuple(row for row in tumours if row[1].content_sha256 not in reported and row[1].anatomy)


def _common_structures(cases: Cases) -> tuple[str, ...]:
    """The structures that every case has, in the order of the first."""
    if not cases:
        raise DeclinedError(
            "no case has anatomical labels: add label maps and name their values in anatomy.labels, or set"
            " anatomy.source to lungs"
        )
    shared = set.intersection(*(set(facts.anatomy.split(",")) for _, facts in cases))
    if not shared:
        raise DeclinedError("the anatomical labels of the cases have no structure in common")
    return tuple(name for name in cases[0][1].anatomy.split(",") if name in shared)
