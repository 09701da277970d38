"""Whatever is asked of the addresses of discovery: no 500, nothing but what stands there, never the client's own words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flaskmail.testing import MadeServer, basic, make_server

BASE = "https://mail.example.org"
CONFIG = f"""
[server.http]
url = "{BASE}"
[session.mta-sts]
mode = "testing"
mx = ["mx.example.org"]
[discovery.security-txt]
contact = ["mailto:security@example.org"]
[metrics.prometheus]
enable = true
"""
PATHS = (
    "/.well-known/jmap",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/jmap/session",
    "/.well-known/security.txt",
    "/.well-known/change-password",
    "/.well-known/mta-sts.txt",
    "/.well-known/autoconfig/mail/config-v1.1.xml",
    "/mail/config-v1.1.xml",
    "/robots.txt",
    "/healthz/live",
    "/healthz/ready",
    "/metrics",
)
MARK = "evil-canary"

_text = st.text(max_size=40)
_byte = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)
_authorization = st.one_of(
    st.just(basic("alice@example.org")),
    st.builds(lambda scheme, rest: f"{scheme} {rest}", st.sampled_from(["Basic", "Bearer", "DPoP", ""]), _byte),
)
_headers = st.fixed_dictionaries(
    {},
    optional={
        "Host": st.sampled_from([f"{MARK}.example", "", "[::1]:1", "a b", "localhost", f"x@{MARK}.example"]),
        "X-Forwarded-Host": st.just(f"{MARK}.example"),
        "X-Forwarded-Proto": st.sampled_from(["http", "https", "gopher"]),
        "X-Forwarded-Prefix": st.just(f"/{MARK}"),
        "Forwarded": st.just(f"for={MARK};host={MARK}.example;proto=https"),
        "Origin": st.sampled_from([f"https://{MARK}.example", "null", ""]),
        "Access-Control-Request-Method": st.sampled_from(["GET", "BREW", ""]),
        "If-None-Match": st.one_of(st.just("*"), _byte),
        "Accept": _byte,
        "Authorization": _authorization,
        "Content-Type": _byte,
        "Range": st.just("bytes=0-1"),
    },
)
_query = st.one_of(
    st.just(""),
    st.builds(
        lambda value: f"emailaddress={value}", st.one_of(_byte, st.just(f"a@{MARK}.example"), st.just(f"<{MARK}>"))
    ),
    _byte,
)
_method = st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
_suffix = st.one_of(st.just(""), st.sampled_from(["/", "//", f"/{MARK}", "/..", "%00", ";a=b", "/jmap/"]), _byte)


@pytest.fixture(scope="module")
def made() -> Iterator[MadeServer]:
    with make_server(config=CONFIG) as made:
        made.account("alice@example.org")
        yield made


@pytest.fixture(scope="module")
def usual(made: MadeServer) -> dict[str, bytes]:
    """What stands at each address."""
    return {path: made.send("GET", path, {}, b"").body for path in PATHS}


def check(
    made: MadeServer, usual: dict[str, bytes], method: str, path: str, suffix: str, query: str, headers: dict[str, str]
) -> None:
    target = path + suffix.replace("?", "").replace("#", "")
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    environ |= {"PATH_INFO": target.encode().decode("latin-1"), "QUERY_STRING": query}
    reply = made.client.open(path, method=method, environ_overrides=environ)
    shown = reply.data.decode("utf-8", "replace") + repr(list(reply.headers))
    assert reply.status_code < 500 or reply.status_code == 501, (method, target, reply.data)
    assert MARK not in shown, (method, target, shown)
    location = reply.headers.get("Location")
    assert location is None or location.startswith(f"{BASE}/"), location
    if method == "HEAD":
        assert reply.data == b""
    if reply.status_code == 200 and method == "GET" and not suffix and "emailaddress" not in query:
        known = usual[path]
        assert reply.data == known or path in ("/.well-known/jmap", "/metrics"), (target, reply.data)
    if reply.status_code >= 400 and method != "HEAD":
        assert reply.content_type == "application/problem+json"
    if "Access-Control-Allow-Origin" in reply.headers:
        assert reply.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert "Access-Control-Allow-Credentials" not in reply.headers


ASKED = {
    "method": _method,
    "path": st.sampled_from(PATHS),
    "suffix": _suffix,
    "query": _query,
    "headers": _headers,
}


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(**ASKED)
def test_whatever_is_asked(
    made: MadeServer, usual: dict[str, bytes], method: str, path: str, suffix: str, query: str, headers: dict[str, str]
) -> None:
    check(made, usual, method, path, suffix, query, headers)


@pytest.mark.long
@settings(
    max_examples=20_000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(**ASKED)
def test_whatever_is_asked_for_long(
    made: MadeServer, usual: dict[str, bytes], method: str, path: str, suffix: str, query: str, headers: dict[str, str]
) -> None:
    check(made, usual, method, path, suffix, query, headers)
