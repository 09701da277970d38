"""The examples of the documentation, as they stand there."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import flask
import pytest

from flaskmail import config
from flaskmail.server import Server
from flaskmail.testing import PASSWORD, Jmap, basic, make_server

ROOT = Path(__file__).parents[2]
NOTES = f"[plugins]\npaths = ['{ROOT / 'plugins'}']\n"


@pytest.fixture(params=["memory", "sqlite"])
def alice(request: pytest.FixtureRequest) -> Iterator[Jmap]:
    with make_server(config=NOTES, store=request.param) as made:
        yield made.account("alice@example.org")


def test_notes_have_every_method(alice: Jmap) -> None:
    before = alice.call("Note/get", ids=[])["state"]
    made = alice.call(
        "Note/set",
        create={
            "a": {"title": "Milk and bread", "text": "two litres of milk", "tags": {"shop": True}},
            "b": {"title": "Call Bob", "created": "2026-01-02T03:04:05Z"},
        },
    )["created"]
    assert made["a"]["words"] == 4
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["a"]["created"])
    a, b = made["a"]["id"], made["b"]["id"]
    assert set(alice.call("Note/changes", sinceState=before)["created"]) == {a, b}
    assert alice.call("Note/query", filter={"tag": "shop"})["ids"] == [a]
    assert alice.call("Note/query", filter={"title": "BOB"})["ids"] == [b]
    assert alice.call("Note/query", filter={"after": "2026-01-02T03:04:06Z"})["ids"] == [a]
    by_title = alice.call("Note/query", sort=[{"property": "title"}])
    assert by_title["ids"] == [b, a]
    assert alice.call("Note/set", update={b: {"title": "Write to Bob", "tags/people": True}})["updated"] == {b: None}
    changed = alice.call("Note/queryChanges", sinceQueryState=by_title["queryState"], sort=[{"property": "title"}])
    assert changed["added"] == [{"id": b, "index": 1}]
    wrong = alice.call("Note/set", update={b: {"created": "2027-01-01T00:00:00Z"}})["notUpdated"][b]
    assert (wrong["type"], wrong["properties"]) == ("invalidProperties", ["created"])
    assert alice.call("Note/set", destroy=[a])["destroyed"] == [a]


def test_only_three_notes_are_pinned(alice: Jmap) -> None:
    done = alice.call("Note/set", create={f"n{i}": {"title": str(i), "pinned": True} for i in range(4)})
    assert len(done["created"]) == 3
    [refused] = done["notCreated"].values()
    assert (refused["type"], refused["description"]) == ("overLimit", "At most 3 notes can be pinned.")
    assert len(alice.call("Note/query", filter={"pinned": True})["ids"]) == 3


def test_the_application_that_embeds_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.loading.DATA_VARIABLE, str(tmp_path / "data"))
    monkeypatch.delenv(config.loading.CONFIG_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    example = runpy.run_path(str(ROOT / "docs/examples/embedding.py"))
    server: Server = example["server"]
    app: flask.Flask = example["app"]
    assert not (tmp_path / "data").exists()
    client = app.test_client()
    try:
        assert server.ensure_admin() is not None
        assert server.ensure_admin() is None
        server.create_account("alice@example.org", PASSWORD)
        headers = {"Authorization": basic("alice@example.org")}
        session = client.get("/.well-known/jmap", headers=headers).get_json()
        assert session["apiUrl"] == "http://localhost/mail/jmap/"
        call = {"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {"a": 1}, "0"]]}
        answer = client.post("/mail/jmap/", json=call, headers=headers).get_json()
        assert answer["methodResponses"] == [["Core/echo", {"a": 1}, "0"]]
        assert client.get("/healthz/ready").status_code == 200
        assert client.get("/").text == "Hello"
        assert client.get("/mail/jmap/session").content_type == "application/problem+json"
        assert client.get("/nowhere").content_type.startswith("text/html")
    finally:
        server.close()


def test_the_plugin_of_the_first_page() -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    plugin = type("Hello", (), {})()
    exec(blocks[0], vars(plugin))
    with make_server(plugins=[plugin]) as made:
        assert made.account("alice@example.org").call("Example/hello")["hello"] == "alice@example.org"
