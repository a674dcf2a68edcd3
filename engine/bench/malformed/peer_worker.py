"""A program of its own: `peer_worker.py PEER FOLDER` reads malformed inputs with other software, none of ours."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import sys
import warnings
from pathlib import Path


def simpleitk(part: str, inputs: Path) -> object:
    """Read a series or an image file as most scripts do."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    if part in ("series", "outlines"):
        folder = inputs / "ct"
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder if folder.is_dir() else inputs))
        return sitk.ReadImage(names)
    images = [sitk.ReadImage(str(path)) for path in sorted((inputs / "P1").iterdir())]
    return images


def pyradiomics(part: str, inputs: Path) -> object:
    """First-order and shape features of a mask on its image, resampled as most settings do."""
    from radiomics import featureextractor

    extractor = featureextractor.RadiomicsFeatureExtractor(resampledPixelSpacing=[1, 1, 1])
    extractor.disableAllFeatures()
    extractor.enableFeatureClassByName("firstorder")
    extractor.enableFeatureClassByName("shape")
    return extractor.execute(str(inputs / "P1/image.nii.gz"), str(inputs / "P1/Tumour.nii.gz"))


def rt_utils(part: str, inputs: Path) -> object:
    """The mask of `Tumour` in the structure set; rt-utils lives in .venv-peers only."""
    maker = importlib.import_module("rt_utils").RTStructBuilder
    return maker.create_from(str(inputs / "ct"), str(inputs / "rs.dcm")).get_roi_mask_by_name("Tumour").sum()


PEERS = {
    "simpleitk": (simpleitk, ("series", "image")),
    "pyradiomics": (pyradiomics, ("mask",)),
    "rt_utils": (rt_utils, ("outlines",)),
}


IMPORTED = {"simpleitk": "SimpleITK", "pyradiomics": "radiomics", "rt_utils": "rt_utils"}


def main() -> None:
    """Answer for each specimen on a line of its own, so that a crash loses one answer only."""
    peer, root = sys.argv[1], Path(sys.argv[2])
    read, parts = PEERS[peer]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    importlib.import_module(IMPORTED[peer])
    say("ready")
    for number, part in json.load(sys.stdin).items():
        inputs = root / number / "inputs"
        if part not in parts or (peer == "rt_utils" and not (inputs / "rs.dcm").exists()):
            continue
        say(f"reading {number}")
        answer = "raised"
        with contextlib.suppress(Exception):  # any exception counts as noticed
            read(part, inputs)
            answer = "silent"
        say(f"answer {number} {answer}")
    say("end")


def say(line: str) -> None:
    """One line at once: what a crash comes after must have left."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
