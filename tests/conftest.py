"""What holds for all tests."""

from __future__ import annotations

import gc
import os

import pytest


def pytest_collection_finish() -> None:
    """The thousands of collected tests stay until the end: without this, each full garbage collection, which may fall into
    any test and its guard against runaway work, walks through them all again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """With FLASKMAIL_TEST_NO_SKIP, where everything that tests need is installed, a skipped test is a failed one."""
    report = yield
    if os.environ.get("FLASKMAIL_TEST_NO_SKIP") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be: {report.longrepr}"
    return report
