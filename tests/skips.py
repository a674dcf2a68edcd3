"""Counts skips by cause at the end of a test session; a skip for any other cause is a failure.

Judged where the test ran, counted where reports end up: with processes of pytest-xdist these are two places. A whole
file may not skip itself, since the reports of its collection stay in the process that collected it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import pytest

NO_SHARED_DATA = "shared data absent"
NO_CHROMIUM = "Chromium absent"
CAUSES = (NO_SHARED_DATA, NO_CHROMIUM)

Report = pytest.TestReport | pytest.CollectReport
counted = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[counted] = Counter()
    config.pluginmanager.register(Counting(config.stash[counted]))


def cause_of(report: Report) -> str:
    """Why a report says that its test was skipped; empty when it was not, or was expected to fail."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return ""
    cause = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    return cause.removeprefix("Skipped: ")


def refuse(report: Report, cause: str) -> None:
    """Turn a skip into a failure."""
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} skipped: {cause!r}. Only {' and '.join(CAUSES)} may skip a test."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    cause = cause_of(report)
    if cause and cause not in CAUSES:
        refuse(report, cause)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if cause := cause_of(report):
        refuse(report, cause)
    return report


class Counting:
    """The plugin's part that hears every report, from whichever process."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a skip for a known cause."""
        if cause := cause_of(report):
            self.counts[cause] += 1


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[counted]
    terminalreporter.write_line(f"skips by cause: {', '.join(f'{cause} {counts[cause]}' for cause in CAUSES)}")
