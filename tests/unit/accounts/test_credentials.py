"""API keys, app passwords, tokens: who they let in, from where, for how long, and what is kept of them."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flaskmail.accounts.authentication import comes_from
from flaskmail.accounts.authorization import LOCAL
from flaskmail.accounts.directory import Directory
from flaskmail.accounts.drafts import Change, Draft
from flaskmail.accounts.principals import Principal, new_account_id
from flaskmail.accounts.tokens import key_parts, key_text, today
from flaskmail.errors import RequestError

from .conftest import add, basic

HOME, AWAY = "192.0.2.7", "198.51.100.7"


def refused(directory: Directory, header: str, address: str = HOME) -> int:
    with pytest.raises(RequestError) as caught:
        directory.authenticator.authenticate(header, address)
    return caught.value.status


@pytest.fixture
def alice(directory: Directory) -> Principal:
    return add(directory, "alice@example.org")


def make_key(directory: Directory, name: str = "backup", **fields: Any) -> tuple[Principal, str]:
    draft = Draft(type="apiKey", name=name, **fields)
    entry, key = directory.entries.create(new_account_id(), draft, "", directory.authority.access_of(LOCAL))
    assert key is not None
    return entry.principal, f"Bearer {key}"


def test_an_api_key_lets_in(directory: Directory) -> None:
    key, header = make_key(directory, enabled_permissions=("logs-view",))
    assert key_parts(header.removeprefix("Bearer ")) is not None
    for _ in range(2):
        found = directory.authenticator.authenticate(header, HOME)
        assert (found.id, found.type, found.grant.kind) == (key.id, "apiKey", "api-key")
        assert directory.authority.access_of(found).permissions == {"logs-view", "authenticate"}
    name, secret = key_parts(header.removeprefix("Bearer ")) or ("", "")
    assert name == "backup"
    for wrong in (
        key_text("backup", secret + "x"),
        key_text("other", secret),
        "api_",
        "api_%%%",
        secret,
        f"fmt_{secret}",
    ):
        assert refused(directory, f"Bearer {wrong}") == 401
    # It is no password, and names no account.
    assert refused(directory, basic("backup", secret)) == 401
    assert refused(directory, basic(key.id, secret)) == 401


def test_an_api_key_comes_from_its_networks(directory: Directory) -> None:
    _, header = make_key(directory, networks=("192.0.2.0/24", "2001:db8::/32"))
    for address in (HOME, "2001:db8::1", f"::ffff:{HOME}"):
        # Remembered or not, from elsewhere it does not count.
        for _ in range(2):
            assert directory.authenticator.authenticate(header, address).name == "backup"
        for other in (AWAY, "", "2001:db9::1", "no address"):
            assert refused(directory, header, other) == 401


def test_networks_are_changed_at_once(directory: Directory, open_directory: Callable[[], Directory]) -> None:
    _, header = make_key(directory)
    other = open_directory()
    assert other.authenticator.authenticate(header, HOME)
    root = directory.authority.access_of(LOCAL)
    directory.entries.update("backup", [Change("set", "allowedNetworks", [AWAY])], root)
    assert refused(other, header) == 401
    assert other.authenticator.authenticate(header, AWAY)


def test_an_end_that_is_set_later_counts(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    _, header = make_key(directory)
    start = time.time()
    assert directory.authenticator.authenticate(header, HOME)
    root = directory.authority.access_of(LOCAL)
    directory.entries.update("backup", [Change("set", "expires", int(start) + 1000)], root)
    assert directory.authenticator.authenticate(header, HOME)
    monkeypatch.setattr("time.time", lambda: start + 1001)
    clock = directory.authenticator._clock
    monkeypatch.setattr(directory.authenticator, "_clock", lambda: clock() + 1001)
    assert refused(directory, header) == 401


def test_comes_from() -> None:
    assert comes_from(None, "")
    assert not comes_from((), HOME)
    assert comes_from(("0.0.0.0/0",), HOME)
    assert not comes_from(("0.0.0.0/0",), "::1")


def test_an_api_key_expires(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    _, header = make_key(directory, expires=2_000_000_000)
    now = 1_999_999_990.0
    monkeypatch.setattr("time.time", lambda: now)
    assert directory.authenticator.authenticate(header, HOME)
    now = 2_000_000_000.0
    directory.authenticator._verified.clear()
    assert refused(directory, header) == 401
    # A later day, and it counts again.
    directory.entries.update("backup", [Change("set", "expires", None)], directory.authority.access_of(LOCAL))
    assert directory.authenticator.authenticate(header, HOME)


@pytest.mark.parametrize("end", ["disable", "delete", "revoke", "rename"])
def test_an_api_key_ends_at_once(directory: Directory, open_directory: Callable[[], Directory], end: str) -> None:
    key, header = make_key(directory)
    other, root = open_directory(), directory.authority.access_of(LOCAL)
    assert other.authenticator.authenticate(header, HOME)
    if end == "disable":
        directory.entries.update("backup", [Change("set", "disabled", True)], root)
    elif end == "delete":
        directory.entries.delete("backup", root)
    elif end == "rename":
        directory.entries.update("backup", [Change("set", "name", "other")], root)
    else:
        directory.tokens.revoke(directory.tokens.all(key)[0].id)
    assert refused(other, header) == 401
    assert refused(directory, header) == 401


def test_an_app_password_lets_in_by_name(directory: Directory, alice: Principal) -> None:
    made, secret = directory.tokens.create(
        alice, "phone", kind="app-password", scopes=frozenset({"urn:ietf:params:jmap:mail"})
    )
    found = directory.authenticator.authenticate(basic("ALICE@example.org", secret), HOME)
    assert (found.id, found.grant.kind, found.grant.id, found.grant.name) == (
        alice.id,
        "app-password",
        made.id,
        "phone",
    )
    assert found.grant.scopes == {"urn:ietf:params:jmap:mail"}
    add(directory, "bob@example.org")
    assert refused(directory, basic("bob@example.org", secret)) == 401
    assert refused(directory, f"Bearer {secret}") == 401
    directory.tokens.revoke(made.id)
    assert refused(directory, basic(alice.name, secret)) == 401


def test_a_token_is_no_password(directory: Directory, alice: Principal) -> None:
    _, token = directory.tokens.create(alice)
    assert refused(directory, basic(alice.name, token)) == 401
    assert directory.authenticator.authenticate(f"Bearer {token}", HOME).grant.kind == "token"


def test_app_passwords_are_not_throttled_with_wrong_ones(directory: Directory, alice: Principal) -> None:
    _, secret = directory.tokens.create(alice, kind="app-password")
    statuses = [refused(directory, basic(alice.name, f"wrong{number}")) for number in range(12)]
    assert statuses[-1] == 429
    assert directory.authenticator.authenticate(basic(alice.name, secret), HOME).id == alice.id


def test_a_second_factor_closes_the_main_password(directory: Directory, alice: Principal) -> None:
    _, secret = directory.tokens.create(alice, kind="app-password")
    header = basic(alice.name)
    assert directory.authenticator.authenticate(header, HOME).grant.kind == "password"
    has: set[str] = set()
    directory.authenticator._has_second_factor = has.__contains__
    has.add(alice.id)
    directory.tokens.create(alice)  # Whatever changes the file makes every worker look again, as switching it on does.
    wrong = basic(alice.name, "wrong")
    details = set()
    for each in (header, wrong):
        with pytest.raises(RequestError) as caught:
            directory.authenticator.authenticate(each, HOME)
        details.add((caught.value.status, caught.value.detail))
    # Nobody learns that the password was right.
    assert len(details) == 1
    assert directory.authenticator.authenticate(basic(alice.name, secret), HOME).id == alice.id


def test_the_day_of_the_last_use(directory: Directory, alice: Principal) -> None:
    _, token = directory.tokens.create(alice, "laptop")
    assert [one.used for one in directory.tokens.all(alice)] == [None]
    directory.authenticator.authenticate(f"Bearer {token}", HOME)
    assert [one.used for one in directory.tokens.all(alice)] == [today()]
    version = directory.authority._database.version()
    directory.authenticator._verified.clear()
    directory.authenticator.authenticate(f"Bearer {token}", HOME)
    assert directory.authority._database.version() == version, "once a day is enough"


@pytest.mark.parametrize("missing", ["authenticate", "authenticate-oauth"])
def test_signing_in_needs_the_permission(directory: Directory, alice: Principal, missing: str) -> None:
    _, token = directory.tokens.create(alice)
    headers = basic(alice.name), f"Bearer {token}"
    for header in headers:
        assert directory.authenticator.authenticate(header, HOME)
    root = directory.authority.access_of(LOCAL)
    directory.entries.update(alice.name, [Change("addItem", "disabledPermissions", missing)], root)
    by_oauth = replace(directory.principals.get(alice.name), grant=replace(alice.grant, kind="oauth"))
    with pytest.raises(RequestError) as caught:
        directory.authenticator.admit(by_oauth)
    assert (caught.value.status, caught.value.extra) == (403, {"permission": missing})
    for header in headers:
        if missing == "authenticate":
            assert refused(directory, header) == 403
        else:
            assert directory.authenticator.authenticate(header, HOME)


def test_no_secret_lies_in_the_files(directory: Directory, alice: Principal, tmp_path: Path) -> None:
    _, app = directory.tokens.create(alice, kind="app-password")
    _, key = make_key(directory)
    secret = (key_parts(key.removeprefix("Bearer ")) or ("", ""))[1]
    directory.authenticator.authenticate(basic(alice.name, app), HOME)
    directory.authenticator.authenticate(key, HOME)
    assert len(base64.urlsafe_b64decode(secret + "=")) == 32
    for file in (tmp_path / "data").iterdir():
        data = file.read_bytes()
        for canary in (app, app.removeprefix("fma_"), secret, key.removeprefix("Bearer ")):
            assert canary.encode() not in data
