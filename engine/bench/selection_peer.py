"""The naive way, run by the interpreter of .venv-peers: mrmr_selection, then scikit-learn's RFE; npz in, JSON out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from mrmr import mrmr_classif  # type: ignore[import-not-found]  # installed in .venv-peers only
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE


def one_bootstrap(x: pd.DataFrame, y: pd.Series, k: int, keep: int, trees: int, seed: int) -> dict[str, object]:
    """Order of mRMR, features kept, and CPU seconds of both steps, on copied rows."""
    started = time.process_time()
    order = mrmr_classif(X=x, y=y, K=k, n_jobs=1, show_progress=False)
    between = time.process_time()
    forest = RandomForestClassifier(trees, random_state=seed, n_jobs=1)
    elimination = RFE(forest, n_features_to_select=keep, step=1).fit(x[order], y)
    ended = time.process_time()
    kept = [int(order[place]) for place in np.flatnonzero(elimination.support_)]
    seconds = {"mrmr_seconds": between - started, "rfe_seconds": ended - between}
    return {"order": [int(c) for c in order], "kept": kept, **seconds}


def importances(x: pd.DataFrame, y: pd.Series, trees: int, seed: int) -> list[float]:
    """Importances of one forest."""
    return [float(v) for v in RandomForestClassifier(trees, random_state=seed, n_jobs=1).fit(x, y).feature_importances_]


def main(source: Path, target: Path) -> None:
    """Answer one question of the bench."""
    with np.load(source) as given:
        x, y, rows = pd.DataFrame(given["x"]), pd.Series(given["y"]), given["rows"]
        k, keep, trees, seed = (int(given[name]) for name in ("k", "keep", "trees", "seed"))
        columns = given["columns"].tolist()
    x, y = x.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)
    if columns:
        found: object = [importances(x[columns], y, trees, own) for own in (seed, seed + 1)]
    else:
        found = one_bootstrap(x, y, k, keep, trees, seed)
    target.write_text(json.dumps(found), encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
