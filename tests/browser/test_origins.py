"""Pages of another origin, in a real browser: what they may read, and what happens when they may not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import EVIL, PATIENCE, Browser, Site

from flaskmail.testing import LiveServer, basic, live_server

HERE = Path(__file__).parent
START = ("-c", "python:flaskmail.gunicornconf", "streaming:app")
NAME = "ann@example.org"
PROBES = ("anonymous", "session", "api", "upload", "download", "push", "fields", "missing")
"""What the page asks for that CORS is about; ``excluded`` is what it never may."""


class Serving:
    """A server with one account. listed: whether it lets only some origins read."""

    def __init__(self, live: LiveServer, listed: bool) -> None:
        self.listed, self.url, self.account = listed, live.url, live.account(NAME)
        self.authorization = basic(NAME)

    def probe(self, browser: Browser, site: Site) -> dict[str, Any]:
        """What the page's requests brought it."""
        browser.open(f"{site.origin}/")
        found = browser.run("return probe(...given)", self.url, self.authorization, self.account.id)
        assert "thrown" not in found, found
        return dict(found)

    def stream(self, browser: Browser) -> Any:
        """What the page, which is open, reads of a stream."""
        return browser.run("return stream(...given)", self.url, self.authorization)


def serving(setting: str) -> Iterator[Serving]:
    config = f"[server]\nworkers = 1\n\n[server.http]\n{setting}\n"
    with live_server(config, arguments=START, python_path=HERE) as live:
        yield Serving(live, "cors-origins" in setting)


@pytest.fixture(scope="module", params=["permissive", "listed"])
def open_server(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Serving]:
    yield from serving(
        "permissive-cors = true" if request.param == "permissive" else f'cors-origins = ["{site.origin}"]'
    )


@pytest.fixture(scope="module")
def closed_server(browser: Browser) -> Iterator[Serving]:
    yield from serving("")


def test_a_page_of_another_origin_reads_where_it_may(open_server: Serving, browser: Browser, site: Site) -> None:
    found = open_server.probe(browser, site)
    assert {name: found[name].get("status") for name in PROBES} == {
        "anonymous": 401,
        "session": 200,
        "api": 200,
        "upload": 201,
        "download": 200,
        "push": 503,
        "fields": 429,
        "missing": 404,
    }
    assert json.loads(found["session"]["body"])["username"] == NAME
    [[name, answered, _]] = json.loads(found["api"]["body"])["methodResponses"]
    assert (name, [box["role"] for box in answered["list"] if box["role"] == "inbox"]) == ("Mailbox/get", ["inbox"])
    assert found["download"]["body"] == "<p>hello"
    # A page with a token that has ended must be able to see that, and what would help.
    assert json.loads(found["anonymous"]["body"])["status"] == 401
    assert found["anonymous"]["headers"]["www-authenticate"].startswith("Bearer ")
    assert "Basic" not in found["anonymous"]["headers"]["www-authenticate"]
    assert found["download"]["headers"]["etag"]
    assert "a.html" in found["download"]["headers"]["content-disposition"]
    fields = found["fields"]["headers"]
    assert (fields["etag"], fields["location"], fields["retry-after"]) == ('"1"', "/there", "7")
    assert "x-inside" not in fields
    assert found["excluded"] == {"refused": "TypeError"}
    # The same site under another name is another origin.
    browser.open(f"{site.origin.replace('127.0.0.1', 'localhost')}/")
    elsewhere = browser.run("return probe(...given)", open_server.url, open_server.authorization, "x")["session"]
    assert elsewhere.get("status") == (None if open_server.listed else 200)


def test_a_page_of_another_origin_reads_a_stream_as_it_comes(
    open_server: Serving, browser: Browser, site: Site
) -> None:
    browser.open(f"{site.origin}/")
    assert open_server.stream(browser) == {
        "type": "text/event-stream",
        "events": ["id: 1\ndata: first\n\n", "id: 2\ndata: second\n\n"],
        "ended": True,
    }


def test_a_page_of_another_origin_reads_nothing_where_it_may_not(
    closed_server: Serving, browser: Browser, site: Site
) -> None:
    found = closed_server.probe(browser, site)
    assert {name: found[name] for name in (*PROBES, "excluded")} == {
        name: {"refused": "TypeError"} for name in (*PROBES, "excluded")
    }
    assert closed_server.stream(browser) == {"refused": "TypeError"}
    # The server itself is well: it is the browser that keeps the answers from the page.
    assert closed_server.account.http("GET", "/jmap/session").status == 200


WAIT = """
    const [url, asked, patience] = given;
    const late = new Promise(resolve => setTimeout(resolve, patience, "waits for a password"));
    return Promise.race([fetch(url, asked).then(response => response.status), late]);
"""


def test_the_browser_never_asks_for_a_password(closed_server: Serving, browser: Browser, site: Site) -> None:
    browser.open(f"{closed_server.url}/test/page")
    for asked in ({}, {"credentials": "include"}, {"headers": {"Authorization": basic(NAME, "wrong")}}):
        assert browser.run(WAIT, f"{closed_server.url}/jmap/session", asked, 30_000) == 401
    browser.open(f"{closed_server.url}/jmap/session")
    assert json.loads(browser.run("return document.body.innerText"))["status"] == 401
    # That a challenge for Basic would be seen: the page's own site sends one.
    browser.open(f"{site.origin}/")
    assert browser.run(WAIT, "/basic", {}, 1500) == "waits for a password"


def test_no_script_of_a_download_runs(closed_server: Serving, browser: Browser, site: Site) -> None:
    account = closed_server.account
    path = f"/jmap/download/{account.id}/{account.upload(EVIL, 'text/html')}/a.html?accept=text/html"
    answered = account.http("GET", path)
    assert (answered.header("Content-Type"), answered.body) == ("text/html", EVIL)
    # As it comes it is saved, not shown. Somebody may show it all the same: then its own policy holds.
    headers = {
        name: value
        for name, value in answered.headers
        if name not in ("Content-Disposition", "Content-Length", "Transfer-Encoding", "Connection")
    }
    assert len(headers) < len(answered.headers)
    site.pages |= {"/shown": (headers, EVIL), "/unguarded": ({"Content-Type": "text/html"}, EVIL)}
    browser.open(f"{site.origin}/unguarded")
    deadline = time.monotonic() + PATIENCE
    while "/beacon" not in site.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (browser.run("return document.title"), site.asked.count("/beacon")) == ("ran", 1)
    browser.open(f"{site.origin}/shown")
    shown = browser.run("return [document.title, document.body.innerText, location.pathname, self.origin]")
    assert (shown, site.asked.count("/beacon")) == (["before", "hello", "/shown", "null"], 1)
    browser.open("about:blank")
    browser.send_always({"Authorization": closed_server.authorization})
    try:
        browser.open(closed_server.url + path)
    finally:
        browser.send_always({})
    assert browser.run("return [document.title, document.body.innerText]") == ["", ""]
    assert site.asked.count("/beacon") == 1
