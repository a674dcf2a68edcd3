"""What the pages Reproducibility and Batches say."""

from engine.present.wording.batch import association_answer, icc_answer, variance_answer
from engine.present.wording.reproducibility import (
    downstream_answer,
    falls_answer,
    feature_answer,
    harm_answer,
    reproducibility_answer,
)
from store.queries.batch import IccBesideCombat
from store.queries.reproducibility import ClassCount, Family, FeatureIcc, ImageFall, Reading, SurvivalShare
from store.records import BatchLevel, BatchOutcome, BatchVariance, PerturbationEffect

READING = Reading("deciding", 0.75)
FAMILIES = (Family("random", True), Family("fixed", True), Family("readers", False))


def plain(text):
    """A sentence with its no-break spaces made plain."""
    return text.replace("\u00a0", " ")


def test_the_answer_names_share_threshold_declared_families_and_what_was_not_tested():
    shares = [
        SurvivalShare("intratumoural", "original", "glcm", 10, 4, 2, 0),
        SurvivalShare("whole_lung", "original", "glcm", 0, 0, 0, 10),
    ]
    said = plain(reproducibility_answer(shares, READING, FAMILIES))
    assert "**40 %** of intratumoural (4 of 10)" in said
    assert "0.75 in random perturbations and fixed settings." in said
    assert "2 features of them are constant" in said
    assert said.endswith("Not tested: whole lung.")
    assert "in other readers and models." in reproducibility_answer(shares, Reading("icc21", 0.9, "readers"), FAMILIES)


def test_images_are_named_in_the_order_in_which_they_fall():
    falls = [ImageFall("intratumoural", "square", 0.2, 1, 93, 0), ImageFall("peritumoural", "original", 0.9, 80, 93, 0)]
    said = falls_answer(falls)
    assert "**square** of intratumoural (1 of 93 survive)" in said
    assert "last **original** of peritumoural (80 of 93 survive)" in said
    assert falls_answer([]) == "No image was tested."


def effect(name, below, implausible=0):
    return PerturbationEffect("intratumoural", name, "random", "noise", 8, 10, below, 0.5, 0.9, 0.4, 0.0, implausible)


def test_the_worst_perturbation_is_named_and_implausible_masks_are_counted():
    said = harm_answer([effect("noise-1", 2), effect("contour-1", 7, 3)])
    assert said.startswith("**contour-1** hurts intratumoural most: alone it takes 7 of 10")
    assert "3 masks of all perturbations differ so much" in said
    assert "No mask differs" in harm_answer([effect("noise-1", 2)])


def test_a_feature_that_a_few_patients_carry_is_said_so():
    row = FeatureIcc(
        *("intratumoural", "original", "glcm", "Contrast", "random", 50, 9, "ICC(1,1)", 0.9, 0.85, 0.94, 0.5, 0.47),
        *(True, 0.12, 3.4, "good", True),
    )
    said = plain(feature_answer(row))
    assert "ICC(1,1) **0.90** (95 % CI 0.85 to 0.94, good)" in said
    assert "**they disagree**" in said
    assert "varies by 12 % of its mean; two measurements of a patient differ by less than 3.4 in 95 %." in said


def test_another_threshold_is_a_look_and_no_change_of_the_selection():
    counts = [ClassCount("glcm", "intratumoural", 5, 24)]
    assert "Each bootstrap of the selection asks the same" in downstream_answer(counts, READING, 0.75)
    assert "This is a look" in downstream_answer(counts, Reading("deciding", 0.9), 0.75)
    assert "This is a look" in downstream_answer(counts, Reading("icc31", 0.75), 0.75)


LEVELS = [BatchLevel("kernel", "soft", 40, 10, 30), BatchLevel("kernel", "sharp", 20, 18, 2)]


def test_outcome_that_goes_with_the_scanner_is_said_first_and_plainly():
    said = association_answer(BatchOutcome("kernel", 2, 60, 0.59, True, True, ""), LEVELS)
    assert said.startswith("**Outcome goes with kernel** (Cramér's V **0.59**, n = 60)")
    assert "soft 40, 10 events, sharp 20, 18 events" in said
    assert "takes outcome out with it" in said
    unknown = association_answer(BatchOutcome("kernel", 2, 0, None, False, True, ""), LEVELS)
    assert unknown.endswith("cannot be said: no outcome is known.")


def test_variance_is_said_without_and_with_combat_or_why_it_was_not_fitted():
    rows = [BatchVariance("kernel", "intratumoural", "original", "glcm", f"f{i}", 60, 2, 0.2, 0.0) for i in range(4)]
    outcome = BatchOutcome("kernel", 2, 60, 0.1, False, True, "")
    said = plain(variance_answer(rows, outcome))
    assert "of **100 %** of the features (4 of 4); after ComBat of **0 %** (0 of 4)" in said
    bare = [BatchVariance("kernel", "intratumoural", "original", "glcm", "f", 60, 2, 0.2, None)]
    refused = BatchOutcome("kernel", 2, 60, 0.1, False, False, "fewer than 5 patients in: sharp")
    assert "ComBat could not be fitted: fewer than 5 patients in: sharp." in variance_answer(bare, refused)


def test_the_icc_beside_combat_gives_both_counts():
    said = icc_answer([IccBesideCombat("kernel", "intratumoural", "random", 10, 1967, 900, 850)], 0.75)
    assert "**900** times without and **850** times with ComBat on kernel" in said
