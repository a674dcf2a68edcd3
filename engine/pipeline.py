"""The study on one screen: the stages in order. Nothing else decides order; each signature says what it reads."""

from __future__ import annotations

from engine.acquire.anatomy import read_label_maps
from engine.acquire.carried import read_carried
from engine.acquire.clinical import read_clinical
from engine.acquire.feature_table import read_feature_table
from engine.acquire.further import read_further_masks
from engine.acquire.prior import read_prior
from engine.acquire.read import acquire
from engine.analyse.association import associate
from engine.analyse.candidates import candidates
from engine.analyse.doubt import estimate_doubt
from engine.analyse.external import validate
from engine.analyse.feature_batches import compare_batches
from engine.analyse.final import run_on_all
from engine.analyse.imported import tabulate_import
from engine.analyse.imported_reproducibility import reproduce_import
from engine.analyse.planted import plant_gains
from engine.analyse.prognosis import compare_models
from engine.analyse.reproducibility import reproduce
from engine.analyse.resample import resample
from engine.analyse.selection import summarise_selection
from engine.analyse.self_test import permute_outcomes
from engine.analyse.strategies import compare_strategies
from engine.analyse.table import tabulate
from engine.bench.study_conformance import conform_study
from engine.measure.agreement import measure_agreement
from engine.measure.description import describe_tumour
from engine.measure.extraction import extract_features, extract_perturbed, name_features
from engine.measure.reader_overlap import compare_readers
from engine.measure.regions import delineate_regions
from engine.perturb.perturbation import perturb_masks
from engine.review.feature_masks import choose_feature_masks
from engine.run.stage import CARRIED_SUBSET, PERTURBED_SUBSET, PRIOR_SUBSET, TRAINED_SUBSET, Stage
from engine.segment.anatomy import label_anatomy
from engine.segment.embedding import embed_regions, name_embeddings
from engine.segment.membership import plan_training
from engine.segment.scoring import score_model
from engine.segment.second_lungs import second_lungs
from engine.segment.segmentation import segment
from engine.segment.train import train_model

IMAGE_STUDY: tuple[Stage, ...] = (
    Stage("acquire", 7, "case", acquire),
    Stage("clinical", 4, "cohort", read_clinical),
    Stage("prior", 3, "case", read_prior, PRIOR_SUBSET),
    Stage("segment", 8, "case", segment),
    Stage("review", 4, "case", choose_feature_masks),
    Stage("further", 3, "case", read_further_masks),
    Stage("agreement", 3, "case", measure_agreement),
    Stage("readers", 5, "case", compare_readers),
    Stage("doubt", 3, "cohort", estimate_doubt),
    Stage("description", 4, "case", describe_tumour),
    Stage("association", 2, "cohort", associate),
    Stage("regions", 4, "case", delineate_regions),
    Stage("embedding_names", 1, "cohort", name_embeddings),
    Stage("embeddings", 2, "case", embed_regions),
    Stage("names", 1, "cohort", name_features),
    Stage("features", 5, "case", extract_features),
    Stage("second_lungs", 1, "case", second_lungs, PERTURBED_SUBSET),
    Stage("perturb", 5, "case", perturb_masks, PERTURBED_SUBSET),
    Stage("perturbed_features", 6, "case", extract_perturbed, PERTURBED_SUBSET),
    Stage("conform", 1, "cohort", conform_study),
    Stage("reproducibility", 3, "cohort", reproduce),
    Stage("batch", 2, "cohort", compare_batches),
    Stage("table", 6, "cohort", tabulate),
    Stage("candidates", 2, "cohort", candidates),
    Stage("resample", 6, "resample", resample),
    Stage("selection", 2, "cohort", summarise_selection),
    Stage("final", 2, "cohort", run_on_all),
    Stage("prognosis", 5, "cohort", compare_models),
    Stage("carried", 1, "cohort", read_carried, CARRIED_SUBSET),
    Stage("external", 2, "cohort", validate, CARRIED_SUBSET),
    Stage("label_maps", 2, "case", read_label_maps, TRAINED_SUBSET),
    Stage("anatomy", 2, "case", label_anatomy, TRAINED_SUBSET),
    Stage("training_plan", 2, "cohort", plan_training, TRAINED_SUBSET),
    Stage("training", 2, "training", train_model, TRAINED_SUBSET),
    Stage("trained_overlap", 2, "training", score_model, TRAINED_SUBSET),
    Stage("strategies", 2, "cohort", compare_strategies, TRAINED_SUBSET),
)
TRAINING_STAGES = ("acquire", "label_maps", "anatomy", "training_plan", "training", "trained_overlap", "strategies")

TABLE_STUDY: tuple[Stage, ...] = (
    Stage("clinical", 4, "cohort", read_clinical),
    Stage("imported", 2, "cohort", read_feature_table),
    Stage("reproducibility", 2, "cohort", reproduce_import),
    Stage("table", 4, "cohort", tabulate_import),
    Stage("candidates", 2, "cohort", candidates),
    Stage("resample", 6, "resample", resample),
    Stage("selection", 2, "cohort", summarise_selection),
    Stage("final", 2, "cohort", run_on_all),
    Stage("prognosis", 5, "cohort", compare_models),
    Stage("carried", 1, "cohort", read_carried, CARRIED_SUBSET),
    Stage("external", 2, "cohort", validate, CARRIED_SUBSET),
)

SELF_TEST = Stage("self_test", 2, "permutation", permute_outcomes)  # run on demand, by `self-test`
PLANTED = Stage("planted", 2, "planting", plant_gains)  # run on demand, by `detectable`

MEASURE_ENDS = {"acquire": "acquire", "segment": "segment", "review": "review", "measure": "features"}


def pipeline_of(kind: str) -> tuple[Stage, ...]:
    """The stages of a study of images or of a table."""
    return TABLE_STUDY if kind == "table" else IMAGE_STUDY


def every_stage(kind: str) -> tuple[Stage, ...]:
    """As `pipeline_of`, with what is run on demand only."""
    return (*pipeline_of(kind), SELF_TEST, PLANTED)


def self_test_pipeline(kind: str) -> tuple[Stage, ...]:
    """The stages up to the selection's start, and the self-test in place of the bootstraps."""
    return (*until(pipeline_of(kind), "candidates"), SELF_TEST)


def planted_pipeline(kind: str) -> tuple[Stage, ...]:
    """The stages up to the selection's start, and the planted gains in place of the bootstraps."""
    return (*until(pipeline_of(kind), "candidates"), PLANTED)


def training_pipeline() -> tuple[Stage, ...]:
    """The stages of an image study that training and comparing models needs, in their order."""
    return tuple(stage for stage in IMAGE_STUDY if stage.name in TRAINING_STAGES)


def until(pipeline: tuple[Stage, ...], name: str) -> tuple[Stage, ...]:
    """The stages up to and including a stage or a phase (acquire, segment, review, measure); ValueError if unknown."""
    if not name:
        return pipeline
    last = MEASURE_ENDS.get(name, name)
    names = [stage.name for stage in pipeline]
    if last not in names:
        raise ValueError(f"--until takes one of {sorted({*names, *MEASURE_ENDS})}, got {name!r}")
    return pipeline[: names.index(last) + 1]
