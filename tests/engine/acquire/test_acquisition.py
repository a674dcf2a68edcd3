"""Kernel groups and contrast from tags; expected tags: ../shared/data/batch_slices/expected_tags.json."""

from __future__ import annotations

import tarfile

import pytest

from engine.acquire.acquisition import clean_tag, contrast_of, kernel_group, text_category, vendor_of
from engine.acquire.dicom import read_header

# file -> kernel, group, contrast, evidence, by hand from expected_tags.json
SLICES = {
    "nsclc_radiomics_LUNG1-001.dcm": ("B19f", "soft", "unknown", "none"),
    "crlm_CT-1004.dcm": ("STANDARD", "soft", "yes", "ContrastBolusAgent"),
    "nsclc_radiogenomics_R01-001.dcm": ("B45f", "soft", "yes", "description text"),
    "totalsegmentator_example.dcm": ("Br38f 3", "soft", "yes", "ContrastBolusAgent"),
    "ibsi1_phantom.dcm": ("", "unknown", "unknown", "none"),
    "lungmask_0.dcm": ("", "unknown", "unknown", "none"),
}


@pytest.fixture(scope="module")
def slices(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slices")
    with tarfile.open(shared / "data/batch_slices/ct_slices.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    return {path.name: read_header(path) for path in folder.rglob("*.dcm")}


@pytest.mark.parametrize(("name", "expected"), SLICES.items())
def test_real_tags(slices, name, expected):
    header = slices[name]
    contrast = contrast_of(header.contrast_agent, header.contrast_route, header.contrast_text)
    found = (clean_tag(header.kernel), kernel_group(header.kernel, header.manufacturer), contrast.contrast)
    assert (*found, contrast.evidence) == expected


@pytest.mark.parametrize(
    ("kernel", "manufacturer", "group"),
    [
        ("B30f", "SIEMENS", "soft"),
        ("B70f", "SIEMENS", "sharp"),
        ("Bl57d", "SIEMENS", "sharp"),
        ("I31f\\3", "SIEMENS", "soft"),
        ("LUNG", "GE MEDICAL SYSTEMS", "sharp"),
        ("BONEPLUS", "GE MEDICAL SYSTEMS", "sharp"),
        ("SOFT", "GE MEDICAL SYSTEMS", "soft"),
        ("FC08", "TOSHIBA", "soft"),
        ("FC51", "TOSHIBA", "sharp"),
        ("B", "Philips", "soft"),
        ("YA", "Philips", "sharp"),
        ("B", "", "unknown"),
        ("", "SIEMENS", "unknown"),
        ("MYSTERY", "SIEMENS", "unknown"),
    ],
)
def test_kernel_groups(kernel, manufacturer, group):
    assert kernel_group(kernel, manufacturer) == group


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("CT CHEST ABD PELVIS WITH CON", "yes"),
        ("CT CH/ABD/PEL W/ CONTRAST", "yes"),
        ("CT CHEST W CONTRAST", "yes"),
        ("CT THORAX WITHOUT CONTRAST", "no"),
        ("CT CHEST W/O CONTRAST", "no"),
        ("CT CHEST NON-CONTRAST", "no"),
        ("CT CHEST W/O AND WITH CONTRAST", ""),
        ("THORAX 1.0 B45f", ""),
        ("", ""),
    ],
)
def test_descriptions_give_a_category_only(text, category):
    assert text_category(text) == category


def test_an_agent_given_by_mouth_is_no_vessel_contrast():
    assert contrast_of("GASTROGRAFIN", "ORAL", "").contrast == "unknown"
    assert contrast_of("OMNIPAQUE", "IV", "").contrast == "yes"
    assert contrast_of("NONE", "", "yes").contrast == "no"


# manufacturer as expected_tags.json spells it
@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("nsclc_radiomics_LUNG1-001.dcm", "Siemens"),
        ("crlm_CT-1004.dcm", "GE"),
        ("nsclc_radiogenomics_R01-001.dcm", "unknown"),
    ],
)
def test_real_vendors(slices, name, vendor):
    assert vendor_of(slices[name].manufacturer) == vendor


@pytest.mark.parametrize(
    ("manufacturer", "vendor"),
    [
        ("Siemens Healthineers", "Siemens"),
        ("SIEMNES", "Siemens"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("Phillips Medical Systems", "Philips"),
        ("TOSHIBA", "Canon"),
        ("Canon Medical Systems", "Canon"),
        ("Hitachi Medical", "other"),
        ("General Imaging", "other"),
        ("", "unknown"),
        ("unknown", "unknown"),
    ],
)
def test_vendors_are_known_however_they_are_spelt(manufacturer, vendor):
    assert vendor_of(manufacturer) == vendor
