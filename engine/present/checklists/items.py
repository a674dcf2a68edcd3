"""The items of CLEAR, METRICS and TRIPOD+AI in our own words, and the fact that answers each.

"author" is what only the author can say, "absent" what this program does not do.
"""

from __future__ import annotations

from engine.present.checklists.evidence import AUTHOR, FOUND, MISSING, Fact, Stored, facts_of
from engine.present.pack import Checklist, Item

CLEAR = "CLEAR, 58 items (Kocak et al., Insights Imaging 2023;14:75, doi 10.1186/s13244-023-01415-8, CC BY 4.0)."
METRICS = "METRICS, 30 items (Kocak et al., Insights Imaging 2024;15:8, doi 10.1186/s13244-023-01572-w, CC BY 4.0)."
TRIPOD = "TRIPOD+AI, 27 items (Collins et al., BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378, CC BY 4.0)."

CLEAR_ITEMS: tuple[tuple[str, str], ...] = (
    ("Title names the radiomic method", "author"),
    ("Structured abstract", "author"),
    ("Keywords", "author"),
    ("Clinical background", "author"),
    ("Why radiomics", "author"),
    ("Aims", "author"),
    ("Adherence to guidelines and checklists", "author"),
    ("Ethics: approval, consent, data protection", "ethics"),
    ("Sample size", "author"),
    ("Kind of study: retrospective, prospective, registered", "author"),
    ("Eligibility", "author"),
    ("Flow of the technical steps", "configuration"),
    ("Source of the data", "author"),
    ("Overlap with data published before", "author"),
    ("How data were split", "partition"),
    ("Imaging protocol", "scans"),
    ("Definition of non-radiomic predictors", "covariates"),
    ("Definition of outcome and reference standard", "outcome"),
    ("Segmentation strategy", "segmentation"),
    ("Who segmented, and their experience", "author"),
    ("Image preprocessing", "preprocessing"),
    ("Resampling and its method", "preprocessing"),
    ("Grey-level discretisation", "discretisation"),
    ("Image types and filters", "features"),
    ("Method of feature extraction", "software"),
    ("Feature classes", "features"),
    ("Number of features", "features"),
    ("All other settings, or that they are defaults", "configuration"),
    ("Missing data", "missing_data"),
    ("Class imbalance", "imbalance"),
    ("Reliability of segmentation", "robust"),
    ("Scaling of features", "models"),
    ("Reduction of dimensions", "selection"),
    ("Algorithm of the model", "models"),
    ("Training and tuning", "selection"),
    ("Confounders", "confounders"),
    ("Choice of the model", "partition"),
    ("How the model was tested", "partition"),
    ("Performance metrics and why", "performance"),
    ("Uncertainty", "uncertainty"),
    ("Statistical comparison of performance", "against_clinical"),
    ("Comparison with non-radiomic and combined models", "against_clinical"),
    ("Interpretability", "author"),
    ("Baseline characteristics", "baseline"),
    ("Flow of eligibility", "flow"),
    ("Statistics of features: reproducibility, selection", "stability"),
    ("Performance", "performance"),
    ("Comparison with non-radiomic and combined models, results", "against_clinical"),
    ("Main findings", "author"),
    ("Earlier work and differences", "author"),
    ("Practical implications", "author"),
    ("Strengths and limits", "author"),
    ("Images and segmentations shared", "author"),
    ("Feature data shared", "author"),
    ("Preprocessing scripts or settings shared", "configuration"),
    ("Source code of modelling shared", "author"),
    ("Final model shared", "author"),
    ("Ready-to-use system", "absent"),
)

METRICS_ITEMS: tuple[tuple[str, str], ...] = (
    ("Adherence to radiomics or machine learning checklists", "author"),
    ("Eligibility that describes a representative population", "author"),
    ("Reference standard of high quality, clearly defined", "author"),
    ("Several centres", "author"),
    ("Imaging that clinics can translate", "author"),
    ("Imaging protocol with acquisition parameters", "scans"),
    ("Interval between imaging and reference standard", "author"),
    ("Segmentation method described", "segmentation"),
    ("Automatic segmentation formally evaluated", "overlap"),
    ("Test masks by one reader or an automatic tool", "segmentation"),
    ("Image preprocessing appropriate and described", "preprocessing"),
    ("Standardised extraction software", "software"),
    ("Extraction parameters reported", "configuration"),
    ("Features that are not robust removed", "robust"),
    ("Redundant features removed", "selection"),
    ("Number of features fits the data", "dimension"),
    ("Robustness of end-to-end deep learning", "absent"),
    ("Proper partition of data", "partition"),
    ("Confounders handled", "confounders"),
    ("Appropriate performance metrics", "performance"),
    ("Uncertainty", "uncertainty"),
    ("Calibration", "calibration"),
    ("One imaging parameter, or proof that it is inferior", "author"),
    ("Comparison with a non-radiomic approach", "against_clinical"),
    ("Comparison with simple or classical models", "against_clinical"),
    ("Internal testing", "partition"),
    ("External testing", "author"),
    ("Data available", "author"),
    ("Code available", "author"),
    ("Model available", "author"),
)

TRIPOD_ITEMS: tuple[tuple[str, str], ...] = (
    ("Title", "author"),
    ("Abstract", "author"),
    ("Background: context, target population, known inequalities", "author"),
    ("Objectives", "author"),
    ("Sources and dates of the data", "author"),
    ("Participants: setting, eligibility, treatment", "author"),
    ("Preparation of the data", "preprocessing"),
    ("Outcome: definition, horizon, assessors, blinding", "outcome"),
    ("Predictors: choice, definition, when known", "covariates"),
    ("Sample size", "author"),
    ("Missing data", "missing_data"),
    ("Analysis: partition, model building, performance measures", "partition"),
    ("Class imbalance", "imbalance"),
    ("Fairness", "author"),
    ("What the model gives out", "models"),
    ("Differences between development and evaluation data", "author"),
    ("Ethical approval", "ethics"),
    ("Open science: funding, interests, protocol, registration, sharing", "plan"),
    ("Involvement of patients and public", "author"),
    ("Flow and characteristics of participants", "flow"),
    ("Participants and events in each analysis", "sample"),
    ("Full specification of the model", "author"),
    ("Performance with intervals", "performance"),
    ("Updating of the model", "author"),
    ("Interpretation", "author"),
    ("Limits", "author"),
    ("Usability in current care", "author"),
)


def checklists_of(stored: Stored) -> tuple[Checklist, ...]:
    """The three checklists filled in from a run."""
    facts = facts_of(stored)
    sources = (("CLEAR", CLEAR, CLEAR_ITEMS), ("METRICS", METRICS, METRICS_ITEMS), ("TRIPOD+AI", TRIPOD, TRIPOD_ITEMS))
    return tuple(Checklist(name, source, _filled(items, facts)) for name, source, items in sources)


def _filled(items: tuple[tuple[str, str], ...], facts: dict[str, Fact]) -> tuple[Item, ...]:
    return tuple(
        Item(str(number), topic, facts[name].state, facts[name].text, facts[name].page)
        for number, (topic, name) in enumerate(items, start=1)
    )


def open_sentence(checklist: Checklist) -> str:
    """How far a checklist is filled in; no score."""
    states = [item.state for item in checklist.items]
    return (
        f"{checklist.name}: evidence was found for {states.count(FOUND)} of {len(states)} items, "
        f"{states.count(MISSING)} are missing, {states.count(AUTHOR)} need the author."
    )
