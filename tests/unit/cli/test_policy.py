"""``flaskmail policy explain``, and the page about it."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flaskmail.cli import main

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "explain.md"

SETTINGS = """
[server.http]
use-x-forwarded = true
trusted-proxies = ["10.0.0.0/8"]
hsts = true

[server.listener.public]
bind = ["127.0.0.1:8080"]

[server.listener.inside]
bind = "unix:/run/x.sock"
routes = ["health"]

[lookup.default]
hostname = "mail.example.org"
"""


class Explain:
    """Runs the command on a settings file in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, settings: str = SETTINGS) -> Result:
        (self.folder / "config.toml").write_text(settings, encoding="utf-8")
        done = CliRunner().invoke(main, ["policy", "explain", *arguments], terminal_width=120)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    def data(self, *arguments: str) -> Any:
        """What ``--json`` writes."""
        done = self(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def part(self, name: str, *arguments: str) -> Any:
        """One part of it."""
        return next(part for part in self.data(*arguments)["parts"] if part["name"] == name)


@pytest.fixture
def explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Explain:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLASKMAIL_CONFIG", raising=False)
    monkeypatch.setenv("FLASKMAIL_DATA", str(tmp_path / "data"))
    return Explain(tmp_path)


FORWARDED = ("-H", "X-Forwarded-For: 6.6.6.6, 203.0.113.9", "-H", "X-Forwarded-Proto: https")


def test_a_request_through_a_proxy(explain: Explain) -> None:
    url = "http://mail.example.org/jmap/session?a=b"
    found = explain.data("--peer", "10.0.0.1", *FORWARDED, "--method", "post", "--origin", "https://a.example", url)
    assert found["request"] == {
        "method": "POST",
        "url": url,
        "peer": "10.0.0.1",
        "scheme": "http",
        "listener": "public",
        "headers": [
            ["Host", "mail.example.org"],
            ["X-Forwarded-For", "6.6.6.6, 203.0.113.9"],
            ["X-Forwarded-Proto", "https"],
            ["Origin", "https://a.example"],
        ],
    }
    results = {part["name"]: part["result"] for part in found["parts"]}
    assert results["client"]["address"] == "203.0.113.9"
    assert results["scheme"]["scheme"] == "https"
    assert results["url"]["url"] == "https://mail.example.org"
    assert results["hsts"]["sent"]
    assert (found["status"], found["answered_by"]) == (None, "application")
    assert not (explain.folder / "data").exists()


def test_who_asks_when_nobody_is_named(explain: Explain) -> None:
    assert explain.data("/")["request"]["peer"] == "127.0.0.1"
    assert explain.data("--listener", "inside", "/")["request"]["peer"] == ""
    public = '[server]\nbind = "0.0.0.0:80"\n'
    assert "from 192.0.2.1" in explain("/", settings=public).stdout
    assert "Client: unidentified" in explain("--peer", "unix", "/").stdout


def test_a_listener_that_does_not_serve_the_path(explain: Explain) -> None:
    found = explain.part("listener", "--listener", "inside", "/jmap/session")
    assert found["result"] == {"id": "inside", "ip": None, "port": None, "serves": False}
    assert found["why"] == ["the listener does not serve this path: the answer is 404"]
    assert explain.part("listener", "/jmap/session")["result"]["serves"]


def test_what_people_get_wrong_is_said(explain: Explain) -> None:
    assert "This listener speaks plain HTTP" in explain("https://mail.example.org/").stdout
    assert "This listener speaks plain HTTP" in explain.data("https://mail.example.org/")["notes"][0]
    told = explain("--peer", "203.0.113.1", *FORWARDED, "http://mail.example.org/").stdout
    assert "Removed unread" in told
    assert "set server.http.trusted-proxies" in " ".join(told.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mail.example.org",), "neither an http(s) URL nor a path"),
        (("ftp://a.example/",), "neither an http(s) URL nor a path"),
        (("--peer", "me", "/"), "neither an IP address nor unix"),
        (("-H", "X-A", "/"), "is not 'Name: value'"),
        (("--listener", "https", "/"), "is none of: public, inside"),
    ],
)
def test_wrong_arguments(explain: Explain, arguments: tuple[str, ...], sentence: str) -> None:
    done = explain(*arguments)
    assert done.exit_code == 2
    assert sentence in " ".join(done.output.replace("│", " ").split())


def test_wrong_settings_are_told(explain: Explain) -> None:
    done = explain("/", settings='[server.http]\nhsts = { max-age = "x" }\n')
    assert done.exit_code == 2
    assert "server.http.hsts" in done.output


def test_no_control_character_reaches_the_terminal(explain: Explain) -> None:
    told = explain("-H", "X-A: \x1b[2J\x07", "/\x1b").stdout
    assert "\x1b" not in told
    assert r"\x1b[2J\x07" in told


def filled(page: str) -> str:
    """The page with the output of every command that it shows."""
    return str(runpy.run_path(str(ROOT / ".ci" / "document_explain.py"))["filled"](page))


def test_the_page_shows_what_the_command_writes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("```console\n$ flaskmail policy explain") == 2
    assert page == filled(page), "run: make docs"
    assert page == filled(page.replace("Client: 203.0.113.9", "Client: 6.6.6.6"))


def test_the_page_names_every_part_and_member(explain: Explain) -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z_]+)`", page))
    found = explain.data("--peer", "10.0.0.1", *FORWARDED, "/")
    for part in found["parts"]:
        assert told >= {part["name"], *part, *part["result"]}, part["name"]
    for one in (
        found,
        found["request"],
        *found["headers"],
        *found["parts"][1]["settings"],
        *found["parts"][1]["result"]["walk"],
    ):
        assert told >= set(one), one
