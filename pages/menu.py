"""The menu: sections and their pages in order. A new page is one file and one line here."""

from __future__ import annotations

START = "pages/study/cohort.py"

SECTIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Study",
        (("pages/study/cohort.py", "Cohort"), ("pages/study/runs.py", "Runs"), ("pages/study/upload.py", "Upload")),
    ),
    (
        "Segmentation",
        (
            ("pages/segmentation/review.py", "Review"),
            ("pages/segmentation/readers.py", "Readers"),
            ("pages/segmentation/agreement.py", "Agreement"),
            ("pages/segmentation/strategies.py", "Strategies"),
        ),
    ),
    (
        "Features",
        (
            ("pages/features/reproducibility.py", "Reproducibility"),
            ("pages/features/batch.py", "Batches"),
            ("pages/features/conformance.py", "Conformance"),
        ),
    ),
    (
        "Prognosis",
        (
            ("pages/prognosis/selection.py", "Selection"),
            ("pages/prognosis/discrimination.py", "Discrimination"),
            ("pages/prognosis/survival.py", "Survival"),
            ("pages/prognosis/external.py", "External"),
        ),
    ),
)
