"""All at once: noise, turned and shifted grid, another volume, a randomised contour (Zwanenburg 2019: NRTVC)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.perturb.contour_randomisation import draw_contour
from engine.perturb.noise import drawn_noise
from engine.perturb.plan import Context, Drawn, drawn_size
from engine.perturb.rotation import turned
from engine.perturb.translation import drawn_shift_mm
from engine.perturb.volume_adaptation import drawn_volume


def draw_combined(rng: np.random.Generator, context: Context) -> Drawn:
    """Each part drawn as it is alone, in this order."""
    noise = drawn_noise(rng, context)
    image = turned(drawn_size(rng, context.choices.rotation_degrees), context)
    x, y, z = drawn_shift_mm(rng, context)
    moved = replace(image, shift_x_mm=x, shift_y_mm=y, shift_z_mm=z)
    whole = replace(moved, noise_sd_hu=noise.noise_sd_hu, noise_seed=noise.noise_seed)
    return Drawn(whole, (drawn_volume(rng, context), *draw_contour(rng, context).steps))
