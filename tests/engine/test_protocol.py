"""A locked plan holds for the choices it was made for and for no others."""

import pytest

from engine.protocol import (
    CovariateColumn,
    Covariates,
    FeatureGrid,
    Images,
    Outcome,
    Plan,
    Protocol,
    Rois,
    Study,
    plan_digest,
    protocol_text,
    read_protocol,
    read_unlocked,
    without_paths,
    write_protocol,
)
from engine.run.plan_lock import locked_protocol

AT = "2026-01-01T00:00:00.000+00:00"
LOCKED = locked_protocol(Protocol(images=Images(root="ct")), AT, "command line")


def test_an_unlocked_plan_needs_no_hash():
    assert not Protocol(plan=Plan()).plan.locked_at


@pytest.mark.parametrize("typed", ["", "0" * 64])
def test_a_lock_that_was_typed_in_is_refused(typed):
    with pytest.raises(ValueError, match=r"plan\.protocol_sha256 must be .* lock the plan again or empty \[plan\]"):
        Protocol(plan=Plan(locked_at=AT, protocol_sha256=typed))


@pytest.mark.parametrize(
    "changed",
    [
        {"rois": Rois(ring_mm=9.0)},
        {"grid": FeatureGrid(spacing_mm=2.0)},
        {"outcome": Outcome(horizon_days=365)},
        {"study": Study(seed=1)},
        {"images": Images(root="ct", reference=("GTV",))},
    ],
)
def test_a_choice_changed_after_locking_is_refused(tmp_path, changed):
    write_protocol(tmp_path, LOCKED.model_copy(update=changed))
    with pytest.raises(ValueError, match="changed after locking"):
        read_protocol(tmp_path)
    assert read_unlocked(tmp_path).plan == Plan()


LATE = [CovariateColumn(column="age", kind="number"), CovariateColumn(column="pT", when_known="at surgery")]


def test_a_predictor_known_too_late_is_refused_when_the_protocol_is_read(tmp_path):
    late = Protocol().model_copy(update={"covariates": Covariates(columns=tuple(LATE))})
    write_protocol(tmp_path, late)
    with pytest.raises(ValueError, match=r"\(preoperative\), got pT: take them out or move covariates.moment"):
        read_protocol(tmp_path)


def test_a_predictor_known_at_the_moment_of_prediction_may_predict():
    at_surgery = Covariates(columns=tuple(LATE), moment_of_prediction="at surgery")
    assert Protocol(covariates=at_surgery).covariates == at_surgery


def test_title_notice_and_paths_may_change_under_a_lock(tmp_path):
    moved = {"study": Study(name="another title", notice="n"), "images": Images(root="/elsewhere")}
    write_protocol(tmp_path, LOCKED.model_copy(update=moved))
    assert read_protocol(tmp_path).plan == LOCKED.plan


def test_a_locked_protocol_reads_back_from_toml_and_from_the_ledger(tmp_path):
    write_protocol(tmp_path, LOCKED)
    assert read_protocol(tmp_path) == LOCKED
    stored = without_paths(LOCKED).model_dump_json()
    assert Protocol.model_validate_json(stored).plan.locked_at == AT


def test_the_digest_does_not_depend_on_the_lock():
    assert plan_digest(LOCKED) == plan_digest(Protocol()) == LOCKED.plan.protocol_sha256


def test_a_broken_law_names_field_law_and_value_and_nothing_else(tmp_path):
    text = protocol_text(LOCKED).replace("ring_mm = 6.0", "ring_mm = 900.0").replace('root = "ct"', 'root = "/secret"')
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(ValueError, match=r"rois\.ring_mm: .*less than or equal to 30, got 900\.0") as caught:
        read_protocol(tmp_path)
    assert "secret" not in str(caught.value)
    (tmp_path / "study.toml").write_text(text.replace("ring_mm = 900.0", "ring_mm = 7.0"))
    with pytest.raises(ValueError, match="changed after locking") as caught:
        read_protocol(tmp_path)
    assert "secret" not in str(caught.value)
