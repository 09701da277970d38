"""Explanations agree with what the policy does, whatever the request, and touch nothing."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from policyapp import Answered, bare_app, environ_of, vectors

from flaskmail.config import load
from flaskmail.errors import ConfigError
from flaskmail.hookspecs import Client, CorsDecision, Event, RateDecision, Refusal, hookimpl
from flaskmail.policy import HttpPolicy
from flaskmail.policy.explaining import HIDDEN, explain, request_environ
from flaskmail.policy.explanation import Explanation
from flaskmail.policy.plan import of_settings
from flaskmail.sockets import Place


def explained(settings: dict[str, Any], environ: dict[str, Any], plugins: Iterable[object] = ()) -> Explanation:
    """The explanation, made before anything else is asked of the policy."""
    return explain(HttpPolicy(bare_app(), settings, plugins).policy, environ)


def agrees(settings: dict[str, Any], environ: dict[str, Any], plugins: Iterable[object] = ()) -> Explanation:
    """Asserts that a request is answered as its explanation says, and answers the explanation."""
    found = explained(settings, dict(environ), plugins)
    app = bare_app()
    bare = Answered(app, dict(environ))
    HttpPolicy(app, settings, plugins)
    answered = Answered(app, dict(environ))
    told = Counter((one.name, one.value) for one in found.headers)
    if found.answered_by == "application":
        assert found.status is None
        own = {name.lower() for name, _ in bare.headers}
        assert told.keys() - set(answered.headers) <= {pair for pair in told if pair[0].lower() in own | {"vary"}}
        added = Counter(pair for pair in answered.headers if pair[0].lower() not in own)
        assert added == Counter({pair: count for pair, count in told.items() if pair[0].lower() not in own})
    else:
        assert (found.status, Counter(answered.headers)) == (answered.status, told)
    json.dumps(found.as_data())
    return found


@pytest.mark.parametrize("row", vectors("forwarded.json"))
def test_the_client_of_every_vector_is_explained(row: dict[str, Any]) -> None:
    if row["expect"].get("config_error"):
        with pytest.raises(ConfigError):
            explained(row["settings"], {})
        return
    expect, found = row["expect"], agrees(row["settings"], environ_of(row))
    client = found.part("client")
    assert client.plugin
    if "error" in expect:
        assert (found.status, found.answered_by) == (
            expect["status"],
            "client" if "forward" in expect["error"] else "host",
        )
        return
    assert client.result is not None
    assert client.result["address"] == expect["client_ip"]
    assert [found.part(name).result[name] for name in ("scheme", "host")] == [expect["proto"], expect["host"]]  # type: ignore[index]
    walk = client.result["walk"]
    for header in ("X-Forwarded-For", "Forwarded"):
        steps = [step for step in walk if step["header"] == header]
        if steps:
            assert steps[-1]["address"] == expect["client_ip"]
            assert {step["verdict"] for step in steps[:-1]} <= {"trusted"}
    assert bool(walk) == client.result["forwarded"]


@pytest.mark.parametrize("row", vectors("http_policy.json"))
def test_what_leaves_with_every_vector_is_explained(row: dict[str, Any]) -> None:
    if row["expect"].get("config_error"):
        with pytest.raises(ConfigError):
            explained(row["settings"], {})
        return
    asked = row["request"]
    found = agrees(row["settings"], environ_of(asked, asked["path"], asked["method"]))
    for one in found.headers:
        if one.source.startswith("server.http."):
            name = one.source.removeprefix("server.http.")
            assert one.origin == ("given" if name in row["settings"] else "default"), one


PEERS = ("10.0.0.1", "203.0.113.7", "127.0.0.1", "", "::1", "fe80::1%eth0")
HEADERS = {
    "X-Forwarded-For": ("198.51.100.7", "6.6.6.6, 10.0.0.2", "unknown", "x", "127.0.0.1"),
    "X-Forwarded-Proto": ("https", "http", "gopher"),
    "Forwarded": ("for=198.51.100.7;proto=https", 'for="[::1]"', 'for="'),
    "Origin": ("https://app.example", "https://a.example.org", "https://evil.example", "null"),
    "Access-Control-Request-Method": ("POST",),
    "Authorization": ("Basic YTpi",),
    "Host": ("mail.example", "mail example", "b:99999"),
}
SETTINGS: dict[str, tuple[Any, ...]] = {
    "use-x-forwarded": (True, False),
    "trusted-proxies": (["10.0.0.0/8"], ["private"], ["unix"]),
    "forwarded-header": ("x-forwarded", "forwarded", "auto"),
    "hsts": (True, False, {"max-age": 5}),
    "https-redirect": (True, False),
    "url": ("https://mail.example.org/mail", "protocol + '://' + remote_ip", "protocol + '://a.example:' + local_port"),
    "permissive-cors": (True,),
    "cors-origins": (["https://app.example"], ["https://*.example.org"]),
    "allowed-endpoint": ("if_then(remote_ip == '198.51.100.7', 404, 200)", "remote_ip / 2", "503"),
    "rate-limit": ({"anonymous": False}, {"anonymous": "2/1h"}),
    "headers": (["X-A: 1", "X-A: 2", "Referrer-Policy: origin"],),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_explanations_agree_whatever_is_asked_and_set(caplog: pytest.LogCaptureFixture) -> None:
    dice, seen = random.Random(3), Counter[str]()
    for _ in range(200):
        settings = {name: dice.choice(values) for name, values in SETTINGS.items() if dice.random() < 0.4}
        if "permissive-cors" in settings:
            settings.pop("cors-origins", None)
        headers = [[name, dice.choice(values)] for name, values in HEADERS.items() if dice.random() < 0.3]
        row = {"socket_peer": dice.choice(PEERS), "scheme": dice.choice(("http", "https")), "headers": headers}
        path = dice.choice(("/seen", "/jmap/session", "/login/x", "/healthz/live", "/status/500", "/x?access_token=1"))
        environ = environ_of(row, path, dice.choice(("GET", "POST", "OPTIONS", "HEAD")))
        seen[agrees(settings, environ).answered_by] += 1
    assert set(seen) >= {"application", "client", "host", "cors", "redirect", "access"}, seen


def proxied(**more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    row = {
        "socket_peer": "10.0.0.1",
        "headers": [["X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.2"], ["X-Forwarded-Proto", "https"]],
    }
    return {"use-x-forwarded": True, "trusted-proxies": ["10.0.0.0/8"], **more}, environ_of(row)


def test_the_walk_is_told_step_by_step_from_the_right() -> None:
    settings, environ = proxied()
    client = explained(settings, environ).part("client")
    assert client.result is not None
    assert [(step["text"], step["verdict"]) for step in client.result["walk"]] == [
        ("10.0.0.2", "trusted"),
        ("198.51.100.7", "client"),
    ]
    assert client.result["removed"] == ["X-Forwarded-For", "X-Forwarded-Proto"]
    assert [one.key for one in client.settings][:2] == ["server.http.use-x-forwarded", "server.http.trusted-proxies"]
    assert [one.origin for one in client.settings] == ["given", "given", "default", "default"]


def test_what_is_not_believed_is_named_with_the_setting() -> None:
    _, environ = proxied()
    found = explained({}, environ)
    client = found.part("client")
    assert client.result is not None
    assert (client.result["address"], client.result["walk"]) == ("10.0.0.1", [])
    assert client.result["removed"] == ["X-Forwarded-For", "X-Forwarded-Proto"]
    assert "use-x-forwarded is off" in client.why[0]
    assert "server.http.use-x-forwarded" in found.warnings[0]


def test_the_url_comes_with_its_expression_and_variables() -> None:
    settings, environ = proxied(url="protocol + '://' + remote_ip + ':' + local_port")
    url = explained(settings, environ).part("url")
    assert url.result == {
        "url": "https://198.51.100.7",
        "expression": "protocol + '://' + remote_ip + ':' + local_port",
        "variables": {"local_port": 443, "protocol": "https", "remote_ip": "198.51.100.7"},
    }
    settings["url"] = "if_then(is_tls, 'nowhere', 'https://a.example')"
    failed = explained(settings, environ).part("url")
    assert failed.result is not None
    assert failed.result["url"] == "https://localhost"
    assert "the default is used instead" in failed.why[1]


def test_a_failing_endpoint_rule_is_told_with_the_reason() -> None:
    settings, environ = proxied(**{"allowed-endpoint": "1 / (local_port - 443)"})
    found = explained(settings, environ)
    assert (found.status, found.answered_by) == (403, "access")
    assert "it failed, so it is closed" in found.part("access").why[1]
    assert found.part("limits").result is None


def test_secrets_of_the_request_are_not_shown() -> None:
    settings = {
        "url": "if_then(contains(headers, 'x'), 'https://a.example', 'https://b.example')",
        "allowed-endpoint": "if_then(contains(url, 'y'), 404, 200)",
    }
    row = {"headers": [["Authorization", "Bearer geheim"], ["Cookie", "sid=geheim"]]}
    found = explained(settings, environ_of(row, "/x?access_token=geheim&a=b"))
    text = json.dumps(found.as_data())
    assert "geheim" not in text
    assert text.count(HIDDEN) == 6
    assert found.request["url"].endswith(f"/x?access_token={HIDDEN}&a=b")


def test_nothing_is_counted_logged_or_changed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = bare_app()
    policy = HttpPolicy(
        app, {"use-x-forwarded": True, "allowed-endpoint": "if_then(is_tls, 200, 1 / (local_port - 80))", "hsts": True}
    ).policy
    caplog.clear()
    row = {"socket_peer": "10.0.0.1", "headers": [["X-Forwarded-For", "x"]]}
    for peer, scheme in (("10.0.0.1", "http"), ("203.0.113.7", "http"), ("203.0.113.7", "https")):
        environ = environ_of(row | {"socket_peer": peer, "scheme": scheme})
        before = dict(environ)
        explain(policy, environ)
        assert environ == before
    assert caplog.records == []
    assert policy.steps is None
    environ = environ_of({"socket_peer": "203.0.113.8", "scheme": "https", "headers": []})
    assert explain(policy, environ) == explain(policy, environ)
    assert "r=99" in Answered(app, environ).all("RateLimit")[0]


def test_settings_are_named_with_the_file_they_come_from(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[server.http]\nheaders = ["X-A: %{env:SEEN}%"]\n[lookup.default]\nhostname = "mail.example.org"\n',
        encoding="utf-8",
    )
    settings = load(file, {"SEEN": "yes"})
    environ = request_environ(
        "GET", "http", "/%C3%BC?a", "192.0.2.1", Place("default", "127.0.0.1", 8080), [("Host", "x")]
    )
    found = explain(of_settings(settings), environ, settings)
    [sent] = [one for one in found.headers if one.name == "X-A"]
    assert (sent.value, sent.source, sent.origin) == ("yes", "server.http.headers", str(file))
    url = found.part("url")
    assert url.result is not None
    assert url.result["url"] == "http://mail.example.org:8080"
    assert [(one.key, one.origin) for one in url.settings] == [
        ("server.http.url", "default"),
        ("lookup.default.hostname", str(file)),
    ]
    assert found.request["url"] == "http://x/ü?a".encode().decode("latin-1")


def test_an_expression_stands_as_it_is_configured() -> None:
    rules = [{"if": "is_tls", "then": 200}, {"else": "if_then(url_path == '/x', 404, 200)"}]
    found = explained({"allowed-endpoint": rules}, environ_of({}, "/x")).part("access").result
    assert found is not None
    written = """[{ if = "is_tls", then = "200" }, { else = "if_then(url_path == '/x', 404, 200)" }]"""
    assert (found["status"], found["expression"]) == (404, written)


class Everything:
    """Decides whatever a plugin may decide, as the header X-Ask says; fails where it says so."""

    def __init__(self) -> None:
        self.__name__ = "Everything"
        self.seen: list[Event] = []

    @hookimpl
    def client_address(self, scheme: str, headers: Any) -> Client | None:
        self.fails("client", headers.get("x-ask"))
        return Client("192.0.2.77", "https") if headers.get("x-ask") == "client" else None

    @hookimpl
    def refuse_request(self, request: Any) -> Refusal | None:
        self.fails("access", request.headers.get("X-Ask"))
        given = (("X-Refused", "1"),)
        return Refusal(451, "Not here.", given) if request.headers.get("X-Ask") == "access" else None

    @hookimpl
    def rate_limit(self, request: Any) -> RateDecision | None:
        self.fails("limits", request.headers.get("X-Ask"))
        return RateDecision(9, (("X-Limit", "9"),)) if request.headers.get("X-Ask") == "limits" else None

    @hookimpl
    def cors_decision(self, origin: str, request: Any) -> CorsDecision | None:
        self.fails("cors", request.headers.get("X-Ask"))
        return CorsDecision(True) if request.headers.get("X-Ask") == "cors" else None

    @hookimpl
    def response_headers(self, request: Any) -> list[tuple[str, str]] | None:
        self.fails("headers", request.headers.get("X-Ask"))
        return [("X-Own", "1"), ("Referrer-Policy", "origin")] if request.headers.get("X-Ask") == "headers" else None

    @hookimpl
    def observe(self, event: Event) -> None:
        self.seen.append(event)

    @staticmethod
    def fails(what: str, asked: str | None) -> None:
        if asked == f"{what} fails":
            raise RuntimeError("no")


class Second:
    """Is asked before Everything, and adds a header field of the same name."""

    def __init__(self) -> None:
        self.__name__ = "Second"

    @hookimpl
    def response_headers(self) -> list[tuple[str, str]]:
        return [("Referrer-Policy", "same-origin")]


def asking(what: str) -> dict[str, Any]:
    return environ_of({"headers": [["X-Ask", what], ["Origin", "https://a.example"]]})


@pytest.mark.parametrize(
    ("part", "builtin"), [("client", "proxies"), ("access", "access"), ("limits", "limits"), ("cors", "cors")]
)
def test_the_plugin_that_decided_is_named(part: str, builtin: str) -> None:
    answered = agrees({}, asking(part), [Everything()]).part(part)
    assert (answered.plugin, answered.why[0], answered.settings) == ("Everything", "the plugin Everything decided", ())
    left = agrees({}, asking("nothing"), [Everything()]).part(part)
    assert left.plugin == builtin
    assert left.settings
    failed = agrees({}, asking(f"{part} fails"), [Everything()]).part(part)
    assert failed.plugin == "Everything"
    assert failed.why[0].startswith("the plugin Everything failed. ")


def test_what_plugins_decide_is_the_result() -> None:
    assert explained({}, asking("client"), [Everything()]).part("client").result["address"] == "192.0.2.77"  # type: ignore[index]
    refused = explained({}, asking("access"), [Everything()])
    assert (refused.status, refused.answered_by, refused.part("access").result["status"]) == (451, "access", 451)  # type: ignore[index]
    limited = explained({}, asking("limits"), [Everything()])
    assert (limited.status, limited.answered_by) == (429, "limits")
    assert explained({}, asking("cors"), [Everything()]).part("cors").result["readable"]  # type: ignore[index]
    broken = explained({}, asking("access fails"), [Everything()])
    assert (broken.status, broken.answered_by) == (500, "access")


def test_header_fields_of_plugins_come_from_them() -> None:
    found = agrees({"headers": ["X-Own: 0"]}, asking("headers"), [Everything(), Second()])
    told = {
        (one.name, one.value): (one.source, one.plugin)
        for one in found.headers
        if one.name in ("X-Own", "Referrer-Policy")
    }
    assert told == {("X-Own", "1"): ("plugin", "Everything"), ("Referrer-Policy", "same-origin"): ("plugin", "Second")}


@pytest.mark.parametrize("settings", [{}, {"permissive-cors": True}, {"cors-origins": ["https://a.example"]}])
def test_header_fields_of_what_plugins_decide_come_from_them(settings: dict[str, Any]) -> None:
    def sources(what: str, name: str) -> list[tuple[str, str]]:
        found = agrees(settings, asking(what), [Everything()])
        return [(one.source, one.plugin) for one in found.headers if one.name == name]

    plugin = [("plugin", "Everything")]
    assert sources("cors", "Access-Control-Allow-Origin") == sources("cors", "Vary") == plugin
    assert sources("access", "X-Refused") == sources("limits", "X-Limit") == sources("limits", "Retry-After") == plugin
    assert sources("access", "Content-Type") == [("policy", "")]
    granted = [(f"server.http.{key}", "") for key in settings]
    assert sources("nothing", "Access-Control-Allow-Origin") == granted
    assert sources("cors fails", "Access-Control-Allow-Origin") == []


def test_nobody_observes_an_explanation() -> None:
    plugin = Everything()
    app = bare_app()
    policy = HttpPolicy(app, {}, [plugin]).policy
    explain(policy, asking("nothing"))
    assert plugin.seen == []
    Answered(app, asking("nothing"))
    assert len(plugin.seen) == 1
