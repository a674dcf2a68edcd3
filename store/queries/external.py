"""Questions about models carried from one study to another."""

from __future__ import annotations

from store.queries.answers import ask, ask_record
from store.records import (
    MODELS,
    CarriedModel,
    ExternalAspect,
    ExternalComparison,
    ExternalPrediction,
    ExternalSummary,
    FinalModel,
)
from store.snapshot import Snapshot


def _place(model: str) -> int:
    return MODELS.index(model) if model in MODELS else len(MODELS)


def final_models(snapshot: Snapshot, run_id: str) -> tuple[FinalModel, ...]:
    """The arms fitted on all patients, in the order of MODELS."""
    return tuple(
        sorted(ask_record(snapshot, FinalModel, "final_model", run_id, "model"), key=lambda m: _place(m.model))
    )


def carried_model(snapshot: Snapshot, run_id: str) -> CarriedModel | None:
    """What is known of the model that was tested here, without its coefficients; None where none was."""
    sql = "SELECT study, n, events, arms, '' AS \"text\" FROM carried_model WHERE run_id = ?"
    found = ask(snapshot, CarriedModel, sql, (run_id,))
    return found[0] if found else None


def external_summaries(snapshot: Snapshot, run_id: str) -> tuple[ExternalSummary, ...]:
    """Every arm on this study's patients, in the order of MODELS."""
    found = ask_record(snapshot, ExternalSummary, "external_summary", run_id, "model")
    return tuple(sorted(found, key=lambda row: _place(row.model)))


def external_comparisons(snapshot: Snapshot, run_id: str) -> tuple[ExternalComparison, ...]:
    """Every pair of arms that was compared on this study's patients."""
    return ask_record(snapshot, ExternalComparison, "external_comparison", run_id, "base, extended")


def external_predictions(snapshot: Snapshot, run_id: str) -> tuple[ExternalPrediction, ...]:
    """The risk of every patient by every arm."""
    return ask_record(snapshot, ExternalPrediction, "external_prediction", run_id, "model, case_id")


def external_aspects(snapshot: Snapshot, run_id: str) -> tuple[ExternalAspect, ...]:
    """What the model was made for beside this study."""
    return ask_record(snapshot, ExternalAspect, "external_aspect", run_id, "aspect")
