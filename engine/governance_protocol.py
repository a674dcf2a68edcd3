"""Why a study may hold its data, and until when: a section of study.toml of its own, which no stage reads."""

from __future__ import annotations

from pydantic import Field

from engine.section import Section


class Governance(Section):
    """Why the study may hold these data, and until when; texts for its holder, shown to administrators."""

    approval_reference: str = Field("", description="reference of the ethics approval")
    legal_basis: str = Field("", description="legal basis of processing, such as consent or research exemption")
    opt_out_checked_on: str = Field(
        "", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="YYYY-MM-DD: when opt-outs were last checked"
    )
    retention_until: str = Field(
        "", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="YYYY-MM-DD: when the data must be deleted"
    )
    remind_days: int = Field(90, ge=0, le=3650, description="days before retention_until from which check says so")
