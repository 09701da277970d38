"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable

import pytest
from hypothesis import settings
from werkzeug.routing.rules import Rule

settings.register_profile("same", settings.get_profile("ci"))
settings.register_profile("new", settings.get_profile("ci"), derandomize=False)


def pytest_configure() -> None:
    """Makes routes cheap, examples the same each time, and Ctrl-C work."""
    build_urls_later()
    # A commit is held against the same made-up examples each time, on machines of any speed: whether it passes is no matter of
    # chance. New ones are looked for by `make test-long`, or with --hypothesis-profile=new, which is read after this.
    settings.load_profile("same")
    # Tests press Ctrl-C in processes of their own. A shell that runs tests in the background has them ignore it, which every
    # process that they start would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def build_urls_later() -> None:
    """Tests make servers by the thousand, all with the same routes, and hardly one of them has a URL built: what builds the
    URLs of a route, which takes werkzeug half of the time that a server takes, is made when it is called."""
    made = Rule._compile_builder

    def later(self: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return lambda rule, **values: made(rule, append_unknown)(rule, **values)

    Rule._compile_builder = later


def pytest_collection_finish() -> None:
    """The thousands of collected tests stay until the end: without this, each full garbage collection walks through them all
    again."""
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
