"""Records of a small measured cohort: vectors, perturbed vectors, masks, overlaps, shapes, scans."""

import numpy as np

from store.records import (
    Acquisition,
    Covariate,
    FeatureMask,
    FeatureName,
    FeatureVector,
    Location,
    Morphology,
    Outcome,
    Overlap,
    PerturbedFeatureVector,
    PerturbedMask,
)

OK, DEGENERATE, NO_LUNGS = 0, 1, 4


def names(count):
    return tuple(FeatureName("set", i, "original", "firstorder", f"feature{i}") for i in range(count))


def vector(values, roi="intratumoural", status=OK):
    values = np.asarray(values, dtype=np.float64)
    return FeatureVector(roi, "none", "set", values, np.full(values.size, status, np.uint8))


def perturbed_vector(values, perturbation, roi="intratumoural"):
    values = np.asarray(values, dtype=np.float64)
    return PerturbedFeatureVector(roi, perturbation, "set", values, np.zeros(values.size, np.uint8))


def perturbed_mask(perturbation, family="random", roi="intratumoural", tested=True):
    return PerturbedMask(roi, perturbation, family, "rotation", "{}", 0.9, 0.0, tested)


def outcome(case, label, days=None, event=None):
    return Outcome(case, "surgery", None, None, "none", None, None, days, event, True, label, "")


def covariate(case, name, number=None, category=None, when="preoperative"):
    return Covariate(case, name, "number" if category is None else "category", "", when, number, category)


def feature_mask(source="reference"):
    return FeatureMask("tumour", source, "independent", "reader")


def morphology(volume=10.0, sphericity=0.7, diameter=30.0, source="reference"):
    return Morphology("intratumoural", source, volume, 1.0, sphericity, diameter, 1.0, 1.0, 9, False)


def overlap(dsc, missed=False, comparison="agreement", surface=None):
    surface = dsc if surface is None else surface
    return Overlap(
        "tumour", "reader", "automatic", comparison, dsc, surface, 2.0, surface, surface, None, None, 0.0, None,
        missed, "wrong_place" if missed else "found", 0,
    )  # fmt: skip


def location(side="left", contact=False, source="reference", share=0.0):
    place = (source, side, "upper", "", 1.0, 0.0, share, 0.0, 0.0, 0.0, False, contact, contact, contact)
    return Location(*place, costal_contact_share=share)


def acquisition(contrast="yes", kernel="soft", thickness=3.0, manufacturer="A", vendor="Siemens"):
    return Acquisition(
        *(
            "nifti",
            manufacturer,
            "",
            "",
            kernel,
            contrast,
            "",
            thickness,
            120.0,
            1.0,
            1.0,
            3.0,
            10,
            10,
            10,
            None,
            "",
            0,
        ),
        vendor=vendor,
    )
