"""The perturbations of each preset, in explicit tuples: a new one is a file and a line here."""

from __future__ import annotations

from engine.perturb.combined import draw_combined
from engine.perturb.contour_randomisation import draw_contour
from engine.perturb.noise import draw_noise
from engine.perturb.plan import Draw, Planned
from engine.perturb.resampling import draw_slices, draw_voxels
from engine.perturb.ring_width import draw_ring
from engine.perturb.rotation import draw_rotation
from engine.perturb.translation import draw_translation
from engine.perturb.volume_adaptation import draw_volume
from engine.protocol import Perturb

RANDOM_METHODS: tuple[tuple[str, Draw], ...] = (
    ("rotation", draw_rotation),
    ("translation", draw_translation),
    ("noise", draw_noise),
    ("contour", draw_contour),
)
REPEATS = {"quick": 2, "full": 12}
COMBINED = {"quick": 0, "full": 7}


def planned(choices: Perturb) -> tuple[Planned, ...]:
    """The perturbations of the chosen preset in order, then ring widths and resampling settings."""
    if choices.preset == "none":
        return ()
    drawn = [
        Planned(f"{method}-{number}", "random", method, draw)
        for method, draw in RANDOM_METHODS
        for number in range(1, REPEATS[choices.preset] + 1)
    ]
    drawn += [
        Planned(f"combined-{number}", "random", "combined", draw_combined)
        for number in range(1, COMBINED[choices.preset] + 1)
    ]
    return (*drawn, *_fixed(choices), *_resampled(choices))


def _fixed(choices: Perturb) -> tuple[Planned, ...]:
    percents = choices.volume_quick_percent if choices.preset == "quick" else choices.volume_full_percent
    volumes = [Planned(f"volume{percent:+g}", "fixed", "volume", draw_volume(percent)) for percent in percents]
    rings = [
        Planned(f"ring{change:+g}", "fixed", "ring_width", draw_ring(change), ("peritumoural",))
        for change in choices.ring_changes_mm
    ]
    return (*volumes, *rings)


def _resampled(choices: Perturb) -> tuple[Planned, ...]:
    slices = [Planned(f"slices-{mm:g}", "resampling", "slices", draw_slices(mm)) for mm in choices.slices_mm]
    voxels = [Planned(f"voxels-{mm:g}", "resampling", "voxels", draw_voxels(mm)) for mm in choices.voxels_mm]
    return (*slices, *voxels)
