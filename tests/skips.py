"""Counts skips by cause at the end of a test session; a skip for any other cause is a failure."""

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


def refuse_other_causes(report: Report, config: pytest.Config) -> None:
    """Count a skip for a known cause, and turn any other into a failure."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    cause = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    cause = cause.removeprefix("Skipped: ")
    if cause in CAUSES:
        config.stash[counted][cause] += 1
        return
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid} skipped: {cause!r}. Only {' and '.join(CAUSES)} may skip a test."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_other_causes(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_other_causes(report, collector.config)
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[counted]
    terminalreporter.write_line(f"skips by cause: {', '.join(f'{cause} {counts[cause]}' for cause in CAUSES)}")
