"""Each hook of the HTTP policy: what it decides, who is asked first, and what happens when it fails."""

from __future__ import annotations

import itertools
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from policyapp import Answered, bare_app, environ_of

from flaskmail.errors import ConfigError
from flaskmail.expressions import Function, Parameter, Type
from flaskmail.hookspecs import Client, CorsDecision, Event, RateDecision, Refusal, hookimpl
from flaskmail.policy import HttpPolicy
from flaskmail.testing import make_server

ORIGIN = "https://app.example"
FREE = {"rate-limit": {"anonymous": False, "account": False}}


NUMBERS = itertools.count()


def plugin(hook: str, function: Callable[..., Any], called: str = "", **how: Any) -> Any:
    """A plugin with one hook."""
    return type(called or f"Plugin{next(NUMBERS)}", (), {hook: staticmethod(hookimpl(function, **how))})


def ask(plugins: list[Any], path: str = "/seen", method: str = "GET", settings: Any = None, **row: Any) -> Answered:
    """The response of a bare application to a request."""
    app = bare_app()
    HttpPolicy(app, FREE | (settings or {}), plugins)
    headers = [list(pair) for pair in row.pop("headers", ())]
    return Answered(app, environ_of({"headers": headers, **row}, path, method))


def broken(*arguments: object) -> Any:
    raise RuntimeError("the plugin's own fault")


PREFLIGHT = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")]


# ---- client_address


def test_hook_client_address() -> None:
    def client_address(peer: str, scheme: str, headers: Any) -> Client | None:
        told = headers.get("x-real-ip")
        return Client(told, "https", trusted=True, forwarded=True) if peer == "10.0.0.1" and told else None

    one = [plugin("client_address", client_address)]
    seen = ask(one, socket_peer="10.0.0.1", headers=[("X-Real-IP", "192.0.2.7")])
    body = json.loads(seen.body)
    assert (body["client_ip"], body["proto"]) == ("192.0.2.7", "https")
    assert "HTTP_X_REAL_IP" not in body["keys"]
    # Without an opinion the settings decide, as they do without the plugin.
    trusting = {"use-x-forwarded": True}
    row = {"socket_peer": "10.0.0.1", "headers": [("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-Proto", "https")]}
    assert ask(one, settings=trusting, **row).body == ask([], settings=trusting, **row).body
    assert ask(one, settings=trusting, headers=[("X-Forwarded-For", "x")], socket_peer="10.0.0.1").status == 400


@pytest.mark.parametrize(
    "answer",
    [
        broken,
        lambda: "192.0.2.7",
        lambda: Client("1.2.3", "http"),
        lambda: Client("::ffff:1.2.3.4", "http"),
        lambda: Client("192.0.2.7", "http", host="a\r\nX-B: c"),
        lambda: Client("192.0.2.7", "http", host=5),  # type: ignore[arg-type]
        lambda: Client("192.0.2.7", "http", host="a.example", port="x"),  # type: ignore[arg-type]
    ],
)
def test_hook_client_address_fails_to_the_peer(answer: Any) -> None:
    told = plugin("client_address", answer if answer is not broken else lambda: broken())
    row = {"socket_peer": "10.0.0.1", "headers": [("X-Forwarded-For", "192.0.2.9")]}
    seen = json.loads(ask([told], settings={"use-x-forwarded": True}, **row).body)
    assert seen["client_ip"] == "10.0.0.1"


# ---- trusted_networks


def test_hook_trusted_networks() -> None:
    def trusted_networks(policy: Any) -> dict[str, list[str]]:
        assert policy.settings.use_x_forwarded
        assert policy.server is None
        return {"our-proxies": ["198.51.100.0/24"]}

    settings = {"use-x-forwarded": True, "trusted-proxies": ["our-proxies"]}
    row = {"socket_peer": "198.51.100.1", "headers": [("X-Forwarded-For", "192.0.2.9")]}
    seen = ask([plugin("trusted_networks", trusted_networks)], settings=settings, **row)
    assert json.loads(seen.body)["client_ip"] == "192.0.2.9"
    with pytest.raises(ConfigError, match="our-proxies"):
        ask([], settings=settings)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"private": ["10.0.0.0/8"]}, "a name in lower case that is not there yet"),
        ({"everybody": ["0.0.0.0/0"]}, "believe every client"),
        ({"mine": ["10.0.0.0/99"]}, "a network like"),
        (["10.0.0.0/8"], "names and their networks"),
        ({"mine": None}, "a list of networks"),
        ({"mine": [5]}, "a network like"),
    ],
)
def test_hook_trusted_networks_is_checked(answer: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        HttpPolicy(bare_app(), {}, [plugin("trusted_networks", lambda: answer)])
    assert "Plugin" in str(refused.value)


def test_hook_trusted_networks_without_networks_believes_nobody(caplog: pytest.LogCaptureFixture) -> None:
    settings = {"use-x-forwarded": True, "trusted-proxies": ["mine"]}
    row = {"socket_peer": "10.0.0.1", "headers": [("X-Forwarded-For", "192.0.2.9")]}
    seen = ask([plugin("trusted_networks", lambda: {"mine": []})], settings=settings, **row)
    assert json.loads(seen.body)["client_ip"] == "10.0.0.1"
    assert "nobody is believed" in caplog.text


# ---- refuse_request


def test_hook_refuse_request() -> None:
    def refuse_request(request: Any, client: Client) -> Refusal | None:
        assert client.address == "203.0.113.99"
        return Refusal(503, "Later.", (("Retry-After", "60"),)) if request.path == "/x" else None

    one = [plugin("refuse_request", refuse_request)]
    refused = ask(one, "/x")
    assert (refused.status, refused.all("Retry-After"), refused.all("Cache-Control")) == (503, ["60"], ["no-store"])
    assert json.loads(refused.body)["detail"] == "Later."
    assert refused.all("X-Content-Type-Options") == ["nosniff"]
    assert ask(one).status == 200
    # Without an opinion allowed-endpoint decides.
    assert ask(one, settings={"allowed-endpoint": "404"}).status == 404
    # A preflight is answered before.
    assert ask(one, "/x", "OPTIONS", {"permissive-cors": True}, headers=PREFLIGHT).status == 204


@pytest.mark.parametrize(
    "answer",
    [
        lambda: broken(),
        lambda: sys.exit(3),
        lambda: 403,
        lambda: Refusal(200, ""),
        lambda: Refusal(403.0, ""),  # type: ignore[arg-type]
        lambda: Refusal(403, b""),  # type: ignore[arg-type]
        lambda: Refusal(403, "\udc80"),
        lambda: Refusal(403, "", (("A\n", ""),)),
        lambda: Refusal(403, "", (("A", 5),)),  # type: ignore[arg-type]
        # What has a decision of its own is no business of a refusal's.
        lambda: Refusal(403, "", (("Access-Control-Allow-Origin", "*"),)),
        lambda: Refusal(403, "", (("Strict-Transport-Security", "max-age=0"),)),
    ],
)
def test_hook_refuse_request_fails_closed(answer: Any) -> None:
    assert ask([plugin("refuse_request", answer)]).status == 500


def test_hook_refuse_request_cannot_take_the_body_away() -> None:
    def refuse_request(request: Any) -> None:
        request.get_data()

    assert ask([plugin("refuse_request", refuse_request)], "/x", "POST").status == 500


# ---- rate_limit


def test_hook_rate_limit() -> None:
    def rate_limit(request: Any, principal: Any) -> RateDecision | None:
        assert principal is None
        return RateDecision(7, (("RateLimit", '"mine";r=0;t=7'),)) if request.path == "/x" else None

    one = [plugin("rate_limit", rate_limit)]
    refused = ask(one, "/x")
    assert (refused.status, refused.all("Retry-After"), refused.all("RateLimit")) == (429, ["7"], ['"mine";r=0;t=7'])
    # Without an opinion the settings decide.
    passed = ask(one, settings={"rate-limit": {"anonymous": "5/1m"}})
    assert (passed.status, passed.all("RateLimit")) == (200, ['"anonymous";r=4;t=12'])
    # Requests with credentials are not counted here.
    assert ask(one, "/x", headers=[("Authorization", "Bearer a")]).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        lambda: broken(),
        lambda: 5,
        lambda: RateDecision(-1),
        lambda: RateDecision(2.5),  # type: ignore[arg-type]
        lambda: RateDecision("5"),  # type: ignore[arg-type]
        lambda: RateDecision(0, None),  # type: ignore[arg-type]
        lambda: RateDecision(0, (("RateLimit", "a\r\nX-B: c"),)),
        lambda: RateDecision(0, (("Access-Control-Allow-Origin", "*"),)),
    ],
)
def test_hook_rate_limit_fails_to_our_own_limits(answer: Any) -> None:
    app = bare_app()
    HttpPolicy(app, {"rate-limit": {"anonymous": "1/1m"}}, [plugin("rate_limit", answer)])
    assert [Answered(app, environ_of({})).status for _ in range(2)] == [200, 429]


# ---- cors_decision


def test_hook_cors_decision() -> None:
    def cors_decision(origin: str, request: Any) -> CorsDecision | None:
        if request.path == "/x":
            return CorsDecision(origin == ORIGIN)
        return None

    one = [plugin("cors_decision", cors_decision)]
    for headers, allowed in (([("Origin", ORIGIN)], [ORIGIN]), ([("Origin", "https://evil.example")], []), ([], [])):
        answer = ask(one, "/x", headers=headers)
        assert answer.all("Access-Control-Allow-Origin") == allowed
        assert answer.all("Vary") == ["Origin"]
    granted = ask(one, "/x", "OPTIONS", headers=PREFLIGHT)
    assert (granted.status, granted.all("Access-Control-Allow-Origin")) == (204, [ORIGIN])
    assert granted.all("Access-Control-Allow-Methods")
    # Without an opinion the settings decide.
    assert ask(one, headers=[("Origin", ORIGIN)]).all("Access-Control-Allow-Origin") == []
    listed = {"cors-origins": [ORIGIN]}
    assert ask(one, settings=listed, headers=[("Origin", ORIGIN)]).all("Access-Control-Allow-Origin") == [ORIGIN]
    assert (
        ask(one, "/x", settings={"permissive-cors": True}, headers=[("Origin", "https://evil.example")]).all(
            "Access-Control-Allow-Origin"
        )
        == []
    )
    # Sign-in pages never.
    everything = [plugin("cors_decision", lambda: CorsDecision(True))]
    assert ask(everything, "/login", headers=[("Origin", ORIGIN)]).all("Access-Control-Allow-Origin") == []


@pytest.mark.parametrize(
    "answer",
    [lambda: broken(), lambda: True, lambda: CorsDecision("no")],  # type: ignore[arg-type]
)
def test_hook_cors_decision_fails_closed(answer: Any) -> None:
    one = [plugin("cors_decision", answer)]
    settings = {"permissive-cors": True}
    assert ask(one, settings=settings, headers=[("Origin", ORIGIN)]).all("Access-Control-Allow-Origin") == []
    refused = ask(one, "/x", "OPTIONS", settings, headers=PREFLIGHT)
    assert (refused.status, refused.all("Access-Control-Allow-Methods")) == (204, [])


# ---- response_headers


def test_hook_response_headers() -> None:
    def response_headers(policy: Any, request: Any, response: Any) -> list[tuple[str, str]]:
        return [("X-Frame-Options", "DENY"), ("X-Seen", f"{request.path} {response.status}")]

    settings = {"headers": ["X-Frame-Options: SAMEORIGIN", "X-Other: 1"], "permissive-cors": True, "hsts": True}
    one = [plugin("response_headers", response_headers)]
    wanted = [("/seen", "GET", 200), ("/none", "GET", 404), ("/seen", "PUT", 405), ("/boom", "GET", 500)]
    for path, method, status in wanted:
        answer = ask(one, path, method, settings, socket_scheme="https")
        assert answer.status == status
        assert answer.all("X-Frame-Options") == ["DENY"]
        assert answer.all("X-Seen") == [f"{path} {status}"]
        assert answer.all("X-Other") == ["1"]
        assert answer.all("Strict-Transport-Security")
    preflight = ask(one, "/x", "OPTIONS", settings, headers=PREFLIGHT)
    assert (preflight.status, preflight.all("X-Seen")) == (204, ["/x 204"])
    bad = ask(one, headers=[("X-Forwarded-For", "x")], socket_peer="10.0.0.1", settings={"use-x-forwarded": True})
    assert (bad.status, bad.all("X-Seen")) == (400, ["/seen 400"])


def test_hook_response_headers_of_the_first_plugin_count() -> None:
    def of(value: str, **how: Any) -> Any:
        return plugin("response_headers", lambda: [("X-A", value), ("Link", f"<{value}>"), ("Link", "<b>")], **how)

    answer = ask([of("first"), of("second"), of("last", trylast=True)])
    assert answer.all("X-A") == ["second"]
    assert answer.all("Link") == ["<second>", "<b>"]
    assert ask([of("first", tryfirst=True), of("second")]).all("X-A") == ["first"]


def test_hook_response_headers_says_what_more_a_response_depends_on() -> None:
    by = [
        plugin("response_headers", lambda name=name: [("Vary", name), ("X-A", name)]) for name in ("Accept", "Cookie")
    ]
    listed = {"cors-origins": [ORIGIN]}
    assert [ask(by, settings=each).all("Vary") for each in ({}, listed)] == [
        ["Cookie, Accept"],
        ["Origin, Cookie, Accept"],
    ]
    assert ask(by, "/none", settings=listed).all("Vary") == ["Origin, Cookie, Accept"]
    with make_server(config=f"[server.http]\ncors-origins = ['{ORIGIN}']", plugins=by) as made:
        session = made.account("a@example.org").http("GET", "/jmap/session")
        assert session.all("Vary") == ["Authorization, Origin, Cookie, Accept"]
    # A name that is none takes the plugin's other fields with it, as any that cannot be sent.
    assert ask([plugin("response_headers", lambda: [("Vary", "a b"), ("X-A", "b")])]).all("X-A") == []


def test_hook_response_headers_leaves_what_protects() -> None:
    caching = [plugin("response_headers", lambda: [("Cache-Control", "public, max-age=60")])]
    assert ask(caching, "/jmap/session").all("Cache-Control") == ["no-cache, no-store, must-revalidate"]
    assert ask(caching).all("Cache-Control") == ["public, max-age=60"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: broken(),
        lambda: [("Access-Control-Allow-Origin", "*")],
        lambda: [("Strict-Transport-Security", "max-age=1")],
        lambda: [("Content-Length", "1")],
        lambda: [("X-A", "b\r\nSet-Cookie: c")],
        lambda: [("X-A: b\r\nX-B", "c")],
        # With a space in front it would go on with the header before.
        lambda: [(" X-A", "b")],
        lambda: [("X-Frame-Options", "DENY"), ("X-A", "b"), ("x-frame-options", "SAMEORIGIN")],
        lambda: [("X-A", 1)],
        lambda: {"X-A": "b"},
        lambda: "X-A: b",
        lambda: 7,
    ],
)
def test_hook_response_headers_fails_alone(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    good = plugin("response_headers", lambda: [("X-Good", "1")])
    app = bare_app()
    policy = HttpPolicy(app, FREE, [plugin("response_headers", answer, "Broken"), good])
    for _ in range(20):
        answered = Answered(app, environ_of({}))
        assert (answered.status, answered.all("X-Good"), answered.all("X-A")) == (200, ["1"], [])
    plugins = policy.policy.surroundings.plugins
    assert plugins is not None
    assert sum(plugins.failures.values()) == 20
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 10
    assert "the plugin Broken failed in response_headers" in errors[0]


# ---- expression_functions


def shout() -> list[Function]:
    return [Function("shout", lambda text: text.upper(), (Parameter("text"),), Type.TEXT, "Upper case.", ())]


def test_hook_expression_functions() -> None:
    rule = "if_then(shout(url_path) == '/X', 404, 200)"
    one = [plugin("expression_functions", shout)]
    assert ask(one, "/x", settings={"allowed-endpoint": rule}).status == 404
    assert ask(one, settings={"allowed-endpoint": rule}).status == 200
    app = bare_app()
    url = {"url": "'https://' + shout(method) + '.example'", "https-redirect": True}
    HttpPolicy(app, url, one, tls=True)
    assert Answered(app, environ_of({}, "/x")).all("Location") == ["https://get.example/x"]
    with pytest.raises(ConfigError, match="shout"):
        ask([], settings={"allowed-endpoint": rule})


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([*shout(), *shout()], "found 'shout', expected a name of letters"),
        ([replace(shout()[0], name="len")], "not there yet"),
        ([replace(shout()[0], name="url")], "not there yet"),
        ([replace(shout()[0], name="so loud")], "a name of letters"),
        ([replace(shout()[0], call=None)], "a function to call for shout"),
        ([replace(shout()[0], returns=str)], "what shout returns"),
        ([replace(shout()[0], parameters=("text",))], "the parameters of shout"),
        ([shout], "Function"),
        (shout, "a list"),
    ],
)
def test_hook_expression_functions_is_checked(answer: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        ask([plugin("expression_functions", lambda: answer, "Shouts")])
    assert [problem.where for problem in refused.value.problems] == ["Shouts"]


# ---- observe


def test_hook_observe_is_told_of_requests() -> None:
    events: list[tuple[Any, Event]] = []
    two = [plugin("observe", lambda: broken()), plugin("observe", lambda server, event: events.append((server, event)))]
    app = bare_app()
    HttpPolicy(app, FREE | {"permissive-cors": True}, two)
    for path, method in (("/x", "GET"), ("/none", "GET"), ("/x", "OPTIONS")):
        Answered(app, environ_of({"headers": PREFLIGHT}, path, method))
    assert [(server, event.name, event.data["path"], event.data["status"]) for server, event in events] == [
        (None, "http.request", "/x", 200),
        (None, "http.request", "/none", 404),
        (None, "http.request", "/x", 204),
    ]
    assert events[0][1].data["client"] == "203.0.113.99"
    assert json.dumps(dict(events[0][1].data))


# ---- all


def test_who_has_no_hook_is_not_asked() -> None:
    policy = HttpPolicy(bare_app(), {}, [plugin("response_headers", lambda: None)])
    hooks = policy.policy.hooks
    assert hooks.response_headers is not None
    assert [getattr(hooks, name) for name in type(hooks).__slots__ if name != "response_headers"] == [None] * 5


def test_ours_come_after_those_that_are_to_be_last() -> None:
    last = plugin("cors_decision", lambda: CorsDecision(True), "Last", trylast=True)
    asked = [("Origin", ORIGIN)]
    assert ask([last], headers=asked).all("Access-Control-Allow-Origin") == [ORIGIN]
    first = plugin("cors_decision", lambda: CorsDecision(False))
    assert ask([last, first], headers=asked).all("Access-Control-Allow-Origin") == []


def test_wrappers_stand_around_the_others() -> None:
    def response_headers() -> Any:
        answers = yield
        return [*answers, [("X-Wrapped", str(len(answers)))]]

    inner = plugin("response_headers", lambda: [("X-Inner", "1")])
    outer = plugin("response_headers", response_headers, wrapper=True)
    answer = ask([outer, inner])
    assert (answer.all("X-Inner"), answer.all("X-Wrapped")) == (["1"], ["1"])

    def failing() -> Any:
        yield
        raise RuntimeError("after all others")

    answer = ask([plugin("response_headers", failing, wrapper=True), inner])
    assert (answer.status, answer.all("X-Inner")) == (200, [])
    refused = ask([plugin("refuse_request", failing, wrapper=True), plugin("refuse_request", lambda: None)])
    assert refused.status == 500


def test_arguments_with_defaults_are_passed_where_the_hook_has_them() -> None:
    def response_headers(policy: Any, told: str = "own", response: Any = None) -> list[tuple[str, str]]:
        return [("X-Told", f"{told} {response.status}")]

    def around() -> Any:
        return (yield)

    one = plugin("response_headers", response_headers)
    assert ask([one]).all("X-Told") == ["own 200"]
    assert ask([one, plugin("response_headers", around, wrapper=True)]).all("X-Told") == ["own 200"]


def test_plugins_have_options() -> None:
    def response_headers(policy: Any) -> list[tuple[str, str]]:
        return [("X-Told", policy.options["Plugin"]["told"])]

    app, one = bare_app(), plugin("response_headers", response_headers, "Plugin")
    HttpPolicy(app, FREE, [one], options={"Plugin": {"told": "so"}})
    assert Answered(app, environ_of({})).all("X-Told") == ["so"]
    with pytest.raises(ConfigError, match=r"plugins\.Plugn"):
        HttpPolicy(bare_app(), FREE, [one], options={"Plugn": {}})


def test_settings_may_name_what_plugins_of_a_file_bring(tmp_path: Path) -> None:
    from flaskmail.config import load
    from flaskmail.policy import plan  # noqa: F401 - adds its checks to the loader's

    (tmp_path / "ours.py").write_text(
        "from flaskmail.hookspecs import hookimpl\n"
        "@hookimpl\ndef trusted_networks(policy):\n    return {'ours': [policy.options['ours']['network']]}\n"
    )
    config = tmp_path / "config.toml"
    text = "[server.http]\ntrusted-proxies = ['ours']\n[plugins]\npaths = ['ours.py']\n[plugins.ours]\nnetwork = '%s'\n"
    config.write_text(text % "198.51.100.0/24")
    assert load(config, {}).plugins.options == {"ours": {"network": "198.51.100.0/24"}}
    config.write_text(text % "somewhere")
    with pytest.raises(ConfigError, match="somewhere") as caught:
        load(config, {})
    # What follows from the plugin's mistake comes behind it.
    wrong = [(problem.where, problem.key) for problem in caught.value.problems]
    assert wrong == [("ours", "trusted_networks: ours"), (str(config), "server.http.trusted-proxies[0]")]
    config.write_text(text.replace("['ours']", "['theirs']") % "198.51.100.0/24")
    with pytest.raises(ConfigError, match="theirs"):
        load(config, {})
