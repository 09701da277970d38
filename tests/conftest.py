"""What holds for all tests."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """With FLASKMAIL_TEST_NO_SKIP, where everything that tests need is installed, a skipped test is a failed one."""
    report = yield
    if os.environ.get("FLASKMAIL_TEST_NO_SKIP") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be: {report.longrepr}"
    return report
