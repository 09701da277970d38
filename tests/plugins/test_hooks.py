"""Each hook of the server, over HTTP and on the command line."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Blueprint, request
from visiting import Person

from flaskmail.accounts.grants import Grant
from flaskmail.accounts.totp import code_at
from flaskmail.cli import main
from flaskmail.errors import ConfigError, RequestError
from flaskmail.hookspecs import Credentials, Denied, Event, hookimpl
from flaskmail.jmap.method import Method
from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

HELLO = "https://example.com/jmap/hello"
CORE = "urn:ietf:params:jmap:core"


def get(made: MadeServer, path: str, **headers: str) -> Any:
    return made.send("GET", path, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


class Tickets:
    """Signs in whoever has a ticket."""

    @hookimpl
    def authenticate(self, server: Any, request: Any, credentials: Credentials) -> Any:
        who = request.headers.get("X-Ticket")
        if who == "stolen":
            return Denied("This ticket was given back.")
        if who == "broken":
            raise RuntimeError("no table of tickets")
        if who == "wrong":
            return "alice@example.org"
        if who == "odd":
            return Denied(5)  # type: ignore[arg-type]
        if who == "later":
            raise RequestError(429, "Later.", headers={"Retry-After": "3"})
        return server.directory.principals.get(who) if who else None


def test_hook_authenticate() -> None:
    with make_server(plugins=[Tickets()]) as made:
        alice = made.account("alice@example.org")
        assert get(made, "/jmap/session", X_Ticket="alice@example.org").status == 200
        # Our own credentials still count, but not against a plugin that knows better.
        assert alice.session["username"] == "alice@example.org"
        denied = get(made, "/jmap/session", X_Ticket="stolen", Authorization=basic("alice@example.org"))
        assert (denied.status, denied.json()["detail"]) == (401, "This ticket was given back.")
        assert get(made, "/jmap/session").status == 401
        assert get(made, "/jmap/session", X_Ticket="later").status == 429
        made.server.directory.principals.set_disabled("alice@example.org", True)
        assert get(made, "/jmap/session", X_Ticket="alice@example.org").status == 401


@pytest.mark.parametrize("ticket", ["broken", "wrong", "odd"])
def test_hook_authenticate_never_fails_open(ticket: str) -> None:
    with make_server(plugins=[Tickets()]) as made:
        made.account("alice@example.org")
        refused = get(made, "/jmap/session", X_Ticket=ticket, Authorization=basic("alice@example.org"))
        assert (refused.status, refused.json()["detail"]) == (503, "Credentials cannot be checked now.")
        assert list(made.server.plugins.failures.values()) == [1]


class PasswordsElsewhere:
    """Knows alice by a password that is stored nowhere here, and lets in whoever brings a header."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    @hookimpl
    def authenticate(self, server: Any, request: Any, credentials: Credentials) -> Any:
        self.asked.append(dict(request.headers))
        if request.headers.get("X-Remote-User"):
            return server.directory.principals.get(request.headers["X-Remote-User"])
        if credentials.scheme != "basic":
            return None
        name, password = request.authorization.username, request.authorization.password
        if password == "locked":
            return Denied("locked")
        if password == "later":
            raise RequestError(429, "Later.", headers={"Retry-After": "7"})
        if password == "broken":
            raise RuntimeError("no connection")
        alice = server.directory.principals.get("alice@example.org")
        if password == "a part":
            return replace(alice, grant=Grant("password", scopes=frozenset({"urn:ietf:params:jmap:mail"})))
        return alice if (name, password) == ("alice@example.org", "kept elsewhere") else None


def test_hook_authenticate_lets_people_in() -> None:
    plugin = PasswordsElsewhere()
    with make_server(plugins=[plugin], config="[authentication]\nfail-rate = '7/1h'\n") as made:
        for name in ("alice@example.org", "bob@example.org"):
            made.server.create_account(name, PASSWORD)

        def person(name: str = "alice@example.org", password: str = "kept elsewhere", **headers: str) -> Person:
            found = Person(made.app.test_client(), **headers)
            found.sign_in(name, password)
            return found

        for password, status in (
            ("kept elsewhere", 303),
            (PASSWORD, 303),
            ("wrong", 422),
            ("locked", 422),
            ("a part", 422),
            ("later", 429),
            ("broken", 503),
        ):
            assert person(password=password).page.status_code == status, password
        assert person("bob@example.org").page.status_code == 422
        # What the browser or a proxy sends along proves nothing here, and is not shown.
        assert person("bob@example.org", "wrong", **{"X-Remote-User": "bob@example.org"}).page.status_code == 422
        assert "X-Remote-User" not in plugin.asked[-1]
        assert "Cookie" not in plugin.asked[-1]
        # Whoever is signed in confirms to be the same.
        bob = person("bob@example.org", PASSWORD)
        bob.get("/login?again=1")
        assert bob.send("/login", password="kept elsewhere").status_code == 422
        # Wrong ones fill the buckets as ever, and a colon leads to no other.
        for _ in range(9):
            waits = person("bob@example.org", "wrong").page
        assert waits.status_code == 429
        asked = len(plugin.asked)
        assert person("bob@example.org:a", "b").page.status_code in (422, 429)
        assert len(plugin.asked) == asked


def test_hook_authenticate_leaves_the_second_factor_alone() -> None:
    with make_server(plugins=[PasswordsElsewhere()]) as made:
        made.server.create_account("alice@example.org", PASSWORD)
        alice = Person(made.app.test_client())
        alice.sign_in("alice@example.org", "kept elsewhere")
        known = basic("alice@example.org", "kept elsewhere")
        assert get(made, "/jmap/session", Authorization=known).status == 200
        factors, principal = (
            made.server.directory.second_factors,
            made.server.directory.principals.get("alice@example.org"),
        )
        factors.enrol(principal)
        secret = base64.b32decode(factors.enrolment(principal, "x").secret)
        step = int(time.time()) // 30
        factors.confirm(principal, code_at(secret, step))
        assert get(made, "/jmap/session", Authorization=known).status == 401
        alice.get("/account/second-factor")
        refused = alice.send("/account/second-factor/remove", password="kept elsewhere", code="000000")
        assert "code-error" in refused.text
        assert "password-error" not in refused.text
        again = Person(made.app.test_client())
        again.sign_in("alice@example.org", "kept elsewhere")
        again.follow()
        assert "six digits" in again.page.text
        assert again.get("/account").status_code == 303


class Judges:
    """Objects to what it is told to, and breaks where it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    @hookimpl
    def authorize(self, principal: Any, permission: str, resource: Any) -> Any:
        self.asked.append((principal.name, permission, resource))
        match resource.get("name"):
            case "forbidden":
                return Denied("Not this one.")
            case "silent":
                return Denied()
            case "broken":
                raise RuntimeError("no table of judges")
            case "wrong":
                return True
        return None


class Friendly:
    """Has nothing against anything: that does not outweigh another's objection."""

    @hookimpl(tryfirst=True)
    def authorize(self) -> None:
        return None


def test_hook_authorize() -> None:
    judges = Judges()
    with make_server(plugins=[judges, Friendly()]) as made:
        server = made.server
        made.account("alice@example.org")
        server.ensure_admin()
        admin, alice = (server.directory.principals.get(name) for name in ("admin", "alice@example.org"))
        assert server.authorize(admin, "individual-delete", {"name": "bob"}).may("individual-delete")
        assert judges.asked == [("admin", "individual-delete", {"name": "bob"})]
        told = {
            "forbidden": "Not this one.",
            "silent": "This is not allowed.",
            # Whoever fails, or answers nonsense, has not agreed.
            "broken": "Whether this is allowed cannot be found out now.",
            "wrong": "Whether this is allowed cannot be found out now.",
        }
        for name, detail in told.items():
            with pytest.raises(RequestError) as caught:
                server.authorize(admin, "individual-delete", {"name": name})
            assert (caught.value.status, caught.value.detail) == (403, detail)
            assert caught.value.extra == {"permission": "individual-delete"}
        # What the permissions do not allow is refused without asking.
        judges.asked.clear()
        with pytest.raises(RequestError) as caught:
            server.authorize(alice, "individual-delete", {"name": "bob"})
        assert (caught.value.status, caught.value.extra) == (403, {"permission": "individual-delete"})
        assert "individual-delete" in caught.value.detail
        assert judges.asked == []


def test_hook_authorize_is_not_outvoted_by_a_wrapper_that_forgets_to_return() -> None:
    class Forgets:
        @hookimpl(wrapper=True)
        def authorize(self) -> Any:
            yield

    with make_server(plugins=[Judges(), Forgets()]) as made:
        made.server.ensure_admin()
        admin = made.server.directory.principals.get("admin")
        with pytest.raises(RequestError) as caught:
            made.server.authorize(admin, "individual-delete", {"name": "forbidden"})
        assert caught.value.status == 403
        assert list(made.server.plugins.failures.values()) == [1]


class Hello:
    """A capability with something to say."""

    @hookimpl
    def jmap_methods(self) -> list[Method]:
        return [Method("Example/hello", HELLO, lambda ctx, arguments: {"hello": ctx.username})]

    @hookimpl
    def session_capabilities(self, server: Any, principal: Any, account: Any) -> dict[str, Any]:
        if account is None:
            return {HELLO: {"version": 2}, CORE: {"maxSizeUpload": 0}, "https://example.com/none": {}}
        return {HELLO: {"greets": principal.name, "account": account.id}}

    @hookimpl
    def discovery_metadata(self, server: Any, document: Any, kind: str) -> dict[str, Any]:
        return {"support": f"mailto:{document['username']}", "kind": kind, "username": "mallory", "state": "s"}


class Broken:
    """Fails wherever it is asked."""

    @hookimpl
    def session_capabilities(self) -> Any:
        raise RuntimeError("nothing to say")

    @hookimpl
    def discovery_metadata(self) -> Any:
        return ["no mapping"]


def test_hook_session_capabilities() -> None:
    with make_server() as plain, make_server(plugins=[Hello(), Broken()]) as made:
        before = plain.account("alice@example.org").session
        alice = made.account("alice@example.org")
        session = alice.session
        assert session["capabilities"][HELLO] == {"version": 2}
        of_account = session["accounts"][alice.id]["accountCapabilities"]
        assert of_account[HELLO] == {"greets": "alice@example.org", "account": alice.id}
        assert session["capabilities"][CORE] == before["capabilities"][CORE]
        assert session["capabilities"].keys() == before["capabilities"].keys() | {HELLO}
        assert alice.call("Example/hello")["hello"] == "alice@example.org"
        assert made.server.plugins.failures


def test_hook_discovery_metadata() -> None:
    with make_server(plugins=[Broken(), Hello()]) as made:
        session = made.account("alice@example.org").session
        assert session["support"] == "mailto:alice@example.org"
        assert session["kind"] == "jmap-session"
        assert session["username"] == "alice@example.org"
        assert session["state"] != "s"


@pytest.mark.parametrize("name", ["text", "\udc80"])
def test_hook_discovery_metadata_cannot_break_what_is_served(name: str) -> None:
    class Spoils:
        @hookimpl
        def discovery_metadata(self, document: Any) -> Any:
            document.get("capabilities", {}).clear()
            document["scopes_supported"] = []
            return {name: object() if name == "text" else 1}

    with make_server() as plain, make_server(plugins=[Spoils()]) as made:
        told = plain.send("GET", "/.well-known/oauth-authorization-server", {}, b"").json()
        assert (
            get(made, "/.well-known/oauth-authorization-server").json()["scopes_supported"] == told["scopes_supported"]
        )
        assert CORE in made.account("alice@example.org").session["capabilities"]
        assert list(made.server.plugins.failures.values()) == [2]


def test_hook_session_capabilities_is_checked() -> None:
    class Odd(Hello):
        @hookimpl
        def session_capabilities(self, server: Any, principal: Any, account: Any) -> Any:
            return {HELLO: ["no object"]}

    with make_server(plugins=[Odd()]) as made:
        assert made.account("alice@example.org").session["capabilities"][HELLO] == {}
        assert list(made.server.plugins.failures.values()) == [2]


class Page:
    """A page of its own."""

    def __init__(self, prefix: Any = "/hello") -> None:
        self.prefix = prefix

    @hookimpl
    def register_blueprints(self, server: Any) -> Any:
        blueprint = Blueprint("hello", __name__)

        @blueprint.get("/")
        def hello() -> str:
            return f"Hello, {request.remote_addr} at {server.settings.storage.path.name}"

        @blueprint.get("/broken")
        def broken() -> str:
            raise RuntimeError("a secret of the plugin")

        return [(blueprint, self.prefix)]


def test_hook_register_blueprints() -> None:
    with make_server(plugins=[Page()], config="[server.http]\nheaders = ['X-A: b']\n") as made:
        answer = get(made, "/hello/")
        assert (answer.status, answer.body) == (200, b"Hello, 127.0.0.1 at data")
        assert dict(answer.headers)["X-A"] == "b"
        broken = get(made, "/hello/broken")
        assert broken.status == 500
        assert b"secret" not in broken.body
        assert made.account("alice@example.org").session


@pytest.mark.parametrize("prefix", ["hello", None])
def test_hook_register_blueprints_names_who_is_wrong(prefix: Any) -> None:
    with pytest.raises(ConfigError, match="register_blueprints"):
        make_server(plugins=[Page(prefix)])
    with pytest.raises(ConfigError, match=r"Page.*'hello', which is already registered"):
        make_server(plugins=[Page(), Page()])


def test_hook_register_blueprints_has_plain_names_to_itself() -> None:
    class Plain:
        @hookimpl
        def register_blueprints(self) -> Any:
            return [
                (Blueprint(name, __name__), f"/{name}") for name in ("pages", "oauth", "management", "doctor", "api")
            ]

    with make_server(plugins=[Plain()]) as made:
        assert get(made, "/login").status == 200


def test_hook_observe() -> None:
    events: list[Event] = []

    class Watches:
        @hookimpl
        def observe(self, server: Any, event: Event) -> None:
            events.append(event)

    with make_server(plugins=[Watches()]) as made:
        alice = made.account("alice@example.org")
        assert alice.session
        for authorization in ("Basic YWxpY2VAZXhhbXBsZS5vcmc6d3Jvbmc=", "Basic aHVudGVyMjpub25l", "Bearer no"):
            assert get(made, "/jmap/session", Authorization=authorization).status == 401
        made.server.delete_account("alice@example.org")
    names = [event.name for event in events]
    assert names[:2] == ["server.started", "account.created"]
    assert names[-1] == "account.deleted"
    failed = [event.data for event in events if event.name == "authentication.failed"]
    assert [(one["account"], one["scheme"], one["status"]) for one in failed] == [
        ("alice@example.org", "basic", 401),
        # The name may be a password in the wrong field.
        (None, "basic", 401),
        (None, "bearer", 401),
    ]
    requests = [event.data for event in events if event.name == "http.request"]
    assert requests[0]["account"] == "alice@example.org"
    assert "hunter2" not in json.dumps([dict(event.data) for event in events])


COMMAND = """
import click
from flaskmail.hookspecs import hookimpl

__version__ = "1.2"

@hookimpl
def register_commands(server, cli):
    @cli.command()
    def {name}():
        "Says hello."
        click.echo(f"hello from {{server.settings.storage.path.name}}")

@hookimpl
def startup():
    pass

@hookimpl
def observe():
    pass
"""


def run(folder: Path, *arguments: str) -> Any:
    environ = {"FLASKMAIL_CONFIG": str(folder / "config.toml"), "FLASKMAIL_DATA": str(folder / "data")}
    return CliRunner().invoke(main, arguments, env=environ)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text("[plugins]\npaths = ['more/hello.py', 'others']\ndisabled = ['broken']\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "more/hello.py").write_text(COMMAND.format(name="greet"))
    (tmp_path / "others/broken.py").write_text("1 / 0\n")
    return tmp_path


def test_hook_register_commands(folder: Path) -> None:
    greeted = run(folder, "greet")
    assert greeted.exception is None, greeted.exception
    assert (greeted.exit_code, greeted.output) == (0, "hello from data\n")
    assert "Says hello." in run(folder, "--help").output
    assert "(Possible commands: 'greet')" in run(folder, "gret").output or "greet" in run(folder, "gret").output
    assert not (folder / "data").exists()


def test_hook_register_commands_does_not_hide_ours(folder: Path) -> None:
    (folder / "more/hello.py").write_text(COMMAND.format(name="verify"))
    helped = run(folder, "--help")
    assert helped.exit_code == 0
    assert "hello: register_commands: found 'verify'" in helped.stderr
    for name in ("more/hello.py", "others/again.py"):
        (folder / name).write_text(COMMAND.format(name="greet"))
    assert "again: register_commands: found 'greet'" in run(folder, "greet").stderr
    (folder / "others/again.py").unlink()
    (folder / "more/hello.py").write_text("1 / 0\n")
    assert "ZeroDivisionError" in run(folder, "nothing").stderr
    assert run(folder, "config", "check").exit_code == 0


def test_the_command_plugins(folder: Path) -> None:
    shown = run(folder, "plugins", "--json")
    assert shown.exit_code == 0, shown.output
    hello, broken = (one for one in json.loads(shown.stdout) if one["source"] == "folder")
    assert hello == {
        "name": "hello",
        "version": "1.2",
        "source": "folder",
        "file": str(folder / "more/hello.py"),
        "blocked": False,
        "hooks": {"startup": 1, "register_commands": 1, "observe": 1},
        "provisional": ["register_commands", "observe"],
        "failures": [],
    }
    assert (broken["blocked"], broken["hooks"]) == (True, {})
    table = run(folder, "plugins").stdout
    assert "observe* 1" in table
    assert "disabled" in table
    assert "proxies" not in table
    assert "proxies" in run(folder, "plugins", "--all").stdout
    (folder / "config.toml").write_text("[plugins]\ndisabled = ['proxies']\n")
    refused = run(folder, "plugins")
    assert refused.exit_code == 2
    assert "built-in" in refused.stderr


def test_built_in_plugins_come_last() -> None:
    with make_server(plugins=[Tickets()]) as made:
        asked = made.server.plugins.implementations("authenticate")
        assert [one.plugin_name for one in asked][-1] == "credentials"
