"""One's own account over the API: password, second factor, app passwords, tokens, and what ends them."""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flaskmail.accounts.scopes import ACCOUNT, CORE
from flaskmail.accounts.totp import code_at
from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

from .conftest import Manager
from .test_principals import refused

MAIL = "urn:ietf:params:jmap:mail"
ALICE = "alice@example.org"
UNLIMITED = "[server.http.rate-limit]\nanonymous = false\naccount = false\n"
NEW = "a horse of another battery"


@pytest.fixture
def alice(made: MadeServer) -> Manager:
    made.account(ALICE)
    return Manager(made, basic(ALICE))


def token(made: MadeServer, *scopes: str, whole: bool = False) -> Manager:
    """Somebody with a token of alice's."""
    principal = made.server.directory.principals.get(ALICE)
    _, text = made.server.directory.tokens.create(principal, "test", scopes=None if whole else frozenset(scopes))
    return Manager(made, f"Bearer {text}")


def jmap(made: MadeServer, authorization: str) -> int:
    return made.send("GET", "/jmap/session", {"Authorization": authorization}, b"").status


def test_the_password_is_changed(made: MadeServer, alice: Manager) -> None:
    assert alice("GET", "/account/auth").data == {"otpEnabled": False, "appPasswords": [], "recoveryCodes": 0}
    assert alice("POST", "/account/auth", [{"type": "setPassword", "password": NEW}]).data is None
    assert alice("GET", "/whoami").status == 401
    assert Manager(made, basic(ALICE, NEW))("GET", "/whoami").status == 200


def test_a_weak_password_is_refused(alice: Manager) -> None:
    for password in ("short", ALICE, "aaaaaaaaaaaaaaaa"):
        refused(alice("POST", "/account/auth", [{"type": "setPassword", "password": password}]), 409, member="password")
    for password in ("tab\tin a long one", "", "x" * 2000):
        said = refused(alice("POST", "/account/auth", [{"type": "setPassword", "password": password}]), 400)
        assert "password" in said["member"], password
        assert alice("GET", "/whoami").status == 200


def test_a_program_has_to_prove_whose_it_is(made: MadeServer, alice: Manager) -> None:
    program = token(made, whole=True)
    steps = [{"type": "setPassword", "password": NEW}]
    refused(program("POST", "/account/auth", steps), 403, member="currentPassword")
    refused(program("POST", "/account/auth", {"steps": steps}), 403, member="currentPassword")
    refused(
        program("POST", "/account/auth", {"steps": steps, "currentPassword": "wrong"}), 403, member="currentPassword"
    )
    assert alice("GET", "/whoami").status == 200
    assert program("POST", "/account/auth", {"steps": steps, "currentPassword": PASSWORD}).data is None
    assert Manager(made, basic(ALICE, NEW))("GET", "/whoami").status == 200


def test_a_program_of_an_administrator_does_not_take_the_account_over(made: MadeServer, admin: Manager) -> None:
    principal = made.server.directory.principals.get("admin")
    _, text = made.server.directory.tokens.create(principal, "script")
    script, steps = Manager(made, f"Bearer {text}"), [{"action": "set", "field": "secrets", "value": NEW}]
    refused(script("PATCH", "/principal/admin", steps), 403)
    refused(script("DELETE", "/principal/admin/otp"), 403)
    assert admin("GET", "/whoami").status == 200
    assert admin("PATCH", "/principal/admin", steps).data is None
    assert Manager(made, basic("admin", NEW))("GET", "/whoami").status == 200


def test_guessing_the_present_password_is_throttled() -> None:
    with make_server(config=f"{UNLIMITED}[authentication]\nfail-rate = '3/1h'\n") as made:
        made.account(ALICE)
        program = token(made, whole=True)
        steps = [{"type": "setPassword", "password": NEW}]
        said = [program("POST", "/account/auth", {"steps": steps, "currentPassword": f"wrong {n}"}) for n in range(5)]
        assert [one.status for one in said] == [403, 403, 403, 429, 429]
        assert int(said[-1].headers["Retry-After"]) > 0


def code(url: str, offset: int = 0) -> str:
    """What an authenticator app shows for the URL."""
    secret = parse_qs(urlsplit(url).query)["secret"][0]
    return code_at(base64.b32decode(secret + "=" * (-len(secret) % 8)), int(time.time()) // 30 + offset)


def test_a_second_factor_comes_and_goes(made: MadeServer, alice: Manager) -> None:
    refused(alice("POST", "/account/auth", [{"type": "enableOtpAuth", "url": "otpauth://totp/x"}]), 400)
    url = alice("POST", "/account/auth", [{"type": "enableOtpAuth"}]).data["otpAuthUrl"]
    assert url.startswith("otpauth://totp/")
    wrong = f"{(int(code(url)) + 1) % 1_000_000:06}"
    refused(alice("POST", "/account/auth", [{"type": "confirmOtpAuth", "code": wrong}]), 403, member="code")
    app = alice("POST", "/account/auth", [{"type": "addAppPassword", "name": "phone"}]).data["appPasswords"][0][
        "secret"
    ]
    used = code(url)
    codes = alice("POST", "/account/auth", [{"type": "confirmOtpAuth", "code": used}]).data["recoveryCodes"]
    assert len(codes) == 10
    # From now on the password alone lets nobody in; the app password does.
    assert alice("GET", "/whoami").status == 401
    assert jmap(made, basic(ALICE)) == 401
    assert jmap(made, basic(ALICE, app)) == 200
    program = token(made, whole=True)
    assert program("GET", "/account/auth").data == {"otpEnabled": True, "appPasswords": ["phone"], "recoveryCodes": 10}
    remove = {"steps": [{"type": "disableOtpAuth"}], "currentPassword": PASSWORD}
    refused(program("POST", "/account/auth", remove), 403, member="code")
    refused(program("POST", "/account/auth", {**remove, "code": used}), 403, member="code")
    assert program("POST", "/account/auth", {**remove, "code": codes[0]}).data is None
    assert alice("GET", "/account/auth").data["otpEnabled"] is False


def test_an_administrator_removes_a_second_factor(made: MadeServer, alice: Manager, admin: Manager) -> None:
    url = alice("POST", "/account/auth", [{"type": "enableOtpAuth"}]).data["otpAuthUrl"]
    alice("POST", "/account/auth", [{"type": "confirmOtpAuth", "code": code(url)}]).data  # noqa: B018 - asserts
    assert alice("GET", "/whoami").status == 401
    assert admin("DELETE", f"/principal/{ALICE}/otp").data is None
    assert alice("GET", "/whoami").status == 200


def test_app_passwords_reach_mail_alone(made: MadeServer, alice: Manager) -> None:
    steps = [
        {"type": "addAppPassword", "name": "phone"},
        {"type": "addAppPassword", "name": "reader", "scopes": [MAIL], "expires": "2099-01-01T00:00:00Z"},
    ]
    made_ones = alice("POST", "/account/auth", steps).data["appPasswords"]
    assert [one["name"] for one in made_ones] == ["phone", "reader"]
    assert alice("GET", "/account/auth").data["appPasswords"] == ["phone", "reader"]
    for one in made_ones:
        header = basic(ALICE, one["secret"])
        assert jmap(made, header) == 200
        refused(Manager(made, header)("GET", "/account/auth"), 403, permission="manage-passwords")
    refused(alice("POST", "/account/auth", [{**steps[0], "password": "my own"}]), 400)
    alice("POST", "/account/auth", [{"type": "removeAppPassword", "name": "phone"}]).data  # noqa: B018 - asserts
    assert jmap(made, basic(ALICE, made_ones[0]["secret"])) == 401
    refused(alice("POST", "/account/auth", [{"type": "removeAppPassword", "name": "phone"}]), 404, item="phone")


def test_steps_are_all_taken_or_none(made: MadeServer, alice: Manager) -> None:
    add = {"type": "addAppPassword", "name": "phone"}
    for wrong, status in (
        ({"type": "removeAppPassword", "name": "tablet"}, 404),
        ({"type": "addAppPassword", "name": "x", "scopes": ["urn:nothing"]}, 404),
        ({"type": "addAppPassword", "name": "x", "expires": "2020-01-01T00:00:00Z"}, 409),
        ({"type": "setPassword", "password": "short"}, 409),
        ({"type": "confirmOtpAuth", "code": "000000"}, 403),
    ):
        assert alice("POST", "/account/auth", [add, wrong]).status == status, wrong
        assert alice("GET", "/account/auth").data["appPasswords"] == []
    steps = [add, {"type": "removeAppPassword", "name": "phone"}, add]
    assert len(alice("POST", "/account/auth", steps).data["appPasswords"]) == 2
    assert alice("GET", "/account/auth").data["appPasswords"] == ["phone"]


def test_credentials_are_listed_and_ended(made: MadeServer, alice: Manager, admin: Manager) -> None:
    phone = alice("POST", "/account/credentials", {"kind": "app-password", "name": "phone"}).data
    script = alice("POST", "/account/credentials", {"kind": "token", "name": "script", "scopes": [MAIL, ACCOUNT]}).data
    by_script = Manager(made, f"Bearer {script['secret']}")
    assert jmap(made, basic(ALICE, phone["secret"])) == 200
    listed = by_script("GET", "/account/credentials").data
    assert listed["total"] == 2
    by_id = {one["id"]: one for one in listed["items"]}
    assert by_id[script["id"]]["current"]
    assert not by_id[phone["id"]]["current"]
    assert by_id[script["id"]]["scopes"] == sorted([MAIL, ACCOUNT])
    assert by_id[phone["id"]]["lastUsed"] is not None
    assert "secret" not in by_id[phone["id"]]
    assert admin("GET", f"/principal/{ALICE}/credentials").data["total"] == 2
    made.account("bob@example.org")
    bob = Manager(made, basic("bob@example.org"))
    refused(bob("DELETE", f"/account/credentials/{phone['id']}"), 404)
    refused(bob("GET", f"/principal/{ALICE}/credentials"), 403, permission="individual-get")
    assert by_script("DELETE", f"/account/credentials/{phone['id']}").data is None
    assert jmap(made, basic(ALICE, phone["secret"])) == 401
    refused(by_script("DELETE", f"/account/credentials/{phone['id']}"), 404, item=phone["id"])
    assert admin("DELETE", f"/principal/{ALICE}/credentials/{script['id']}").data is None
    assert by_script("GET", "/whoami").status == 401


def test_nobody_makes_a_credential_that_reaches_further(made: MadeServer, alice: Manager) -> None:
    few = token(made, ACCOUNT, CORE)
    for scopes in ([MAIL], None, [ACCOUNT, MAIL]):
        body = {"kind": "token", "name": "more", "scopes": scopes}
        refused(few("POST", "/account/credentials", body), 403)
        step = {"type": "addAppPassword", "name": "more", "scopes": scopes}
        refused(few("POST", "/account/auth", [step]), 403)
    assert few("POST", "/account/credentials", {"kind": "token", "name": "same", "scopes": [ACCOUNT]}).data
    refused(
        alice("POST", "/account/credentials", {"kind": "token", "name": "x", "scopes": ["mail"]}),
        404,
        item="mail",
        member="scopes",
    )
    refused(token(made, MAIL)("GET", "/account/auth"), 403, permission="manage-passwords")


@pytest.fixture
def session(made: MadeServer, alice: Manager) -> Any:
    """A browser in which alice is signed in."""
    directory = made.server.directory
    secret = directory.principals.secret(ALICE)
    assert secret is not None
    limits = made.server.settings.authentication.session
    return directory.web_sessions.begin(
        secret.principal, secret.stamp, limits=limits, address="192.0.2.1", agent="Browser", amr=("pwd",)
    )


def test_a_token_makes_none_that_lasts_longer(made: MadeServer, alice: Manager) -> None:
    new = {"kind": "token", "name": "x", "expires": "2099-01-01T00:00:00Z"}
    short = Manager(made, f"Bearer {alice('POST', '/account/credentials', new).data['secret']}")
    assert short("POST", "/account/credentials", new).status == 200
    for until in (None, "2099-01-01T00:00:01Z"):
        said = short("POST", "/account/credentials", new | {"expires": until})
        assert (said.status, said.json["member"]) == (403, "expires")
        said = short("POST", "/account/auth", [{"type": "addAppPassword", "name": "x", "expires": until}])
        assert (said.status, said.json["member"]) == (403, "expires")


def test_sessions_are_listed_and_ended(made: MadeServer, alice: Manager, session: Any) -> None:
    (found,) = alice("GET", "/account/credentials").data["items"]
    assert (found["kind"], found["name"], found["address"]) == ("session", "Browser", "192.0.2.1")
    assert alice("DELETE", f"/account/credentials/{found['id']}").data is None
    assert alice("GET", "/account/credentials").data["total"] == 0


def test_a_new_password_ends_sessions(made: MadeServer, alice: Manager, session: Any) -> None:
    alice("POST", "/account/auth", [{"type": "setPassword", "password": NEW}]).data  # noqa: B018 - asserts
    assert Manager(made, basic(ALICE, NEW))("GET", "/account/credentials").data["total"] == 0


WRONG: list[Any] = [
    [],
    [{"type": "becomeAdmin"}],
    [{"type": "setPassword"}],
    [{"type": "setPassword", "password": NEW, "account": "admin"}],
    {"steps": [], "currentPassword": PASSWORD},
    {"steps": [{"type": "enableOtpAuth"}], "admin": True},
    {"type": "setPassword", "password": NEW},
    [{"type": "addAppPassword", "name": ""}],
]


def test_wrong_bodies_are_refused(alice: Manager) -> None:
    for body in WRONG:
        assert refused(alice("POST", "/account/auth", body), 400)["member"], body
        assert alice("GET", "/whoami").status == 200
