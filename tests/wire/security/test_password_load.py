"""Many sign-ins at once, and passwords that are very long, cost no more than is meant."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from visiting import forms
from workers import standing_still

from flaskmail.testing import LiveServer, Reply, basic, live_server

from ..conftest import ROOT, START
from ..test_pages import FORM, Browser

ANN = "ann@example.org"
MEGABYTE = "x" * 1_000_000
CONFIG = "[authentication]\nfail-rate = '100000/1m'\n"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("load")
    with live_server(CONFIG, folder=folder, arguments=START, python_path=ROOT) as server:
        server.account(ANN)
        yield server


def burst(live: LiveServer, count: int = 100) -> list[Reply]:
    """So many sign-ins with wrong passwords at the same moment: when the workers come to look, all of them have been sent."""
    got: list[Reply] = []
    sent = threading.Barrier(count + 1)

    def one(number: int) -> None:
        connection = live.connect()
        try:
            connection.request(
                "GET", "/jmap/session", headers={"Authorization": basic(f"n{number}@example.org", "wrong")}
            )
            sent.wait()
            response = connection.getresponse()
            got.append(Reply(response.status, response.getheaders(), response.read()))
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    with standing_still(live):
        for thread in threads:
            thread.start()
        sent.wait()
    for thread in threads:
        thread.join()
    return got


def test_of_100_at_once_some_are_told_to_come_back(live: LiveServer) -> None:
    got = burst(live)
    statuses = [reply.status for reply in got]
    assert len(statuses) == 100
    assert set(statuses) <= {401, 503}
    assert 503 in statuses
    assert all(reply.header("Retry-After") for reply in got if reply.status == 503)
    # It is over with them: the next one is looked at.
    assert live.send("GET", "/jmap/session", {"Authorization": basic(ANN)}, b"").status == 200


def test_long_passwords_are_refused_before_they_are_hashed(live: LiveServer) -> None:
    long = "x" * 1025
    assert live.send("GET", "/jmap/session", {"Authorization": basic(ANN, long)}, b"").status == 400
    # What no header can carry ends at the front.
    reply = live.send("GET", "/jmap/session", {"Authorization": basic(ANN, "x" * 6000)}, b"")
    assert reply.status in (400, 431)
    browser = Browser(live)
    browser.get("/login")
    [form] = forms(browser.page.body.decode())
    for password, status in ((long, 400), ("x" * 60_000, 400), (MEGABYTE, 413)):
        body = urlencode(form.fields | {"name": ANN, "password": password}).encode()
        assert browser.ask("POST", "/login", FORM, body).status == status
    headers = {"Authorization": basic(ANN), "Content-Type": "application/json"}
    for password in (long, MEGABYTE):
        steps = json.dumps([{"type": "setPassword", "password": password}]).encode()
        assert live.send("POST", "/api/account/auth", headers, steps).status in (400, 413)
    assert live.send("GET", "/jmap/session", headers, b"").status == 200


@pytest.mark.long
def test_those_who_are_known_do_not_wait_for_those_who_guess(live: LiveServer) -> None:
    headers = {"Authorization": basic(ANN), "Content-Type": "application/json"}
    body = b'{"using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",{},"0"]]}'

    def measured(seconds: float) -> float:
        """The 99th percentile of what a request takes."""
        took, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            assert live.send("POST", "/jmap/", headers, body).status == 200
            took.append(time.perf_counter() - began)
        return statistics.quantiles(took, n=100)[98]

    # On every worker the password is remembered before anything is measured.
    measured(2)
    idle = measured(5)
    stop = threading.Event()

    def guess(number: int) -> None:
        while not stop.is_set():
            header = basic(f"n{number}@example.org", "wrong")
            if live.send("GET", "/jmap/session", {"Authorization": header}, b"").status == 503:
                # As they are told to.
                stop.wait(2)

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    loaded = measured(5)
    stop.set()
    for thread in threads:
        thread.join()
    # The guessers of this test share the processor with the server.
    assert loaded <= max(3 * idle, 0.25), (idle, loaded)
