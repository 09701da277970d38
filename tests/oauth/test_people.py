"""What the pages for people ask of the authorization server."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.grants import Grant
from flaskmail.errors import RequestError
from flaskmail.oauth.authorization import AuthorizationRequest, RedirectError, Refused
from flaskmail.oauthservice import OAuthService

from .conftest import ISSUER, MAIL, SCOPE, URI, Party, bearer


@pytest.fixture
def oauth(made) -> OAuthService:
    return made.server.oauth


def asked(party: Party, **changes: str | None) -> AuthorizationRequest:
    found = party.made.server.oauth.authorization_request(party.query(**changes), ISSUER)
    assert isinstance(found, AuthorizationRequest), found
    return found


def said(url: str) -> dict[str, list[str]]:
    assert url.startswith(f"{URI}?")
    return parse_qs(urlsplit(url).query)


def test_a_user_says_yes(oauth, app, ann):
    found = said(oauth.approve(asked(app), ann))
    assert found.keys() == {"code", "state", "iss"}
    assert (found["state"], found["iss"]) == (["s"], [ISSUER])


def test_a_user_says_no(oauth, app):
    found = said(oauth.deny(asked(app)))
    assert (found["error"], found["state"], found["iss"]) == (["access_denied"], ["s"], [ISSUER])


def test_a_user_allows_a_part(oauth, app, ann):
    code = said(oauth.approve(asked(app), ann, [MAIL, "urn:flaskmail:management"]))["code"][0]
    assert app.redeem(code).json()["scope"] == MAIL
    assert said(oauth.approve(asked(app), ann, []))["error"] == ["access_denied"]


def test_a_request_is_refused_on_a_page_or_by_redirect(oauth, app):
    assert isinstance(oauth.authorization_request(app.query(redirect_uri="https://evil.example/"), ISSUER), Refused)
    assert isinstance(oauth.authorization_request(app.query(code_challenge=None), ISSUER), RedirectError)
    assert isinstance(oauth.authorization_request(app.query(), "http://mail.example.org"), Refused)
    assert isinstance(oauth.authorization_request(b"\xff", ISSUER), Refused)


def test_what_the_user_allowed_is_remembered_for_clients_with_a_secret(oauth, app, web, ann):
    now = int(time.time())
    scope = f"openid {MAIL}"
    for party, after in ((app, "consent"), (web, "approve")):
        assert oauth.next_step(asked(party, scope=scope), None, now) == "login"
        assert oauth.next_step(asked(party, scope=scope), ann, now) == "consent"
        none = oauth.next_step(asked(party, scope=scope, prompt="none"), ann, now)
        assert isinstance(none, RedirectError)
        assert none.error == "consent_required"
        party.tokens(ann, scope=scope)
        assert oauth.next_step(asked(party, scope=scope), ann, now) == after
        assert oauth.next_step(asked(party, scope=f"{scope} email"), ann, now) == "consent"
    [grant] = [one for one in oauth.grants_of(ann) if one.client == "web"]
    oauth.revoke(grant.id, ann)
    assert oauth.next_step(asked(web, scope=scope), ann, now) == "consent"


@pytest.mark.parametrize(
    "grant",
    [
        Grant("oauth", scopes=frozenset({"urn:flaskmail:account"})),
        Grant("app-password"),
        Grant("token"),
        Grant("api-key"),
        Grant("session", scopes=frozenset()),
    ],
    ids=lambda grant: grant.kind,
)
def test_a_program_cannot_let_in_others(oauth, app, ann, grant):
    with pytest.raises(RequestError) as caught:
        oauth.approve(asked(app), replace(ann, grant=grant))
    assert caught.value.status == 403


def test_the_permission_is_needed(oauth, app, ann, made):
    with made.server.directory._database.write() as execute:
        execute("UPDATE principal SET disabled_permissions='[\"authenticate-oauth\"]' WHERE id=?", (ann.id,))
    with pytest.raises(RequestError) as caught:
        oauth.approve(asked(app), ann)
    assert caught.value.extra == {"permission": "authenticate-oauth"}
    # The client is told before anybody is asked.
    told = oauth.next_step(asked(app), ann, 0)
    assert isinstance(told, RedirectError)
    assert (told.error, said(told.url)["state"]) == ("access_denied", ["s"])


def test_a_hint_says_whom_it_is_about(oauth, app, web, ann, made):
    made.account("bob@example.org")
    bob = replace(made.server.directory.principals.get("bob@example.org"), grant=ann.grant)
    # Another client's ID token says it as well.
    hint = web.tokens(ann)["id_token"]
    request = asked(app, id_token_hint=hint)
    assert oauth.next_step(request, ann, 0) == "consent"
    refused = oauth.next_step(request, bob, 0)
    assert isinstance(refused, RedirectError)
    assert said(refused.url)["error"] == ["login_required"]
    head, claims, signature = hint.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    secret = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    wrong = [f"{head}.{claims}.{flipped}", f"{head}.{claims}.", f"{none}.{claims}.", f"{secret}.{claims}.{signature}"]
    for token in (*wrong, "x", "..", f"{head}.{'[' * 20}.{signature}", "a.b.c.d.e", "é"):
        found = oauth.authorization_request(app.query(id_token_hint=token), ISSUER)
        assert isinstance(found, RedirectError), token
        assert found.error == "invalid_request"


def test_a_closed_account_lets_nobody_in(oauth, app, ann, made):
    request = asked(app)
    made.server.directory.principals.delete(ann.name)
    with pytest.raises((UnknownName, RequestError)):
        oauth.approve(request, ann)


def test_a_device_that_is_not_there(oauth):
    assert oauth.device_request("BCDF-GHJK") is None
    assert oauth.device_request("") is None
    assert oauth.device_request("\0" * 100) is None


def test_grants_are_listed_and_revoked(oauth, app, web, ann, made):
    tokens = [party.tokens(ann) for party in (app, web)]
    grants = oauth.grants_of(ann)
    assert {(one.client, one.client_name) for one in grants} == {("app", "App"), ("web", "Web")}
    made.account("bob@example.org")
    bob = made.server.directory.principals.get("bob@example.org")
    for one in grants:
        with pytest.raises(UnknownName):
            oauth.revoke(one.id, bob)
        oauth.revoke(one.id, ann)
    for one in tokens:
        assert made.send("GET", "/jmap/session", bearer(one["access_token"]), b"").status == 401
    assert oauth.grants_of(ann) == []


def test_every_scope_has_a_sentence(oauth):
    for scope, sentence in oauth.sentences(oauth.offer.scopes):
        assert sentence.endswith(".")
        assert sentence != f"Use {scope}."
    assert set(SCOPE.split()) <= set(oauth.offer.scopes)
