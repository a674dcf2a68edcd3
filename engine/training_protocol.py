"""The choices of training: anatomical labels, sizes, strategies; three sections of study.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.section import Section, Share


class Anatomy(Section):
    """Where anatomical labels for training come from."""

    source: Literal["label maps", "lungs", "totalsegmentator", "lungmask"] = Field(
        "label maps",
        description="label maps: <case>/anatomy.nii.gz or column anatomy of images.csv; lungs: outlined, else "
        "thresholded; totalsegmentator, lungmask: those programs, if installed with their weights",
    )
    labels: tuple[str, ...] = Field((), description="names of the values 1, 2, ... of the label maps")


class Train(Section):
    """How nnU-Net is trained; the defaults are nnU-Net's own 3d_fullres."""

    folds: int = Field(
        1, ge=1, le=10, description="1: one split by held_out_share; more: cross-validation over the tumour cases"
    )
    held_out_share: float = Field(
        0.4, gt=0, lt=1, description="of the cases with a tumour: reported, never trained on (folds = 1)"
    )
    monitored_cases: int = Field(
        2, ge=1, description="training cases kept back for the pseudo-Dice; nothing is chosen by it"
    )
    features: tuple[Annotated[int, Field(ge=1, le=512)], ...] = Field(
        (), description="channels of each stage of the U-Net; empty: as nnU-Net plans"
    )
    patch_zyx: tuple[Annotated[int, Field(ge=8, le=512)], ...] = Field(
        (), description="voxels z, y, x of a training patch; empty: as nnU-Net plans"
    )
    batch: int = Field(0, ge=0, le=64, description="patches an iteration; 0: as nnU-Net plans")
    epochs: int = Field(1000, ge=1, description="epochs of training on the tumour")
    pretraining_epochs: int = Field(1000, ge=1, description="epochs of pretraining on anatomy, where there is one")
    iterations: int = Field(250, ge=1, description="updates of the weights an epoch")
    monitoring_iterations: int = Field(50, ge=1, description="patches an epoch for the pseudo-Dice")
    optimiser: Literal["sgd", "adamw"] = Field(
        "sgd", description="sgd: Nesterov momentum 0.99 as nnU-Net; adamw; both fall as (1 - share done) ** 0.9"
    )
    learning_rate: float = Field(0.01, gt=0, le=1, description="at the first epoch")
    foreground_share: Share = Field(0.33, description="of a batch's patches that are centred on a label")
    tumour_share: Share = Field(
        0.67,
        description="of the patches centred on a label, those on the tumour; nnU-Net draws classes uniformly, which "
        "gives the tumour a sixth beside five organs",
    )
    augmentation: Literal["light", "full"] = Field(
        "full", description="light: noise and contrast; full: nnU-Net's; never mirrored, left and right are labels"
    )
    loader_processes: int = Field(
        8, ge=0, le=64, description="processes that cut patches; 0: none, and a resumed training repeats exactly"
    )
    threads: int = Field(1, ge=1, le=256, description="of torch; another number changes the last digits")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU when there is one")

    @model_validator(mode="after")
    def _can_be_trained(self) -> Train:
        """Refuse sizes for which nnU-Net's loss is not defined or its patches do not fit the network."""
        if 0 < len(self.features) < 3:
            raise ValueError(f"train.features needs three stages or none (as nnU-Net plans), got {len(self.features)}")
        if len(self.patch_zyx) not in (0, 3):
            raise ValueError(f"train.patch_zyx needs three sizes or none (as nnU-Net plans), got {self.patch_zyx}")
        stride = 2 ** (len(self.features) - 1) if self.features else 1
        if any(size % stride for size in self.patch_zyx):
            raise ValueError(f"train.patch_zyx must be multiples of {stride}, got {self.patch_zyx}")
        return self


class Strategies(Section):
    """Which training strategies are compared, how often; empty: nothing is trained."""

    names: tuple[Literal["tumour-only", "tumour-and-anatomy", "anatomy-pretraining", "tumour-only-long"], ...] = Field(
        (), description="engine/segment/strategies"
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((1, 2, 3), description="trainings of each strategy")
    parallel: int = Field(1, ge=1, le=64, description="trainings at the same time")
