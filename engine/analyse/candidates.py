"""What the selection starts from, and whether it may start at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analyse.clinical_coding import clinical_parameters
from engine.analyse.feature_batches import refusal
from engine.analyse.stack import FEWEST_PATIENTS, declared_families
from engine.protocol import Batch, Reproducibility, SelectionProtocol
from store.matrices import UNDETERMINED, DesignTable
from store.records import DeclinedError, SelectionSize

EVENTS_PER_PARAMETER = 10


@dataclass(frozen=True, slots=True)
class Candidates:
    """Output of the candidates stage: one row."""

    sizes: tuple[SelectionSize, ...]


def candidates(table: DesignTable, choices: SelectionProtocol, rules: Reproducibility, batch: Batch) -> Candidates:
    """Events, parameters and the number of features to keep: max(1, min(most_kept, events // 10 - parameters)).

    DeclinedError under the protocol's fewest events or non-events, without any feature, or where ComBat is asked for
    and cannot be fitted.
    """
    events, free = int((table.label == 1).sum()), int((table.label == 0).sum())
    if min(events, free) < choices.fewest_events:
        raise DeclinedError(
            f"prognosis needs {choices.fewest_events} patients with and without the event by {table.horizon_days} days,"
            f" got {events} and {free}"
        )
    if not table.features:
        raise DeclinedError("prognosis needs features, got none")
    if batch.combat:
        _refuse_batches(table, batch)
    parameters = clinical_parameters(table)
    tested = np.isfinite(table.perturbed_values[:, 1:]).any(axis=(0, 1)) if table.perturbed_rows.size else np.zeros(0)
    size = SelectionSize(
        patients=len(table.case_ids),
        events=events,
        free=free,
        undetermined=int((table.label == UNDETERMINED).sum()),
        clinical_parameters=parameters,
        features=len(table.features),
        tested_features=int(tested.sum()),
        mrmr_features=choices.mrmr_features,
        kept=max(1, min(choices.most_kept, events // EVENTS_PER_PARAMETER - parameters)),
        icc_filter=_filter_state(table, choices, rules),
    )
    return Candidates((size,))


def _refuse_batches(table: DesignTable, batch: Batch) -> None:
    reason = refusal(table.batches, batch.smallest) if table.batches else "the study has no images to read batches from"
    if reason:
        raise DeclinedError(
            f"ComBat on {batch.variable} cannot be fitted: {reason}. Set batch.combat = false, name another "
            "batch.variable, or lower batch.smallest"
        )


def _filter_state(table: DesignTable, choices: SelectionProtocol, rules: Reproducibility) -> str:
    if not choices.icc_filter:
        return "off: the protocol does not ask for it"
    if table.perturbed_rows.size == 0:
        return "off: no perturbed or repeated measurements"
    if table.perturbed_rows.size < FEWEST_PATIENTS:
        return f"off: only {table.perturbed_rows.size} perturbed patients"
    if not declared_families(table.perturbed_families, rules):
        return f"off: no family of reproducibility.families ({', '.join(rules.families)}) was tested"
    return ""
