"""Sizes of training by name: from minutes on two cores to nnU-Net's own on a GPU. A study may name any other."""

from __future__ import annotations

from engine.training_protocol import Train

# Fixed on phantoms of other seeds than any that is reported (notes of the project, 2026-11): AdamW at 3e-3 and light
# augmentation learn most in few iterations; foreground patches on the tumour, or it is never found.
TOY = Train(
    features=(8, 16, 32, 64),
    patch_zyx=(32, 56, 56),
    batch=2,
    epochs=20,
    pretraining_epochs=20,
    iterations=30,
    monitoring_iterations=4,
    optimiser="adamw",
    learning_rate=3e-3,
    foreground_share=0.9,
    tumour_share=0.67,
    augmentation="light",
    loader_processes=0,
    monitored_cases=2,
    device="cpu",
)

PRESETS: dict[str, Train] = {"toy": TOY, "3d_fullres": Train()}
