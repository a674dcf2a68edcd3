"""How far thresholded lungs can be believed: figures that a reader can check, and when he should."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from store.volumes import BoolZyx

DOUBTFUL_VOLUME_RATIO, DOUBTFUL_CLOSED_SHARE = 0.5, 0.25
DOUBTFUL_BORDER_SHARE, DOUBTFUL_CUT_SHARE = 0.005, 0.3


@dataclass(frozen=True, slots=True)
class LungQuality:
    """How far thresholded lungs can be believed, measured at 3 mm.

    volume_ratio: smaller over larger lung, 0..1, 0 for a lone one (healthy 0.75 to 0.95; fluid, collapse and leaks
    lower it); closed_share: share of their voxels that are not air (vessels, tumours and dents closed in);
    border_share: share in the image's in-plane border (a leak, or a tight field of view); cut_share: area in the first
    or last slice over the largest area in a slice (1: the scan ends in the middle of the lungs).
    """

    volume_ratio: float
    closed_share: float
    border_share: float
    cut_share: float

    @property
    def doubtful(self) -> bool:
        """Whether a figure lies where a reader should look: ratio < 0.5, closed > 0.25, border > 0.005, cut > 0.3."""
        return (
            self.volume_ratio < DOUBTFUL_VOLUME_RATIO
            or self.closed_share > DOUBTFUL_CLOSED_SHARE
            or self.border_share > DOUBTFUL_BORDER_SHARE
            or self.cut_share > DOUBTFUL_CUT_SHARE
        )

    @property
    def figures(self) -> str:
        """The figures in words, to follow `thresholding` in a sentence."""
        return (
            f" (smaller over larger lung {self.volume_ratio:.2f}, {100 * self.closed_share:.0f} % of them closed in, "
            f"{100 * self.border_share:.1f} % at the image's border, cut at {100 * self.cut_share:.0f} % of their area)"
        )


def quality_of(left: BoolZyx, right: BoolZyx, air: BoolZyx) -> LungQuality:
    """The quality figures of two lungs, not both empty, and the air of a CT, boolean z, y, x on one grid."""
    both = left | right
    total = int(both.sum())
    sizes = sorted((int(left.sum()), int(right.sum())))
    areas = both.sum(axis=(1, 2))
    return LungQuality(
        volume_ratio=sizes[0] / sizes[1],
        closed_share=float((both & ~air).sum()) / total,
        border_share=float((both & in_plane_border(both.shape)).sum()) / total,
        cut_share=float(max(areas[0], areas[-1])) / float(areas.max()),
    )


def in_plane_border(shape: tuple[int, ...]) -> BoolZyx:
    """The first and last row and column of each slice."""
    border = np.zeros(shape, dtype=np.bool_)
    border[:, [0, -1], :] = True
    border[:, :, [0, -1]] = True
    return border
