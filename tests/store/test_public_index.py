"""The public index against what is known of its collections (../shared/notes/segmentation.md 6, release 25)."""

import pytest

from store.public_index import index_version, public_collections, public_series


def test_collections_have_the_patients_series_and_sizes_that_are_known():
    found = {row.collection: row for row in public_collections()}
    assert index_version().startswith("25.")
    for name, patients, series, gibibytes in (
        ("nsclc_radiomics", 422, 422, 26.3), ("nsclc_radiogenomics", 211, 727, 88.8),
        ("nsclc_radiomics_interobserver1", 22, 22, 2.0), ("rider_lung_ct", 32, 561, 41.8),
    ):  # fmt: skip
        row = found[name]
        assert (row.patients, row.ct_series) == (patients, series)
        assert row.ct_gigabytes / 1.024 == pytest.approx(gibibytes, rel=0.03)
    assert "nnu_net_bpr_annotations" in found["nsclc_radiomics"].annotations


def test_a_series_says_where_it_lies_and_on_what_terms():
    found = public_series("nsclc_radiomics")
    one = next(row for row in found if (row.patient, row.modality) == ("LUNG1-001", "CT"))
    assert (one.licence, one.doi, one.annotations) == ("CC BY-NC 3.0", "10.7937/k9/tcia.2015.pf0m9rei", "")
    assert one.files == 134  # ../shared/data/lung1_001


def test_an_unknown_collection_has_no_series():
    assert public_series("no such collection") == ()
