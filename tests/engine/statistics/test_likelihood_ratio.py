import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from engine.statistics.likelihood_ratio import cox_ratio, logistic_ratio
from store.records import DeclinedError


def test_cox_ratio_of_the_whole_model_equals_r(shared):
    # R survival 3.5-3, coxph on lung: log likelihoods of the null and the fitted model
    folder = shared / "data/stats_reference"
    expected = json.loads((folder / "survival_lung.json").read_text())["cox_efron_age_sex_phecog"]["loglik"]
    frame = pd.read_csv(folder / "lung_ncctg.csv").dropna(subset=["ph.ecog"])
    x = frame[["age", "sex", "ph.ecog"]].to_numpy(float)
    found = cox_ratio(x[:, :0], x, frame.time.to_numpy(float), (frame.status == 2).to_numpy(float))
    assert found.statistic == pytest.approx(2 * (expected[1] - expected[0]), abs=1e-8)
    assert found.degrees == 3


def test_logistic_ratio_equals_statsmodels():
    rng = np.random.default_rng(0)
    base, block = rng.normal(size=(120, 2)), rng.normal(size=(120, 3))
    labels = (base[:, 0] + block[:, 1] + rng.logistic(size=120) > 0).astype(float)
    fits = [sm.Logit(labels, sm.add_constant(x)).fit(disp=0) for x in (base, np.column_stack([base, block]))]
    found = logistic_ratio(base, block, labels)
    assert found.statistic == pytest.approx(2 * (fits[1].llf - fits[0].llf), abs=1e-8)


def test_a_null_block_is_rejected_at_its_level():
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(300):
        x, labels = rng.normal(size=(150, 4)), (rng.random(150) < 0.35).astype(float)
        p_values.append(logistic_ratio(x[:, :2], x[:, 2:], labels).p_value)
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09  # 300 draws: 0.05 +- 3 standard errors of 0.0126


def test_separated_data_decline():
    x = np.arange(20.0)[:, None]
    with pytest.raises(DeclinedError, match="no maximum"):
        logistic_ratio(x[:, :0], x, (x[:, 0] > 9).astype(float))
