"""How many patients models of this size need, and the test of a radiomic block that was fixed beforehand."""

from __future__ import annotations

import numpy as np

from engine.analyse.clinical_coding import code_clinical
from engine.analyse.filters import in_signature
from engine.analyse.survival import timed_rows
from engine.protocol import SelectionProtocol
from engine.statistics.likelihood_ratio import cox_ratio, logistic_ratio
from engine.statistics.sample_size import cox_snell_from_nagelkerke, riley
from store.matrices import UNDETERMINED, DesignTable
from store.records import BlockTest, DeclinedError, SampleSizeNeed, SelectionSize

EVENTS_PER_PARAMETER = 5
COMPETING = 2


def sample_needs(size: SelectionSize, choices: SelectionProtocol) -> tuple[SampleSizeNeed, ...]:
    """Patients that Riley's criteria ask for, by model, at the study's share of events and the protocol's R squared."""
    prevalence = size.events / max(size.events + size.free, 1)
    if not 0 < prevalence < 1:
        return ()
    snell = cox_snell_from_nagelkerke(choices.expected_nagelkerke, prevalence)
    wanted = {
        "clinical": size.clinical_parameters,
        "clinical_volume": size.clinical_parameters + 1,
        "combined": size.clinical_parameters + size.kept,
    }
    return tuple(
        SampleSizeNeed(model, parameters, riley(parameters, prevalence, snell).needed, size.patients, size.events)
        for model, parameters in wanted.items()
        if parameters > 0
    )


def block_tests(table: DesignTable, choices: SelectionProtocol, locked: bool) -> tuple[BlockTest, ...]:
    """Likelihood-ratio test of clinical + volume + signature against clinical + volume; none without a signature.

    The signature must come from other patients (the runner refuses another). With times a Cox model, so that all
    patients count; else logistic. None too where there are fewer than five events a parameter, or the likelihood has
    no maximum; p is None before the plan is locked.
    """
    if not choices.signature:
        return ()
    timed = bool(timed_rows(table).any()) and not bool((table.event == COMPETING).any())
    rows = np.flatnonzero(timed_rows(table) if timed else table.label != UNDETERMINED)
    named = np.flatnonzero(in_signature(table, choices.signature))
    block = table.values[np.ix_(rows, named)]
    base = code_clinical(table, np.ones(len(table.case_ids), dtype=np.int64)).apply(table)[rows]
    if np.isfinite(table.volume_ml[rows]).all():
        base = np.column_stack([base, np.cbrt(table.volume_ml[rows])])
    happened = (table.event if timed else table.label)[rows] == 1
    if not np.isfinite(block).all() or happened.sum() < EVENTS_PER_PARAMETER * (base.shape[1] + named.size):
        return ()
    block = (block - block.mean(axis=0)) / np.where(block.std(axis=0) > 0, block.std(axis=0), 1.0)
    labels = happened.astype(np.float64)
    try:
        found = cox_ratio(base, block, table.days[rows], labels) if timed else logistic_ratio(base, block, labels)
    except DeclinedError:
        return ()
    p = found.p_value if locked else None
    kind = "Cox" if timed else "logistic"
    return (BlockTest(kind, named.size, found.statistic, found.degrees, p, rows.size, int(happened.sum())),)
