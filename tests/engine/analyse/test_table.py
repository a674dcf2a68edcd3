import dataclasses

import numpy as np
import pytest

from engine.analyse.table import tabulate
from engine.protocol import Batch, CovariateColumn, Covariates, Eligibility, Outcome, Plan
from store.artifacts import read_value, write_value
from store.matrices import DesignTable
from store.records import AnalysisPlan, Cohort, DeclinedError
from tests.engine.analyse import measured
from tests.engine.analyse.cohorts import make_table

AGE = Covariates(columns=(CovariateColumn(column="age", kind="number"),))


def run(vectors, outcomes, covariates=(), choices=AGE, plan=Plan(), **more):
    cases = sorted({case for case, _ in vectors})
    given = {
        "perturbed": Cohort(()),
        "masks": Cohort(()),
        "chosen": Cohort(tuple((case, measured.feature_mask()) for case in cases)),
        "morphology": Cohort(tuple((case, measured.morphology(float(i))) for i, case in enumerate(cases))),
        "overlaps": Cohort(()),
        "treatments": (),
        "outcome": Outcome(),
        "eligibility": Eligibility(),
        "acquisitions": Cohort(tuple((case, measured.acquisition(kernel="sharp")) for case in cases)),
        "embeddings": Cohort(()),
        "embedding_names": (),
    } | more
    return tabulate(
        vectors=Cohort(tuple(vectors)),
        names=measured.names(2),
        covariates=tuple(covariates),
        outcomes=tuple(outcomes),
        choices=choices,
        batch=Batch(),
        plan=plan,
        **given,
    )


def cohort(labels):
    vectors = [(f"c{i:03d}", measured.vector([i, -i])) for i in range(len(labels))]
    outcomes = [
        measured.outcome(f"c{i:03d}", label, 100 if label is None else 800, False) for i, label in enumerate(labels)
    ]
    return vectors, outcomes


def boxes(found, flow):
    return {step.label: (step.n, step.events) for step in found.flow if step.flow == flow}


def test_the_outcome_flow_adds_up():
    # 40 events, 91 free, 13 undetermined: shared/data/nsclc_radiogenomics/README.md
    found = run(*cohort([True] * 40 + [False] * 91 + [None] * 13))
    assert list(boxes(found, "outcome").values()) == [(144, 40), (40, 40), (91, 0), (13, None)]
    assert (found.table.label == -1).sum() == 13


def test_a_case_without_a_region_leaves_and_is_counted_with_its_event():
    vectors, outcomes = cohort([True] * 6)
    vectors += [(f"c{i:03d}", measured.vector([1, 2], "whole_lung")) for i in range(5)]
    vectors.append(("c005", measured.vector([np.nan, np.nan], "whole_lung", measured.NO_LUNGS)))
    found = run(vectors, outcomes)
    assert found.table.case_ids == tuple(f"c{i:03d}" for i in range(5))
    assert found.table.rois == ("intratumoural",) * 2 + ("whole_lung",) * 2
    assert boxes(found, "inclusion")["without features in every region used"] == (1, 1)


def test_a_region_that_fewer_than_half_have_is_not_used():
    vectors, outcomes = cohort([True] * 5)
    vectors += [(f"c{i:03d}", measured.vector([1, 2], "whole_lung")) for i in range(2)]
    found = run(vectors, outcomes)
    assert set(found.table.rois) == {"intratumoural"}
    assert len(found.table.case_ids) == 5
    assert any("not used" in label for label in boxes(found, "inclusion"))


def test_misses_are_a_branch_with_their_events():
    vectors, outcomes = cohort([True, False, True])
    overlaps = [("c000", measured.overlap(0.0, True)), ("c001", measured.overlap(0.0, True, "edit_distance"))]
    found = run(vectors, outcomes, overlaps=Cohort(tuple(overlaps)))
    assert boxes(found, "inclusion")["missed by the automatic segmentation"] == (1, 1)


def test_a_measured_component_off_the_reference_is_a_branch_with_its_events():
    vectors, outcomes = cohort([True, False, True, True])
    touching = (False, False, None, True)
    chosen = [(f"c{i:03d}", dataclasses.replace(measured.feature_mask(), overlaps_reference=t)) for i, t in
              enumerate(touching)]  # fmt: skip
    found = run(vectors, outcomes, chosen=Cohort(tuple(chosen)))
    assert boxes(found, "inclusion")["measured component does not touch the reference"] == (2, 1)
    assert "measured component does not touch the reference" not in boxes(run(vectors, outcomes), "inclusion")


def test_a_case_without_outcome_is_not_a_patient_without_event():
    vectors, outcomes = cohort([True, False, False])
    found = run(vectors, outcomes[:2])
    assert found.table.case_ids == ("c000", "c001")
    assert boxes(found, "inclusion")["without an outcome"] == (1, 0)


def test_a_covariate_known_too_late_is_refused_by_name():
    vectors, outcomes = cohort([True, False])
    late = Covariates(columns=(CovariateColumn(column="ypT", when_known="postoperative"),))
    with pytest.raises(ValueError, match="ypT"):
        run(vectors, outcomes, choices=late)


def test_a_covariate_that_the_data_call_late_is_refused_too():
    vectors, outcomes = cohort([True, False])
    with pytest.raises(ValueError, match="age"):
        run(vectors, outcomes, [measured.covariate("c000", "age", 60.0, when="at surgery")])


def test_undeclared_columns_do_not_enter():
    vectors, outcomes = cohort([True, False])
    rows = [measured.covariate("c000", "age", 60.0), measured.covariate("c000", "weight", 80.0)]
    found = run(vectors, outcomes, rows)
    assert found.table.clinical_names == ("age",)
    assert found.table.clinical_numbers[0, 0] == 60
    assert np.isnan(found.table.clinical_numbers[1, 0])


def test_without_any_outcome_the_analysis_is_declined():
    with pytest.raises(DeclinedError, match="outcome"):
        run(cohort([True])[0], [])


def test_the_volume_is_that_of_the_feature_mask():
    vectors, outcomes = cohort([True])
    shapes = (("c000", measured.morphology(5.0)), ("c000", measured.morphology(7.0, source="automatic")))
    found = run(
        vectors, outcomes, morphology=Cohort(shapes), chosen=Cohort((("c000", measured.feature_mask("automatic")),))
    )
    assert found.table.volume_ml.tolist() == [7.0]


def test_untested_masks_and_patients_without_outcome_stay_out_of_the_stack():
    vectors, outcomes = cohort([True, False, True])
    moved = [(f"c{i:03d}", measured.perturbed_vector([i + 0.1, 5], "rotation_1")) for i in range(3)]
    moved += [(f"c{i:03d}", measured.perturbed_vector([9, 9], "noise_1")) for i in range(3)]
    masks = [(f"c{i:03d}", measured.perturbed_mask("rotation_1")) for i in range(3)]
    masks += [(f"c{i:03d}", measured.perturbed_mask("noise_1", tested=False)) for i in range(3)]
    found = run(vectors, outcomes[:2], perturbed=Cohort(tuple(moved)), masks=Cohort(tuple(masks)))
    assert found.table.perturbed_families == ("base", "random")
    assert found.table.perturbed_rows.tolist() == [0, 1]
    assert found.table.perturbed_values[:, :, 0].tolist() == [[0.0, 0.1], [1.0, 1.1]]


def test_a_table_is_stored_and_read_back_whole(tmp_path):
    for perturbed in (0, 5):
        table = make_table(np.random.default_rng(1), n=20, perturbed=perturbed)
        write_value(tmp_path / "table.npz", DesignTable, table)
        back = read_value(tmp_path / "table.npz", DesignTable)
        for field in dataclasses.fields(table):
            assert np.array_equal(getattr(back, field.name), getattr(table, field.name), equal_nan=False) or (
                np.allclose(getattr(back, field.name), getattr(table, field.name), equal_nan=True)
            )
            assert type(getattr(back, field.name)) is type(getattr(table, field.name))


def test_a_locked_plan_is_one_row_and_an_open_one_none():
    given = cohort([True, False])
    locked = Plan(locked_at="2026-01-01T00:00:00.000+00:00", protocol_sha256="ab", locked_by="command line")
    expected = AnalysisPlan("ab", locked.locked_at, "command line", Outcome().endpoint, "")
    assert run(*given, plan=locked).plan == (expected,)
    assert run(*given).plan == ()


def test_every_patient_carries_his_batch():
    vectors, outcomes = cohort([True, False, False])
    kernels = zip(("c000", "c001", "c002"), ("soft", "sharp", "unknown"), strict=True)
    scanned = Cohort(tuple((case, measured.acquisition(kernel=kernel)) for case, kernel in kernels))
    assert run(vectors, outcomes, acquisitions=scanned).table.batches == ("soft", "sharp", "unknown")
