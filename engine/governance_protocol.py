"""Why a study may hold its data, and until when: a section of study.toml of its own, which no stage reads."""

from __future__ import annotations

from datetime import date

from pydantic import Field, field_validator

from engine.section import Section


class Governance(Section):
    """Why the study may hold these data, and until when; texts for its holder, written into the paperwork."""

    approval_reference: str = Field("", description="reference of the ethics approval")
    legal_basis: str = Field("", description="legal basis of processing, such as consent or research exemption")
    opt_out_checked_on: str = Field("", description="YYYY-MM-DD: when opt-outs were last checked")
    retention_until: str = Field("", description="YYYY-MM-DD: when the data must be deleted")
    remind_days: int = Field(
        90, ge=0, le=3650, description="days before retention_until from which check and the pages say so"
    )

    @field_validator("opt_out_checked_on", "retention_until")
    @classmethod
    def _is_a_day(cls, day: str) -> str:
        if day and (len(day) != len("YYYY-MM-DD") or date.fromisoformat(day).isoformat() != day):
            raise ValueError(f"must be a day written YYYY-MM-DD, or empty, got {day!r}")
        return day
