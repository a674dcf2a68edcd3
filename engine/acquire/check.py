"""The gate on every case of a study: what is let in, what is refused and why, what is said aloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.acquire.clinical import read_clinical, refused_rows
from engine.acquire.discover import clinical_source, discover, feature_table_source, refusal_of
from engine.acquire.feature_table import read_feature_table
from engine.acquire.prior import read_prior
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.read import acquire
from engine.protocol import Protocol, read_protocol
from store.records import Flag, Refusal, RefusedError
from store.sources import CaseSource


@dataclass(frozen=True, slots=True)
class RefusedInput:
    """One refused input; path is the real one, for the holder's terminal only."""

    case: str
    code: str
    file: str
    message: str
    remedy: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class FlaggedInput:
    """One thing the gate let in but says aloud; case is empty where it is about a table."""

    case: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Case ids let in, inputs refused, and what was flagged."""

    accepted: tuple[str, ...]
    refused: tuple[RefusedInput, ...]
    flagged: tuple[FlaggedInput, ...]


def check(directory: Path) -> CheckResult:
    """Read every case of a study in full and judge it; nothing is stored but pseudonyms and content hashes.

    ValueError where study.toml is absent or breaks a law.
    """
    protocol = read_protocol(directory)
    pseudonyms = Pseudonyms(directory, public_ids=protocol.study.public_ids)
    if protocol.study.kind == "table":
        return _check_table(directory, protocol, pseudonyms)
    images, patients = check_images(directory, protocol, pseudonyms)
    clinical = _check_clinical(directory, protocol, patients)
    return CheckResult(images.accepted, (*images.refused, *clinical.refused), (*images.flagged, *clinical.flagged))


def check_images(
    directory: Path, protocol: Protocol, pseudonyms: Pseudonyms
) -> tuple[CheckResult, tuple[tuple[str, str], ...]]:
    """The gate on every case of the protocol's image folder; and the (patient, case) pairs, for tables to be joined."""
    found = discover(directory, protocol, pseudonyms)
    accepted: list[str] = []
    refused = [_refused(one) for one in found.refusals]
    flagged: list[FlaggedInput] = []
    for source in found.cases:
        try:
            case = acquire(source, protocol.images, protocol.acquire)
            flags = case.flags
            if source.prior:
                flags += read_prior(source.prior, case.ct, protocol.acquire).flags
        except RefusedError as error:
            refused.append(_refused(refusal_of(source.case_id, error), _path_of(source, error.file)))
        else:
            accepted.append(source.case_id)
            flagged += [_flagged(source.case_id, flag) for flag in flags]
    return CheckResult(tuple(accepted), tuple(refused), tuple(flagged)), found.patients


def with_refusal(result: CheckResult, error: RefusedError) -> CheckResult:
    """A result whose study is refused as a whole: nobody is accepted."""
    return CheckResult((), (_refused(refusal_of("", error)), *result.refused), result.flagged)


def check_lines(result: CheckResult) -> list[str]:
    """A result as lines for a terminal."""
    lines = [f"{len(result.accepted)} cases accepted"]
    for refused in result.refused:
        where = f" [{refused.path}]" if refused.path else ""
        who = refused.case or "study"
        lines.append(f"refused {who}: {refused.code}: {refused.file}: {refused.message} {refused.remedy}{where}")
    lines += [f"flagged {f.case or 'study'}: {f.code}: {f.message} {f.remedy}" for f in result.flagged]
    return lines


def _check_table(directory: Path, protocol: Protocol, pseudonyms: Pseudonyms) -> CheckResult:
    try:
        source = feature_table_source(directory, protocol, pseudonyms)
        imported = read_feature_table(source, protocol.features_table)
    except RefusedError as error:
        return CheckResult((), (_refused(refusal_of("", error)),), ())
    clinical = _check_clinical(directory, protocol, source.cases)
    accepted = tuple(sorted(set(imported.features.case_ids)))
    left_out = tuple(
        FlaggedInput("", "column_left_out", text, "Name it in features_table.columns if it is a feature.")
        for text in imported.features.dropped
    )
    own = tuple(_flagged("", flag) for flag in imported.flags)
    return CheckResult(accepted, clinical.refused, (*own, *left_out, *clinical.flagged))


def _check_clinical(directory: Path, protocol: Protocol, patients: tuple[tuple[str, str], ...]) -> CheckResult:
    try:
        source = clinical_source(directory, protocol, patients)
        if source is None:
            return CheckResult((), (), ())
        table = read_clinical(source, protocol.clinical, protocol.outcome, protocol.covariates, protocol.eligibility)
        rows = refused_rows(source, protocol.clinical, protocol.outcome)
    except RefusedError as error:
        return CheckResult((), (_refused(refusal_of("", error)),), ())
    codes = {row.code for row in rows}
    flags = tuple(_flagged("", flag) for flag in table.flags if flag.code not in codes)
    return CheckResult((), tuple(_refused(row) for row in rows), flags)


def _refused(refusal: Refusal, path: str = "") -> RefusedInput:
    return RefusedInput(refusal.case_id, refusal.code, refusal.file, refusal.message, refusal.remedy, path)


def _flagged(case_id: str, flag: Flag) -> FlaggedInput:
    return FlaggedInput(case_id, flag.code, flag.message, flag.remedy)


def _path_of(source: CaseSource, role: str) -> str:
    return next((file.path for file in source.files if file.role == role), "")
