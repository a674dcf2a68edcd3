"""pingouin's side of `bench icc`, run by .venv-peers: `python icc_peer.py VALUES.npy` prints one JSON object."""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pingouin


def main(path: str) -> None:
    """ICC of each feature of an array (patients, measurements, features), one call a feature."""
    values = np.load(path)
    n, k, p = values.shape
    patients, raters = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    frames = [pd.DataFrame({"patient": patients, "rater": raters, "y": values[:, :, f].ravel()}) for f in range(p)]
    pingouin.intraclass_corr(frames[0], "patient", "rater", "y")
    estimates = []
    started = time.process_time()
    for frame in frames:
        found = pingouin.intraclass_corr(frame, targets="patient", raters="rater", ratings="y")
        estimates.append(found["ICC"].tolist())
    spent = time.process_time() - started
    sys.stdout.write(json.dumps({"cpu_seconds": spent, "estimates": estimates}) + "\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(sys.argv[1])
