"""Drafts of the papers that a study needs: a data protection assessment and a card of its model, facts filled in."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from engine.protocol import Governance, Protocol, read_protocol
from engine.segment.model import find_model, read_manifest
from store.access import accounts
from store.tombstones import tombstones

TO_FILL = "_to be filled in by the holder of the study_"


def write_paperwork(study: Path, to: Path) -> tuple[Path, ...]:
    """Write `data_protection_assessment.md` and, where the study names a model, `model_card.md`; returns the files."""
    to.mkdir(parents=True, exist_ok=True)
    protocol = read_protocol(study)
    texts = {"data_protection_assessment.md": assessment_text(study, protocol)}
    if protocol.segment.model:
        texts["model_card.md"] = model_card_text(protocol)
    for name, text in texts.items():
        (to / name).write_text(text, "utf-8")
    return tuple(to / name for name in texts)


def assessment_text(study: Path, protocol: Protocol) -> str:
    """A draft after Article 35 GDPR: what is processed and why, need, risks, measures; gaps are marked."""
    governance = protocol.governance
    roles = [account.role for account in accounts(study)]
    counted = ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles)) or "no accounts: this computer"
    return "\n".join(
        [
            f"# Data protection assessment: {protocol.study.name}",
            "",
            "Draft. Cohortscope fills in what it knows; a person answers for the rest.",
            "",
            "## Processing",
            "- Data: chest CT, outlines, clinical table (health data, Article 9).",
            f"- Case ids: {'shown as they are' if protocol.study.public_ids else 'keyed pseudonyms; key apart'}.",
            f"- Legal basis: {governance.legal_basis or TO_FILL}",
            f"- Approval: {governance.approval_reference or TO_FILL}",
            f"- Opt-outs last checked: {governance.opt_out_checked_on or TO_FILL}",
            f"- Deletion by: {governance.retention_until or TO_FILL}",
            f"- Purpose: disease-free survival by {protocol.outcome.endpoint}, from {protocol.clinical.time_zero}.",
            "",
            "## Necessity and proportion",
            f"- Covariates: {', '.join(c.column for c in protocol.covariates.columns) or 'none'}.",
            "- Dates are refused; days from time zero are kept. Free text and identifiers as categories are refused.",
            f"- Why less would not do: {TO_FILL}",
            "",
            "## Risks",
            "- Recognition by face or body shape in full-resolution CT; by rare outcomes in small groups.",
            "- Loss of the private folder's key; sign-in accounts that outlive their reason.",
            f"- Others: {TO_FILL}",
            "",
            "## Measures",
            f"- Accounts: {counted}. Roles are asked for on every action; reads of images are audited.",
            f"- Withdrawals so far: {len(tombstones(study))}. Removal covers results, copies and snapshots.",
            "- Disk encryption, backup of the private folder, HTTPS: the administrator's.",
            f"- Contact of the data protection officer: {TO_FILL}",
            "",
        ]
    )


def model_card_text(protocol: Protocol) -> str:
    """A draft of a model card for the study's segmentation model; ValueError where the model is not registered."""
    model = find_model(protocol.segment.model)
    manifest = read_manifest(Path(model.manifest_path))
    seen = len({image for fold in manifest.folds for image in fold.saw})
    return "\n".join(
        [
            f"# Model card: {manifest.name}",
            "",
            f"- sha256: {model.sha256}",
            f"- Network: {manifest.architecture.network}, labels {', '.join(manifest.labels)}",
            f"- Trained on: {manifest.trained_on} ({seen or 'an unknown number of'} images listed by hash)",
            f"- Intended use: research on segmentation in the study {protocol.study.name}; not a medical device.",
            "- Not for: diagnosis, planning, or patients unlike those it was trained on.",
            "- How well it does here: page Agreement (against independent references only).",
            f"- Groups in which it does worse: {TO_FILL}",
            f"- Who answers for it: {TO_FILL}",
            "",
        ]
    )


def retention_note(governance: Governance, today: str) -> str:
    """What is to be said of the retention date on a day (both YYYY-MM-DD); empty when it is far off or not set."""
    if not governance.retention_until:
        return ""
    left = _days(governance.retention_until) - _days(today)
    if left < 0:
        return f"The data of this study were to be deleted by {governance.retention_until}."
    return f"The data must be deleted in {left} days." if left <= governance.remind_days else ""


def _days(day: str) -> int:
    return date.fromisoformat(day).toordinal()
