"""The perturbations of each preset, in an explicit tuple: a new one is a file and a line here."""

from __future__ import annotations

from engine.perturb.contour_randomisation import draw_contour
from engine.perturb.noise import draw_noise
from engine.perturb.plan import Draw, Planned
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
QUICK_REPEATS = 2


def planned(choices: Perturb) -> tuple[Planned, ...]:
    """The perturbations of the chosen preset in order; quick: two of each random method, and the volume both ways."""
    if choices.preset == "none":
        return ()
    drawn = tuple(
        Planned(f"{method}-{number}", "random", method, draw)
        for method, draw in RANDOM_METHODS
        for number in range(1, QUICK_REPEATS + 1)
    )
    percent = f"{choices.volume_percent:g}"
    grown = Planned(f"volume+{percent}", "fixed", "volume", draw_volume(+1))
    return (*drawn, grown, Planned(f"volume-{percent}", "fixed", "volume", draw_volume(-1)))
