"""The menu: sections and their pages in order. A new page is one file and one line here."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

START = "pages/study/home.py"

SECTIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Study",
        (
            ("pages/study/home.py", "Overview"),
            ("pages/study/cohort.py", "Cohort"),
            ("pages/study/runs.py", "Runs"),
            ("pages/study/two_runs.py", "Two runs"),
            ("pages/study/upload.py", "Upload"),
        ),
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
    (
        "Present",
        (("pages/present/meeting.py", "Meeting"), ("pages/present/report.py", "Report")),
    ),
)


def page_file(address: str) -> str:
    """The file of a page by its address (agreement: pages/segmentation/agreement.py); empty where there is none."""
    paths = (path for _, pages in SECTIONS for path, _ in pages)
    return next((str(ROOT / path) for path in paths if Path(path).stem == address), "")
