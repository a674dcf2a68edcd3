"""The clinical table, outcome, covariates and models from elsewhere; sections of the protocol."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.section import Section

ENDPOINTS = {
    "any-cause": "any-cause disease-free survival",
    "recurrence": "recurrence, death competing",
    "paper-censored": "recurrence, other deaths censored (as in the paper)",
    "paper-excluded": "recurrence, other deaths left out (as in the paper)",
}


class Clinical(Section):
    """The clinical tables and the day they count from."""

    files: tuple[str, ...] = Field((), description="clinical CSV files, joined on the id column of each")
    id: tuple[str, ...] = Field((), description="id column of each file, in the same order")
    time_zero: Literal["surgery", "start of radiotherapy", "scan", "diagnosis"] = Field(
        "surgery", description="day 0 of every day count"
    )
    treatment: str = Field("", description="how the patients were treated; shown where a model is tested elsewhere")


class External(Section):
    """A model made on another study, to be tested on this one's patients."""

    model: str = Field("", description="file of export-model, relative to study.toml or absolute; empty: none")


class Outcome(Section):
    """Which columns say what happened, the endpoint and its horizon."""

    kind: Literal["columns", "time", "binary", "none"] = Field(
        "none", description="columns of recurrence/death/contact; or one time + event; or a 0/1 column"
    )
    recurrence_days: str = Field("", description="column: days to recurrence, empty if none")
    death_days: str = Field("", description="column: days to death, empty if alive")
    cause: str = Field("", description="column: cause of death (cancer, other, unknown)")
    last_imaging_days: str = Field("", description="column: days to last imaging")
    last_contact_days: str = Field("", description="column: days to last contact")
    time: str = Field("", description="kind = time: column of days")
    event: str = Field("", description="kind = time or binary: column of the event")
    event_value: str = Field(
        "1",
        description="value of the event column that means event; its opposite (0 of 1, no of yes) means no event",
    )
    definition: Literal["any-cause", "recurrence", "paper-censored", "paper-excluded"] = Field(
        "any-cause",
        description="any-cause: first of recurrence and death; recurrence: death first competes; paper-censored: death "
        "first is censored; paper-excluded: those patients leave. All but any-cause need kind = columns",
    )
    undetermined: Literal["weights", "exclude"] = Field(
        "weights",
        description="censored before the horizon: weights of those followed longer stand for them; exclude: they leave "
        "(a sensitivity analysis, which raises the event rate)",
    )
    censored_by: str = Field(
        "",
        description="covariate (category or stage) whose levels are lost to follow-up at rates of their own: each has "
        "its own censoring curve; empty: one curve for all",
    )
    endpoint: str = Field(
        ENDPOINTS["any-cause"],
        description="name of the endpoint on every page; one of another definition is replaced by the definition's",
    )
    horizon_days: int = Field(730, gt=0, le=36500, description="days; two years")

    @model_validator(mode="before")
    @classmethod
    def _endpoint_fits(cls, values: object) -> object:
        """Name the endpoint after its definition unless the study gave it a name of its own."""
        if not isinstance(values, dict):
            return values
        definition, named = values.get("definition", "any-cause"), values.get("endpoint", ENDPOINTS["any-cause"])
        if definition in ENDPOINTS and named in ENDPOINTS.values():
            return {**values, "endpoint": ENDPOINTS[definition]}
        return values

    @model_validator(mode="after")
    def _definition_has_its_columns(self) -> Outcome:
        """Refuse a definition that tells recurrence from death where one composite column is all there is."""
        if self.definition != "any-cause" and self.kind != "columns":
            raise ValueError(
                f"outcome.definition must be any-cause with kind = {self.kind}, which does not tell recurrence from"
                f" death, got {self.definition}"
            )
        return self


class CovariateColumn(Section):
    """One column of the clinical table that may predict, and when it is known."""

    column: str
    kind: Literal["number", "category", "stage"] = "category"
    unit: str = ""
    when_known: Literal["preoperative", "at surgery", "postoperative"] = "preoperative"
    tnm_edition: str = ""
    tnm_prefix: Literal["", "c", "p"] = ""


class Covariates(Section):
    """The declared clinical predictors."""

    columns: tuple[CovariateColumn, ...] = Field((), description="the explicit list of clinical predictors")
    moment_of_prediction: Literal["preoperative", "at surgery", "postoperative"] = Field(
        "preoperative", description="columns known later are refused as predictors"
    )
