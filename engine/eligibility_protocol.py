"""Who may enter the analysis by treatment and by the age of the scan; a section of the protocol."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.section import Section

Rule = Literal["exclude", "keep"]


class Eligibility(Section):
    """A rule for each thing that changes what a scan can say; every one is counted in the inclusion flow.

    A patient in whom a column is empty stays in and is counted as unknown.
    """

    yes: tuple[str, ...] = Field(
        ("yes", "y", "true", "1", "r1", "r2", "positive", "involved"),
        description="values (any case) of the columns below that mean yes; other filled cells mean no",
    )
    neoadjuvant: str = Field("", description="column: treated before surgery")
    neoadjuvant_rule: Rule = Field("exclude", description="the scan may not show the tumour that was resected")
    adjuvant: str = Field("", description="column: treated after surgery; known later, never a predictor")
    adjuvant_rule: Rule = Field("keep", description="keep: part of what follows the prediction")
    margins: str = Field("", description="column: resection margins involved (R1, R2)")
    margins_rule: Rule = Field("exclude", description="without complete resection there is no disease-free state")
    early_death_days: int = Field(90, ge=0, le=365, description="days; death up to it is postoperative mortality")
    early_death_rule: Rule = Field("keep", description="keep: an event of the endpoint; exclude: sensitivity")
    scan_days: str = Field("", description="column: day of the CT counted as scan_sign says")
    scan_sign: Literal["from time zero", "before time zero"] = Field(
        "from time zero", description="from time zero: a scan before it is negative; before time zero: positive"
    )
    longest_scan_days: int = Field(60, ge=1, le=365, description="days from CT to time zero, more are too many")
    strict_scan_days: int = Field(30, ge=1, le=365, description="days, for the count of a sensitivity analysis")
    scan_rule: Rule = Field("exclude", description="of older scans, and of scans after time zero")

    @model_validator(mode="after")
    def _strict_is_shorter(self) -> Eligibility:
        """Refuse a strict bound beyond the bound itself."""
        if self.strict_scan_days > self.longest_scan_days:
            raise ValueError(
                f"eligibility.strict_scan_days must not exceed longest_scan_days, got {self.strict_scan_days} and"
                f" {self.longest_scan_days}"
            )
        return self
