"""The real patients of the shared data, by the study's own stages: read, regions drawn on the 1 mm grid."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.acquire.discover import discover
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.read import acquire
from engine.geometry import box_of, cropped_grid
from engine.measure.feature_image import FeatureImage, feature_image
from engine.measure.regions import Regions, delineate_regions
from engine.protocol import Images, Protocol, Study
from engine.review.feature_masks import choose_feature_masks
from engine.segment.segmentation import segment
from store.sources import CaseSource, Verdicts
from store.volumes import BoolZyx, CtSeries

ARCHIVES = {"lung1": "lung1_001/lung1_001_dicom.tar.xz", "ibsi1": "ibsi1_ct_phantom/dicom.tar.xz"}
NAMES = {"1": "IBSI-CT"}  # patients whose id in the files says nothing
REFERENCES = ("GTV-1", "Tumour", "mask")
# PyRadiomics' wavelet holds some fifteen copies of the image, 8 bytes a voxel each.
MOST_VOXELS = 40_000_000
MARGIN_VOXELS = (16, 16, 16)


@dataclass(frozen=True, slots=True, eq=False)
class RealCase:
    """One patient on the feature grid: the image, perhaps `cut` to a box about the regions, and the regions in it."""

    name: str
    image: FeatureImage
    cut: bool
    rois: tuple[tuple[str, BoolZyx], ...]


def real_sources(shared: Path, folder: Path) -> tuple[CaseSource, ...]:
    """LUNG1-001, the IBSI CT and the twelve sarcomas as `discover` finds them; DICOM is unpacked into a folder.

    FileNotFoundError without the shared data.
    """
    tree = folder / "images"
    tree.mkdir(parents=True, exist_ok=True)
    for name, archive in ARCHIVES.items():
        if not (shared / "data" / archive).is_file():
            raise FileNotFoundError("the bench needs the real cases of data/ in $COHORTSCOPE_SHARED or ../shared")
        if not (tree / name).exists():
            with tarfile.open(shared / "data" / archive) as tar:
                tar.extractall(tree / name, filter="data")
    sarcomas = tree / "sarcomas"
    if not sarcomas.exists():
        sarcomas.symlink_to(shared / "data" / "sts_ct", target_is_directory=True)
    found = discover(folder, _protocol(tree), Pseudonyms(folder, public_ids=True)).cases
    return tuple(replace(source, case_id=NAMES.get(source.case_id, source.case_id)) for source in found)


def real_case(source: CaseSource, folder: Path) -> RealCase:
    """A case through acquire, segment, review and regions with the default protocol; regions without voxels left out.

    An image of more than MOST_VOXELS is cut to the box of all regions and a margin, so that PyRadiomics fits in memory.
    """
    protocol = _protocol(folder / "images")
    acquired = acquire(source, protocol.images, protocol.acquire)
    segmented = segment(acquired.ct, acquired.references, protocol.segment, None)
    reviewed = choose_feature_masks(acquired.references, segmented.masks, Verdicts(()), protocol.masks)
    regions = delineate_regions(
        acquired.ct, reviewed.masks, reviewed.chosen, segmented.segmentation, protocol.grid, protocol.rois
    )
    return _on_grid(source.case_id, acquired.ct, regions, protocol)


def _on_grid(name: str, ct: CtSeries, regions: Regions, protocol: Protocol) -> RealCase:
    image = feature_image(ct, protocol.grid)
    usable = {region.roi for region in regions.regions if region.status == "ok"}
    masks = tuple((mask.structure, mask.voxels) for mask in regions.masks.masks if mask.structure in usable)
    if image.intensity_hu.size <= MOST_VOXELS:
        return RealCase(name, image, False, masks)
    union = np.logical_or.reduce([voxels for _, voxels in masks])
    box = box_of(union, MARGIN_VOXELS)
    cut = FeatureImage(image.intensity_hu[box].copy(), image.clipped[box].copy(), cropped_grid(image.grid, box))
    return RealCase(name, cut, True, tuple((roi, voxels[box].copy()) for roi, voxels in masks))


def chosen(sources: tuple[CaseSource, ...], names: tuple[str, ...]) -> Iterator[CaseSource]:
    """The cases of some names, all where none is given; ValueError for a name that is not there."""
    known = [source.case_id for source in sources]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"--case must be one of {known}, got {unknown}")
    yield from (source for source in sources if not names or source.case_id in names)


def _protocol(tree: Path) -> Protocol:
    return Protocol(study=Study(public_ids=True), images=Images(root=str(tree), reference=REFERENCES))
