"""Neither an answer nor the time that it takes tells whether an account exists."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from guessing import enrol
from visiting import forms

from flaskmail.accounts.directory import Directory
from flaskmail.testing import PASSWORD, LiveServer, Reply, basic, live_server

from ..conftest import ROOT, START
from ..test_pages import FORM, Browser, ranks

ANN, OUT, CAREFUL, EMPTY = (f"{name}@example.org" for name in ("annabel", "disable", "careful", "nobodys"))
NAMES = ("unknown@example.org", ANN, OUT, CAREFUL, EMPTY)
"""Nobody's; a usual one; a disabled one; one with a second factor; one that has no password. All as long."""
CONFIG = "[server]\nworkers = 1\n[authentication]\nfail-rate = '100000/1m'\n"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("timing")
    with live_server(CONFIG, folder=folder, arguments=START, python_path=ROOT) as server:
        for name in NAMES[1:]:
            # Nobody signs in from here: an address that an account was used from is not a stranger's.
            done = server.cli("account", "create", name, "--password-stdin", input=PASSWORD + "\n")
            assert done.returncode == 0, done
        directory = Directory(folder / "data")
        enrol(directory, CAREFUL)
        with directory._database.write() as execute:
            execute("UPDATE principal SET password='' WHERE name=?", (EMPTY,))
        directory.principals.set_disabled(OUT, True)
        directory.close()
        yield server


def over_basic(live: LiveServer) -> Callable[[str], Reply]:
    return lambda name: live.send("GET", "/jmap/session", {"Authorization": basic(name, "wrong password")}, b"")


def over_pages(live: LiveServer) -> Callable[[str], Reply]:
    browser = Browser(live)
    browser.get("/login")
    [form] = forms(browser.page.body.decode())

    def sign_in(name: str) -> Reply:
        fields = urlencode(form.fields | {"name": name, "password": "wrong password"})
        return browser.ask("POST", "/login", FORM, fields.encode())

    return sign_in


WAYS = {"basic": over_basic, "pages": over_pages}


@pytest.mark.parametrize("way", WAYS)
def test_the_answers_are_the_same(live: LiveServer, way: str) -> None:
    ask = WAYS[way](live)

    def told(name: str) -> object:
        reply = ask(name)
        headers = [(key, value) for key, value in reply.headers if key not in ("Date", "Content-Length")]
        return reply.status, headers, reply.body.replace(name.encode(), b"NAME")

    wanted = told(NAMES[0])
    assert [told(name) == wanted for name in NAMES] == [True] * len(NAMES)


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_the_time_is_the_same(live: LiveServer, way: str) -> None:
    # Chance tells two names apart once in a hundred times, and what can be told is told every time.
    found = []
    while len(found) < 3 and not (found and told_apart(found[-1]) == ""):
        found.append(measured(live, way))
    assert told_apart(found[-1]) == "", [told_apart(one) for one in found]


def measured(live: LiveServer, way: str) -> dict[str, list[float]]:
    """The seconds that each of NAMES took, time after time."""
    ask, took = WAYS[way](live), {name: [] for name in NAMES}
    order = random.Random(1)
    for name in [name for _ in range(410) for name in order.sample(NAMES, len(NAMES))]:
        began = time.perf_counter()
        ask(name)
        took[name].append(time.perf_counter() - began)
    # The first few warm the server up.
    return {name: times[10:] for name, times in took.items()}


def told_apart(took: dict[str, list[float]]) -> str:
    """By what a name can be told from that of nobody; "" when by nothing."""
    unknown = took[NAMES[0]]
    middle = statistics.median(unknown)
    for name in NAMES[1:]:
        # Within a round everything else is the same, as far as it can be.
        gap = statistics.median(mine - other for mine, other in zip(took[name], unknown, strict=True))
        if abs(gap) / middle > 0.05:
            return f"{name}: {gap} of {middle}"
    # p > 0.01 for two sides, of the one kind that everybody would look for.
    apart = ranks(took[ANN], unknown)
    return "" if apart < 2.576 else f"{ANN}: {apart} by ranks"
