"""What every figure of the pages is: its title, how it was made, and what of it may leave the house.

A new figure is one line here. A figure that is not listed is withheld from aggregate exports.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from store.queries.study import RunFacts

SUMMARY = "summary"  # groups, features or resamples: as it is
PATIENTS = "patients"  # one point a patient: means of groups of patients
COUNTS = "counts"  # numbers of patients: those under five are suppressed
FLOW = "flow"  # the inclusion flow: numbers under five are suppressed
SURVIVAL = "survival"  # Kaplan-Meier: read once a month while five are at risk
ROC = "roc"  # ranks of patients: read at twenty points
DECISION = "decision"  # counts of patients by risk: read at every 10 %
ROWS = "rows"  # nothing of it can be told without single patients: withheld


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of the pages: page (its address), first letters of its key, title, kind, method sentence."""

    page: str
    key: str
    title: str
    kind: str
    method: str


OVERLAP = (
    "Masks were compared on the scan's own grid by volumetric DSC and by surface DSC (Nikolov) at {tolerance_mm:g} mm; "
    "a tumour that no predicted component touches is missed and scores 0."
)
ICC = (
    "Intraclass correlation of each feature over perturbed images and contours of {perturbed_cases} patients; a "
    "feature survives when the lower 95 % bound reaches {icc_threshold:g} in every declared family."
)
BOOTSTRAP = (
    "{resamples} bootstraps, each with its own reproducibility filter, mRMR ({schemes}, {mrmr_features} features) and "
    "recursive elimination by forests of {trees} trees, fitted on the drawn patients alone."
)
OUT_OF_BAG = (
    "{resamples} bootstraps; every step was fitted on the drawn patients and judged on those not drawn, weighted for "
    "censoring at {horizon_days} days."
)
SURVIVAL_METHOD = "Kaplan-Meier estimate of {endpoint} with log-log 95 % intervals."
INCIDENCE_METHOD = "Aalen-Johansen estimate of {endpoint} with death competing, 95 % intervals."
HELD_OUT = "Models were fitted on another study's patients and only applied here; DeLong on these held-out scores."
COMBAT = "Adjusted R² of each feature on the batch variable ({batch_variable})."
READING = "Readers judged the automatic outline in the browser; last signed words count."
TRAINED = "nnU-Net trained by each strategy with one plan and one budget, scored on cases that no training saw."

CATALOGUE: tuple[Entry, ...] = (
    Entry("cohort", "flow-inclusion", "Who is analysed", FLOW, "Cases of the study and where they left the analysis."),
    Entry(
        "cohort", "flow-outcome", "What happened to the patients", FLOW, "{endpoint}, counted at {horizon_days} days."
    ),
    Entry("cohort", "flow-", "Flow of the cases", FLOW, "Cases of the study and where they left the analysis."),
    Entry("home", "flow-", "Who is analysed", FLOW, "Cases of the study and where they left the analysis."),
    Entry("agreement", "driver-", "Agreement of masks against what drives it", PATIENTS, OVERLAP),
    Entry("agreement", "distribution", "How agreement is spread", COUNTS, OVERLAP),
    Entry("agreement", "curve", "Surface DSC and its tolerance", SUMMARY, OVERLAP),
    Entry("agreement", "location", "Agreement by place in the lung", PATIENTS, OVERLAP),
    Entry("agreement", "batch", "Agreement by scan", SUMMARY, OVERLAP + " Differences carry 90 % intervals."),
    Entry("agreement", "forest", "What makes a mask worse, all else kept", SUMMARY, OVERLAP + " Fractional logit."),
    Entry("agreement", "doubt", "What the model's doubt is worth", PATIENTS, "Expected DSC, learned on other cases."),
    Entry("agreement", "agreement-", "Where the mask is wrong", ROWS, "Distance between the two surfaces."),
    Entry("readers", "judgement-table", "What two readers said", COUNTS, READING),
    Entry("readers", "shares", "Correction needed", COUNTS, READING),
    Entry("strategies", "paired-dsc", "Training strategies on the same cases", PATIENTS, TRAINED),
    Entry("strategies", "curves", "How each training learned", SUMMARY, TRAINED),
    Entry("reproducibility", "heat", "Features that survive perturbation", SUMMARY, ICC),
    Entry("reproducibility", "icc-distribution", "How reproducible the features are", SUMMARY, ICC),
    Entry("reproducibility", "harm", "Which perturbation hurts", SUMMARY, ICC),
    Entry("reproducibility", "feature-", "One feature's values by patient", ROWS, ICC),
    Entry("batch", "batch-variance", "What scanners explain of the features", SUMMARY, COMBAT),
    Entry(
        "batch", "batch-plane", "Patients on the first two components", PATIENTS, "Principal components of features."
    ),
    Entry("conformance", "", "Our values against published references", SUMMARY, "References of the IBSI."),
    Entry("selection", "roi-share", "Where chosen features come from", SUMMARY, BOOTSTRAP),
    Entry("selection", "frequency", "The features kept most often", SUMMARY, BOOTSTRAP),
    Entry("selection", "stability", "How alike the chosen sets are", SUMMARY, BOOTSTRAP + " Nogueira stability."),
    Entry("selection", "", "What the resamples chose", SUMMARY, BOOTSTRAP),
    Entry("discrimination", "roc", "ROC of the models", ROC, OUT_OF_BAG),
    Entry("discrimination", "auc", "AUC of the models and its spread", SUMMARY, OUT_OF_BAG),
    Entry("discrimination", "calibration", "Predicted against observed risk", COUNTS, OUT_OF_BAG),
    Entry("discrimination", "decision", "What acting on the risks would be worth", DECISION, OUT_OF_BAG),
    Entry("discrimination", "subgroups", "The gain in groups of patients", SUMMARY, OUT_OF_BAG),
    Entry("external", "external", "Models made elsewhere, tested here", SUMMARY, HELD_OUT),
    Entry("survival", "incidence", "The event and death before it", SURVIVAL, INCIDENCE_METHOD),
    Entry("survival", "curves", "Time free of the event", SURVIVAL, SURVIVAL_METHOD),
    Entry("survival", "cox", "Clinical hazard ratios", SUMMARY, "Cox model of the declared clinical covariates."),
)
UNLISTED = Entry("", "", "", ROWS, "")


def entry_of(page: str, key: str) -> Entry:
    """The entry of a figure by the address of its page and its key; UNLISTED where there is none."""
    return next((e for e in CATALOGUE if e.page == page and key.startswith(e.key)), UNLISTED)


def method_of(entry: Entry, run: RunFacts) -> str:
    """How a figure was made, with the choices of its run."""
    return entry.method.format(**dataclasses.asdict(run))
