"""Plugins in a whole server: what they register is served over HTTP like what is built in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flaskmail.datatypes.mail.mailbox import Mailbox
from flaskmail.errors import ConfigError
from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.method import Method
from flaskmail.testing import MadeServer, make_server

from ..support.notes import CAPABILITY, Note


class Notes:
    """A plugin with a data type, a method, and a start-up hook."""

    def __init__(self) -> None:
        self.started: list[tuple[Any, int]] = []

    @hookimpl
    def jmap_datatypes(self) -> list[type[DataType]]:
        return [Note]

    @hookimpl
    def jmap_methods(self) -> list[Method]:
        return [Method("Note/count", CAPABILITY, lambda ctx, arguments: {"types": sorted(ctx.types)})]

    @hookimpl
    def startup(self, server: Any) -> None:
        # The server can be used already.
        assert "Note" in server.types
        self.started.append((server, os.getpid()))


@pytest.fixture(params=["memory", "sqlite"])
def made(request: pytest.FixtureRequest) -> Iterator[MadeServer]:
    with make_server(plugins=[Notes()], store=request.param) as made:
        yield made


def test_a_plugins_type_is_served_with_all_six_methods(made: MadeServer) -> None:
    alice = made.account("alice@example.org")
    assert CAPABILITY in alice.session["capabilities"]
    assert CAPABILITY in alice.session["accounts"][alice.id]["accountCapabilities"]
    before = alice.call("Note/get", ids=[])["state"]
    made_note = alice.call("Note/set", create={"n": {"title": "milk"}})
    id = made_note["created"]["n"]["id"]
    assert alice.call("Note/get", ids=[id], properties=["title"])["list"] == [{"id": id, "title": "milk"}]
    assert alice.call("Note/changes", sinceState=before)["created"] == [id]
    found = alice.call("Note/query")
    assert found["ids"] == [id]
    alice.call("Note/set", update={id: {"title": "bread"}})
    assert alice.call("Note/changes", sinceState=made_note["newState"])["updated"] == [id]
    changes = alice.call("Note/queryChanges", sinceQueryState=found["queryState"])
    assert {added["id"] for added in changes["added"]} <= {id}
    assert alice.attempt("Note/copy", fromAccountId=alice.id, create={"c": {"id": id}})[1]["type"] == "invalidArguments"
    assert alice.call("Note/set", destroy=[id])["destroyed"] == [id]
    assert "Note" in alice.call("Note/count")["types"]


def test_start_up_is_once_a_process(made: MadeServer) -> None:
    plugin = Notes()
    with make_server(plugins=[plugin]) as other:
        assert plugin.started == []
        other.account("alice@example.org")
        other.account("bob@example.org")
        assert plugin.started == [(other.server, os.getpid())]


def test_a_plugin_that_does_not_start_stops_the_server() -> None:
    class Broken:
        @hookimpl
        def startup(self) -> None:
            raise RuntimeError("no such bucket")

    with make_server(plugins=[Broken()]) as made:
        for _ in range(2):
            with pytest.raises(ConfigError, match="no such bucket"):
                made.server.store  # noqa: B018 - opening is what fails


def test_what_a_plugin_has_wrong_is_said_when_the_server_is_made() -> None:
    class Misspelt:
        @hookimpl
        def jmap_datatype(self) -> list[type[DataType]]:
            return [Note]

    with pytest.raises(ConfigError, match="jmap_datatypes"):
        make_server(plugins=[Misspelt()])
    with pytest.raises(ConfigError, match="Note"):
        make_server(plugins=[Notes(), Notes()])


def answers_hello(ctx: Any, arguments: Any) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("hook", "answer", "told"),
    [
        ("jmap_datatypes", 5, "a class made of flaskmail.jmap.datatype.DataType"),
        ("jmap_datatypes", int, "a class made of"),
        ("jmap_datatypes", Mailbox, "found 'Mailbox', expected a data type with a name that is not there yet"),
        ("jmap_methods", "Foo/bar", "a flaskmail.jmap.method.Method"),
        ("jmap_methods", Method("Foo", "urn:example:a", answers_hello), "the name of a method, like 'Foo/bar'"),
        ("jmap_methods", Method("Foo/bar", "", answers_hello), "the capability of Foo/bar as a URI"),
        ("jmap_methods", Method("Foo/bar", "urn:example:a", 5), "a function that answers"),  # type: ignore[arg-type]
        (
            "jmap_methods",
            Method("Email/get", "urn:example:a", answers_hello),
            "found 'Email/get', expected a method with",
        ),
    ],
)
def test_a_plugin_that_declares_something_wrong_is_named(hook: str, answer: Any, told: str) -> None:
    wrong = type("Wrong", (), {hook: staticmethod(hookimpl(lambda server: [answer]))})
    with pytest.raises(ConfigError, match=told) as refused:
        make_server(plugins=[wrong])
    assert [(problem.where, problem.key) for problem in refused.value.problems] == [("Wrong", hook)]


@pytest.mark.parametrize("call", [lambda: sys.exit(3), lambda: None, lambda: "x", lambda: ["x"], lambda: [("x", 1)]])
def test_a_method_that_ends_the_process_or_answers_nonsense_fails_alone(call: Any) -> None:
    class Ends:
        @hookimpl
        def jmap_methods(self) -> list[Method]:
            return [Method("Foo/end", CAPABILITY, lambda ctx, arguments: call())]

        @hookimpl
        def observe(self) -> None:
            sys.exit(3)

    with make_server(plugins=[Ends()]) as made:
        assert made.account("alice@example.org").attempt("Foo/end")[1]["type"] == "serverFail"


def test_plugins_of_a_folder_and_disabled_ones(tmp_path: Path) -> None:
    (tmp_path / "extra.py").write_text(
        "from flaskmail.hookspecs import hookimpl\n"
        "from flaskmail.jmap.method import Method\n"
        "@hookimpl\n"
        "def jmap_methods():\n"
        "    return [Method('Extra/hello', 'urn:example:extra', lambda ctx, arguments: {'hello': ctx.username})]\n"
    )
    config = f"[plugins]\npaths = ['{tmp_path}']\n"
    with make_server(config=config) as made:
        assert made.account("alice@example.org").call("Extra/hello")["hello"] == "alice@example.org"
    with make_server(config=config + "disabled = ['extra']\n") as made:
        assert made.account("alice@example.org").attempt("Extra/hello")[1]["type"] == "unknownMethod"
    with pytest.raises(ConfigError, match="did you mean 'extra'") as refused:
        make_server(config=config + "disabled = ['extras']\n[plugins.extr]\n")
    keys = [(Path(problem.where).name, problem.key) for problem in refused.value.problems]
    assert keys == [("config.toml", "plugins.disabled"), ("config.toml", "plugins.extr")]
