"""Every route and every operation of the management API with every scope: nothing is open that the scope does not open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from flaskmail.accounts.grants import Grant
from flaskmail.accounts.permissions import OWN, PERMISSIONS
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.scopes import ACCOUNT, CORE, MANAGEMENT, SCOPES
from flaskmail.management import api
from flaskmail.management.operation import Operation
from flaskmail.testing import make_server

from ..management.test_matrix import CELLS, Cell, World
from ..management.test_matrix import OWN as DOMAIN

MAIL = "urn:ietf:params:jmap:mail"
OPEN = {
    "/",
    "/.well-known/autoconfig/mail/config-v1.1.xml",
    "/.well-known/change-password",
    "/.well-known/flaskmail-doctor",
    "/.well-known/mta-sts.txt",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/<path:rest>",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/<path:rest>",
    "/.well-known/openid-configuration",
    "/.well-known/security.txt",
    "/api/openapi.json",
    "/auth/device",
    "/auth/introspect",
    "/auth/jwks.json",
    "/auth/register",
    "/auth/revoke",
    "/auth/token",
    "/healthz/live",
    "/healthz/ready",
    "/mail/config-v1.1.xml",
    "/robots.txt",
}
"""What takes no access token: public, or for OAuth clients, which prove themselves otherwise."""
TOKEN: dict[str, set[str]] = {
    "/.well-known/jmap": {CORE, MAIL},
    "/jmap/": {CORE, MAIL},
    "/jmap/download/<account_id>/<blob_id>/<flaskmail_name:name>": {CORE, MAIL},
    "/jmap/eventsource/": {CORE, MAIL},
    "/jmap/session": {CORE, MAIL},
    "/jmap/upload/<account_id>/": {CORE, MAIL},
    "/api/": {ACCOUNT, MANAGEMENT},
    "/api/<path:rest>": {ACCOUNT, MANAGEMENT},
    "/auth/userinfo": {"openid"},
    "/metrics": {MANAGEMENT},
    "/metrics/prometheus": {MANAGEMENT},
}
"""What takes an access token, and any scope of which opens it."""
ALL = [*SCOPES, CORE, MAIL]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    config = '[lookup.default]\nhostname = "mail.own.example"\n[dns]\nresolver = ["127.0.0.1:9"]\ntimeout = 1\n'
    with make_server(config=config + "[metrics.prometheus]\nenable = true\nnetworks = []\n") as made:
        yield World(made)


@pytest.fixture(scope="module")
def owner(world: World) -> Principal:
    """Somebody who may do everything, where the grant allows it."""
    return world.asker("owner", ("user", "admin"))


def granted(owner: Principal, *scopes: str) -> Principal:
    return replace(owner, grant=Grant("oauth", "g", "app", frozenset(scopes), "app"))


def test_every_route_is_known(world: World) -> None:
    rules = {rule.rule for rule in world.made.app.url_map.iter_rules() if "-pages." not in rule.endpoint}
    assert rules == OPEN | TOKEN.keys()


def test_every_permission_belongs_to_one_scope(world: World, owner: Principal) -> None:
    account = world.server.access_of(granted(owner, ACCOUNT)).permissions
    management = world.server.access_of(granted(owner, MANAGEMENT)).permissions
    assert account | management == PERMISSIONS.keys()
    assert account & management == {"authenticate", "authenticate-oauth"}
    for operation in api().operations:
        assert operation.permissions
        assert set(operation.permissions) <= PERMISSIONS.keys(), operation.name


def opens(scope: str, operation: Operation) -> bool:
    """What the scope says of the operation."""
    own = set(operation.permissions) & (OWN | {"authenticate"})
    return (bool(own) and scope == ACCOUNT) or (scope == MANAGEMENT and bool(set(operation.permissions) - OWN))


@pytest.mark.parametrize("scope", ALL)
def test_every_operation_with_every_scope(world: World, owner: Principal, scope: str) -> None:
    principal, wrong, tried = granted(owner, scope), [], 0
    for operation in api().operations:
        if set(operation.permissions) & {"authenticate"}:
            # Who one is, and what there is to be allowed: for whoever was let in at all.
            continue
        for cell in CELLS[operation.name](DOMAIN):
            if opens(scope, operation) and operation.changes:
                # What it does is not the question: nothing is found, or nothing is in the body.
                cell = Cell(dict.fromkeys(cell.values, "nothing"), {"nothing": "1"})
            status = world.status(operation, cell, principal)
            tried += 1
            if opens(scope, operation) != (status not in (401, 403)):
                wrong.append((operation.name, cell.needs, status))
    assert wrong == []
    assert tried > 50


@pytest.mark.parametrize("scope", ALL)
def test_every_route_with_every_scope(world: World, owner: Principal, scope: str) -> None:
    made = world.made
    admin = world.server.directory.principals.get(owner.name)
    _, token = made.server.directory.tokens.create(admin, scopes=frozenset({scope}))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for rule in made.app.url_map.iter_rules():
        if rule.rule not in TOKEN or rule.rule.startswith("/api/"):
            continue
        path = (
            rule.rule.replace("<account_id>", admin.id).replace("<blob_id>", "B0").replace("<flaskmail_name:name>", "x")
        )
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            body = b'{"using":[],"methodCalls":[]}' if rule.rule == "/jmap/" else b""
            reply = made.send(method, path, headers, body)
            # A token of another kind than OAuth's tells nothing at userinfo, whatever its scope.
            opened = scope in TOKEN[rule.rule] and rule.rule != "/auth/userinfo"
            assert (reply.status not in (401, 403)) == opened, (rule.rule, method, reply.status)
            # RFC 6750 section 3: a token that does not suffice is challenged.
            assert opened or 'error="insufficient_scope"' in (reply.header("WWW-Authenticate") or ""), rule.rule
            assert made.send(method, path, {"Content-Type": "application/json"}, body).status == 401, rule.rule


def test_who_manages_with_too_small_a_token_is_told_the_scope(world: World, owner: Principal) -> None:
    directory = world.server.directory
    nobody = world.asker("nobody", ("user",))
    for person, path, scope in (
        (owner, "/api/principal", MANAGEMENT),
        (owner, "/api/account/auth", ACCOUNT),
        (nobody, "/api/account/auth", ACCOUNT),
        # No scope would help.
        (nobody, "/api/principal", None),
    ):
        _, token = directory.tokens.create(directory.principals.get(person.name), scopes=frozenset({MAIL}))
        reply = world.made.send("GET", path, {"Authorization": f"Bearer {token}"}, b"")
        assert reply.status == 403
        wanted = None if scope is None else f'Bearer realm="flaskmail", error="insufficient_scope", scope="{scope}"'
        assert (reply.header("WWW-Authenticate"), reply.json().get("scope")) == (wanted, scope)
