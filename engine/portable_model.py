"""The file of a fitted model: everything another place needs to predict, by name, and whom it was fitted on.

Numbers and names alone: reading one runs no code of it, and an unknown field is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.records import RefusedError

ROLE = "model file"
LARGEST_BYTES = 200_000_000


class Part(BaseModel):
    """A frozen part of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PortableNumber(Part):
    """A clinical number: missing takes the median, then standardised; a column more where training had gaps."""

    kind: Literal["number"] = "number"
    column: str
    median: float
    mean: float
    spread: float = Field(gt=0)
    indicator: bool


class PortableLevels(Part):
    """A clinical category: one 0/1 column a level; null is the level of missing values."""

    kind: Literal["levels"] = "levels"
    column: str
    levels: tuple[str | None, ...]


class PortableFeature(Part):
    """A feature by its name parts; missing takes the median, then standardised."""

    roi: str
    image_type: str
    feature_class: str
    feature: str
    median: float
    mean: float
    spread: float = Field(gt=0)


class PortableColumns(Part):
    """The columns of a model in their order: clinical, cube root of volume (mean, spread), features."""

    clinical: tuple[Annotated[PortableNumber | PortableLevels, Field(discriminator="kind")], ...] | None
    volume: tuple[float, float] | None
    features: tuple[PortableFeature, ...] | None


class PortableConstant(Part):
    """Everybody has the training risk."""

    kind: Literal["constant"] = "constant"
    probability: float = Field(ge=0, le=1)


class PortableLogistic(Part):
    """Intercept first."""

    kind: Literal["logistic"] = "logistic"
    columns: PortableColumns
    coefficients: tuple[float, ...]


class PortableOffset(Part):
    """Added to the log odds of another model."""

    kind: Literal["offset"] = "offset"
    base: PortableLogistic | PortableConstant
    columns: PortableColumns
    coefficients: tuple[float, ...]


class PortableTrees(Part):
    """Nodes of trees (trees, nodes); column -1 is a leaf, a row goes left when its value <= threshold."""

    kind: Literal["forest"] = "forest"
    columns: PortableColumns
    column: tuple[tuple[int, ...], ...]
    left: tuple[tuple[int, ...], ...]
    right: tuple[tuple[int, ...], ...]
    threshold: tuple[tuple[float, ...], ...]
    event_share: tuple[tuple[float, ...], ...]


class PortableHazard(Part):
    """A Cox model of the columns numbered in `varying`, centred on `mean`, with its baseline."""

    kind: Literal["cox"] = "cox"
    columns: PortableColumns
    varying: tuple[int, ...]
    coefficients: tuple[float, ...]
    mean: tuple[float, ...]
    times: tuple[float, ...]
    cumulative_hazard: tuple[float, ...]
    horizon_days: int


PortableLearner = Annotated[
    PortableConstant | PortableLogistic | PortableOffset | PortableTrees | PortableHazard, Field(discriminator="kind")
]


class PortableArm(Part):
    """One model: how it predicts, its columns' training median of risk, and how it did where it was made."""

    model: str
    learner: PortableLearner
    median: float
    out_of_bag_auc: float | None = None


class Setting(Part):
    """What the model was made for; what differs elsewhere is shown."""

    study: str
    endpoint: str
    definition: str
    horizon_days: int
    time_zero: str
    treatment: str
    moment_of_prediction: str
    recipe: str  # JSON of the sections features, grid and rois; of a table study "imported"


class TrainingPatients(Part):
    """Whom it was fitted on, so that he is not taken for a new patient: keyed hashes of ids and feature values."""

    n: int
    events: int
    sha256: str
    key: int
    ids: tuple[str, ...]
    names: tuple[str, ...]
    prints: tuple[tuple[int, ...], ...]


class PortableModel(Part):
    """A model file."""

    format: Literal["cohortscope-model-1"] = "cohortscope-model-1"
    setting: Setting
    training: TrainingPatients
    arms: tuple[PortableArm, ...]


def read_model_text(text: str) -> PortableModel:
    """A model from its JSON; RefusedError names the field that breaks a law."""
    try:
        return PortableModel.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        text = f"{place}: {first['msg']}."
        raise RefusedError("bad_model", ROLE, text, "Give a file that `export-model` wrote.") from None


def read_model(path: Path) -> PortableModel:
    """A model file; RefusedError where it is absent, too large or not one."""
    if not path.is_file() or path.stat().st_size > LARGEST_BYTES:
        raise RefusedError("no_model", ROLE, "the file is absent or too large.", "Give a file of `export-model`.")
    return read_model_text(path.read_text(encoding="utf-8", errors="replace"))


def merged(models: tuple[PortableModel, ...], study: str, out_of_bag: dict[str, float]) -> PortableModel:
    """One file of several arms fitted on the same patients, with the study's name and their out-of-bag AUCs."""
    arms = tuple(
        arm.model_copy(update={"out_of_bag_auc": out_of_bag.get(arm.model)}) for model in models for arm in model.arms
    )
    setting = models[0].setting.model_copy(update={"study": study})
    return models[0].model_copy(update={"setting": setting, "arms": arms})
