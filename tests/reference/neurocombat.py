"""Reference values of ComBat by neuroCombat 0.2.12: `.venv-peers/bin/python tests/reference/neurocombat.py`.

Writes neurocombat.json beside itself: inputs, batches, covariates, harmonised values.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from neuroCombat import neuroCombat

rng = np.random.default_rng(20250617)
BATCHES = np.repeat(["A", "B", "C"], [9, 14, 6])
rng.shuffle(BATCHES)
N, P = len(BATCHES), 12
# whole years: neuroCombat keeps covariates in single precision
AGE, SEX = rng.normal(65, 9, N).round(0), rng.integers(0, 2, N)
SHIFT, SCALE = {"A": 0.0, "B": 2.0, "C": -1.0}, {"A": 1.0, "B": 0.6, "C": 1.8}
values = np.array(
    [
        [SHIFT[b] * (1 + 0.2 * j) + SCALE[b] * rng.normal() * (1 + j) + 0.05 * a + 0.7 * s for j in range(P)]
        for b, a, s in zip(BATCHES, AGE, SEX, strict=True)
    ]
)
values[:, 3] *= 1e6
values[:, 4] *= 1e-4


def harmonised(**covariates):
    frame = pd.DataFrame({"batch": BATCHES, "age": AGE, "sex": SEX})
    return neuroCombat(dat=values.T, covars=frame, batch_col="batch", **covariates)["data"].T.tolist()


found = {
    "neuroCombat": "0.2.12",
    "values": values.tolist(),
    "batches": BATCHES.tolist(),
    "age": AGE.tolist(),
    "sex": SEX.tolist(),
    "plain": harmonised(),
    "protected": harmonised(continuous_cols=["age"], categorical_cols=["sex"]),
}
Path(__file__).with_suffix(".json").write_text(json.dumps(found) + "\n", encoding="ascii")
