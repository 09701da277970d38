"""The endpoints for machines, in this process."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from flaskmail.oauth import offer as paths
from flaskmail.oauth.clients import DEVICE, GRANT_TYPES, Client
from flaskmail.testing import PASSWORD, Reply, basic, make_server

from .conftest import FORM, ISSUER, MAIL, SCOPE, URI, VERIFIER, Party, bearer

FORMS = (paths.TOKEN, paths.DEVICE, paths.REVOKE, paths.INTROSPECT)


def is_secret(reply: Reply) -> bool:
    return reply.header("Cache-Control") == "no-store" and reply.header("X-Content-Type-Options") == "nosniff"


def refused(reply: Reply, error: str, status: int = 400) -> bool:
    """Whether it is the refusal of RFC 6749 section 5.2, and says nothing beside it."""
    assert is_secret(reply), reply
    assert reply.header("Content-Type") == "application/json"
    said = reply.json()
    assert said.keys() == {"error", "error_description"}
    assert all("\x20" <= c <= "\x7e" and c not in '"\\' for c in said["error_description"])
    assert (said["error"], reply.status) == (error, status), reply
    return True


# ---- the authorization code
def test_a_code_becomes_tokens(app, ann):
    reply = app.redeem(app.code(ann))
    assert reply.status == 200
    assert is_secret(reply)
    assert reply.header("Pragma") == "no-cache"
    said = reply.json()
    assert said.keys() == {"access_token", "refresh_token", "id_token", "token_type", "expires_in", "scope"}
    assert (said["token_type"], said["expires_in"], said["scope"]) == ("Bearer", 3600, SCOPE)
    assert app.made.send("GET", "/jmap/session", bearer(said["access_token"]), b"").json()["username"] == ann.name
    assert app.made.send("GET", "/jmap/session", bearer(said["refresh_token"]), b"").status == 401
    assert app.made.send("GET", "/jmap/session", bearer(said["id_token"]), b"").status == 401


def test_the_id_token_is_signed_as_the_client_wants(app, web, ann):
    published = KeySet.import_key_set(app.made.send("GET", paths.JWKS, {}, b"").json())
    app.made.server.directory.oauth_clients.update(replace(app.client, id_token_alg="RS256"))
    for party, algorithm in ((app, "RS256"), (web, "ES256")):
        said = party.tokens(ann)
        found = jwt.decode(said["id_token"], published, algorithms=["RS256", "ES256"])
        assert found.header["alg"] == algorithm
        claims = found.claims
        assert (claims["iss"], claims["aud"], claims["sub"]) == (ISSUER, party.client.id, ann.id)
        assert (claims["nonce"], claims["amr"], claims["auth_time"]) == ("n", ["pwd"], ann.grant.authenticated)
        assert (claims["email"], claims["email_verified"]) == (ann.name, True)
        assert claims["exp"] - claims["iat"] == 900


def test_without_openid_there_is_no_id_token(app, ann):
    said = app.tokens(ann, scope=MAIL)
    assert said.keys() == {"access_token", "token_type", "expires_in", "scope"}


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": ""},
        {"code_verifier": "v" * 42},
        {"code_verifier": "v" * 129},
        {"code_verifier": "w" * 43},
        {"code_verifier": VERIFIER + "\n"},
        {"code_verifier": "x" * 43},
    ],
    ids=str,
)
def test_a_wrong_verifier_burns_the_code(app, ann, changes):
    code = app.code(ann)
    assert refused(app.redeem(code, **changes), "invalid_grant")
    assert refused(app.redeem(code), "invalid_grant")


def test_a_client_does_not_get_what_is_another_s(app, web, ann):
    assert refused(web.redeem(app.code(ann)), "invalid_grant")
    said = app.tokens(ann)
    assert refused(web.token(grant_type="refresh_token", refresh_token=said["refresh_token"]), "invalid_grant")
    said = app.tokens(ann)
    assert refused(web.post(paths.REVOKE, token=said["access_token"]), "unauthorized_client")
    assert app.made.send("GET", "/jmap/session", bearer(said["access_token"]), b"").status == 200


def test_a_code_for_a_client_with_a_secret_needs_the_secret(web, ann):
    code = web.code(ann)
    stranger = Party(web.made, web.client, None)
    assert refused(stranger.redeem(code), "invalid_client")
    assert refused(Party(web.made, web.client, "wrong").redeem(code), "invalid_client", 401)
    assert web.redeem(code).status == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": ""}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": DEVICE}, "invalid_request"),
        ({"grant_type": DEVICE, "device_code": "x"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "é\ud7ff", "scope": "x"}, "invalid_grant"),
    ],
    ids=ascii,
)
def test_what_the_token_endpoint_refuses(app, form, error):
    assert refused(app.token(**form), error)


def test_a_client_gets_only_what_it_is_registered_for(made, ann):
    client, _ = made.server.directory.oauth_clients.add(Client("tv", "TV", (), (DEVICE,), native=True))
    party = Party(made, client, None)
    assert refused(party.redeem("x"), "unauthorized_client")
    assert refused(party.token(grant_type="refresh_token", refresh_token="x"), "unauthorized_client")
    assert party.post(paths.DEVICE).status == 200


# ---- forms
@pytest.mark.parametrize("path", FORMS)
def test_only_posted_forms_are_read(made, app, path):
    good = urlencode({"client_id": "app"}).encode()
    assert made.send("GET", path, {}, b"").status == 405
    assert made.send("PUT", path, FORM, good).status == 405
    assert refused(made.send("POST", path, {}, good), "invalid_request")
    assert refused(made.send("POST", path, {"Content-Type": "application/json"}, b"{}"), "invalid_request")
    assert refused(
        made.send("POST", path, {"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"), "invalid_request"
    )
    assert refused(made.send("POST", f"{path}?client_id=app", FORM, good), "invalid_request")
    assert refused(made.send("POST", path, FORM, good + b"&client_id=app"), "invalid_request")
    assert refused(made.send("POST", path, FORM, b"a=%ff"), "invalid_request")
    assert refused(made.send("POST", path, FORM, b"a=" + b"x" * 20_000), "invalid_request", 413)
    assert refused(made.send("POST", path, FORM | {"Content-Encoding": "gzip"}, good), "invalid_request", 415)
    # RFC 7662 section 2.3.
    status = 401 if path == paths.INTROSPECT else 400
    assert refused(
        made.send("POST", path, FORM, b"client_id=nobody&grant_type=refresh_token"), "invalid_client", status
    )


@pytest.mark.parametrize("path", FORMS)
def test_a_client_that_fails_with_basic_is_challenged(made, app, path):
    form = b"grant_type=refresh_token&refresh_token=x&token=x"
    reply = made.send("POST", path, FORM | {"Authorization": basic("app", "x")}, form)
    assert refused(reply, "invalid_client", 401)
    assert (reply.header("WWW-Authenticate") or "").startswith("Basic ")
    reply = made.send("POST", path, FORM | {"Authorization": "Bearer x"}, form)
    assert refused(reply, "invalid_client", 401)


def test_plain_http_to_another_machine_is_refused():
    with make_server(config='[server.http]\nurl = "http://mail.example.org"\n') as made:
        for path in FORMS:
            assert refused(made.send("POST", path, FORM, b"client_id=x"), "invalid_request")
        assert made.server.oauth.metadata("openid-configuration", "http://mail.example.org") is None
    with make_server(config='[server.http]\nurl = "https://mail.example.org"\n') as made:
        for path in FORMS:
            wrong = made.send("POST", path, FORM, b"client_id=x&grant_type=refresh_token")
            assert refused(wrong, "invalid_client", 401 if path == paths.INTROSPECT else 400)


# ---- refreshing, revoking, introspecting
def test_refreshing(web, ann):
    first = web.tokens(ann)
    second = web.token(grant_type="refresh_token", refresh_token=first["refresh_token"], scope=MAIL).json()
    assert second["scope"] == MAIL
    assert "id_token" not in second
    assert refused(
        web.token(grant_type="refresh_token", refresh_token=second["refresh_token"], scope="urn:x"), "invalid_scope"
    )
    assert refused(web.token(grant_type="refresh_token", refresh_token=first["refresh_token"]), "invalid_grant")
    assert refused(web.token(grant_type="refresh_token", refresh_token=second["refresh_token"]), "invalid_grant")
    assert web.made.send("GET", "/jmap/session", bearer(first["access_token"]), b"").status == 401


def test_revoking(app, ann):
    said = app.tokens(ann)
    for token in (said["access_token"], said["access_token"], "unknown"):
        reply = app.post(paths.REVOKE, token=token, token_type_hint="refresh_token")
        assert (reply.status, reply.body) == (200, b"")
        assert is_secret(reply)
    assert app.made.send("GET", "/jmap/session", bearer(said["access_token"]), b"").status == 401
    assert app.post(paths.REVOKE, token=said["refresh_token"]).status == 200
    assert refused(app.token(grant_type="refresh_token", refresh_token=said["refresh_token"]), "invalid_grant")
    assert refused(app.post(paths.REVOKE), "invalid_request")
    assert app.made.server.oauth.grants_of(ann) == []


def test_introspecting(app, web, ann):
    said = app.tokens(ann)
    found = web.post(paths.INTROSPECT, token=said["access_token"])
    assert is_secret(found)
    told = found.json()
    assert told["active"] is True
    assert (told["client_id"], told["username"], told["sub"]) == ("app", ann.name, ann.id)
    assert (told["scope"], told["token_type"], told["iss"]) == (SCOPE, "Bearer", ISSUER)
    assert told["exp"] - told["iat"] == 3600
    assert "token_type" not in web.post(paths.INTROSPECT, token=said["refresh_token"]).json()
    for token in ("unknown", said["id_token"], "fmo_", web.secret):
        assert web.post(paths.INTROSPECT, token=token).json() == {"active": False}
    reply = app.post(paths.INTROSPECT, token=said["access_token"])
    assert refused(reply, "invalid_client", 401)
    assert (reply.header("WWW-Authenticate") or "").startswith("Basic ")
    web.made.server.directory.principals.set_disabled(ann.name, True)
    assert web.post(paths.INTROSPECT, token=said["access_token"]).json() == {"active": False}


def test_userinfo(app, ann):
    said = app.tokens(ann)
    for method in ("GET", "POST"):
        reply = app.made.send(method, paths.USERINFO, bearer(said["access_token"]), b"")
        assert reply.json() == {
            "sub": ann.id,
            "preferred_username": ann.name,
            "email": ann.name,
            "email_verified": True,
        }
        assert is_secret(reply)
    only = app.tokens(ann, scope="openid")["access_token"]
    assert app.made.send("GET", paths.USERINFO, bearer(only), b"").json() == {"sub": ann.id}


def test_userinfo_is_for_access_tokens_with_openid(app, ann):
    mail = app.tokens(ann, scope=MAIL)["access_token"]
    for headers in (bearer(mail), {"Authorization": basic(ann.name)}):
        reply = app.made.send("GET", paths.USERINFO, headers, b"")
        assert reply.status == 403
        assert 'error="insufficient_scope"' in (reply.header("WWW-Authenticate") or "")
    for headers in ({}, bearer("x")):
        reply = app.made.send("GET", paths.USERINFO, headers, b"")
        assert reply.status == 401
        assert (reply.header("WWW-Authenticate") or "").startswith("Bearer")


# ---- devices
def test_a_device_is_let_in(app, ann, made, monkeypatch):
    now = time.time()
    monkeypatch.setattr(made.server.directory.oauth_devices, "_clock", lambda: now)
    reply = app.post(paths.DEVICE, scope=f"openid {MAIL}")
    assert is_secret(reply)
    said = reply.json()
    assert said["verification_uri"] == f"{ISSUER}/device"
    assert said["verification_uri_complete"] == f"{ISSUER}/device?user_code={said['user_code']}"
    assert (said["expires_in"], said["interval"]) == (1800, 5)
    assert refused(app.token(grant_type=DEVICE, device_code=said["device_code"]), "authorization_pending")
    assert refused(app.token(grant_type=DEVICE, device_code=said["device_code"]), "slow_down")
    device = made.server.oauth.device_request(said["user_code"].replace("-", " ").lower())
    assert device is not None
    assert (device.client.name, device.scopes) == ("App", ("openid", MAIL))
    assert made.server.oauth.approve_device(device, ann, [MAIL], ("pwd", "otp", "mfa"))
    with made.server.directory._database.write() as execute:
        execute("UPDATE oauth_device SET polled=0")
    found = app.token(grant_type=DEVICE, device_code=said["device_code"]).json()
    assert found["scope"] == MAIL
    principal = made.server.authenticate(f"Bearer {found['access_token']}", "")
    assert principal.grant.second_factor


def test_a_device_is_refused(app, made):
    said = app.post(paths.DEVICE).json()
    device = made.server.oauth.device_request(said["user_code"])
    assert device is not None
    assert made.server.oauth.deny_device(device)
    assert made.server.oauth.device_request(said["user_code"]) is None
    assert refused(app.token(grant_type=DEVICE, device_code=said["device_code"]), "access_denied")
    assert refused(app.post(paths.DEVICE, scope="nothing"), "invalid_scope")


# ---- registration
REGISTRATION = "[oauth.client-registration]\nenable = true\nanonymous = {}\n"
METADATA = {"redirect_uris": [URI], "client_name": "App", "scope": f"openid {MAIL} urn:flaskmail:management"}
JSON = {"Content-Type": "application/json"}


def register(made, headers=(), **changes):
    body = json.dumps(METADATA | changes).encode()
    return made.send("POST", paths.REGISTER, JSON | dict(headers), body)


def test_nobody_registers_unless_it_is_allowed(made):
    assert register(made).status == 404
    assert "registration_endpoint" not in made.server.oauth.metadata("openid-configuration", ISSUER)


def test_a_client_registers_itself_and_works():
    with make_server(config=REGISTRATION.format("true")) as made:
        assert made.server.oauth.metadata("openid-configuration", ISSUER)["registration_endpoint"].endswith(
            paths.REGISTER
        )
        reply = register(made)
        assert reply.status == 201
        assert is_secret(reply)
        said = reply.json()
        assert said["client_secret_expires_at"] == 0
        # What changes the server is not for whom nobody here knows.
        assert said["scope"] == f"openid {MAIL}"
        made.account("ann@example.org")
        ann = made.server.directory.principals.get("ann@example.org")
        client = made.server.directory.oauth_clients.get(said["client_id"])
        assert client.dynamic
        party = Party(made, client, said["client_secret"])
        tokens = party.tokens(ann, scope="openid urn:flaskmail:management")
        assert tokens["scope"] == "openid"
        assert party.post(paths.INTROSPECT, token=tokens["access_token"]).json()["active"]
        made.server.directory.oauth_clients.add(Client("app", "App", (URI,), GRANT_TYPES))
        others = Party(made, made.server.directory.oauth_clients.get("app"), None).tokens(ann)
        assert party.post(paths.INTROSPECT, token=others["access_token"]).json() == {"active": False}


def test_what_a_registration_cannot_be():
    with make_server(config=REGISTRATION.format("true")) as made:
        assert refused(register(made, redirect_uris=["javascript:alert(1)"]), "invalid_redirect_uri")
        assert refused(register(made, redirect_uris=["http://app.example/cb"]), "invalid_redirect_uri")
        assert refused(register(made, grant_types=["password"]), "invalid_client_metadata")
        assert refused(made.send("POST", paths.REGISTER, FORM, b"a=b"), "invalid_client_metadata")
        assert refused(register(made, client_name="x" * 20_000), "invalid_client_metadata", 413)
        assert made.server.directory.oauth_clients.all() == []


def test_registering_can_need_a_permission():
    with make_server(config=REGISTRATION.format("false")) as made:
        made.server.ensure_admin()
        directory = made.server.directory
        directory.principals.set_password("admin", directory.passwords.hash(PASSWORD))
        made.account("ann@example.org")
        assert register(made).status == 401
        assert refused(register(made, {"Authorization": basic("ann@example.org")}), "access_denied", 403)
        assert register(made, {"Authorization": basic("admin")}).status == 201
        # A client asks people of every domain.
        for permissions, status in (('["oauth-client-create"]', 403), ('["oauth-client-create", "all-domains"]', 201)):
            with directory._database.write() as execute:
                execute("UPDATE principal SET enabled_permissions=? WHERE name='ann@example.org'", (permissions,))
            assert register(made, {"Authorization": basic("ann@example.org")}).status == status


# ---- documents
def test_the_documents_are_as_the_standards_want_them(made):
    issuer = "https://mail.example.org"
    server = made.server.oauth.metadata("oauth-authorization-server", issuer)
    AuthorizationServerMetadata(server).validate()
    OpenIDProviderMetadata(made.server.oauth.metadata("openid-configuration", issuer)).validate()
    assert made.server.oauth.metadata("oauth-protected-resource", issuer)["authorization_servers"] == [issuer]


def test_every_endpoint_in_the_documents_exists(made):
    found = made.server.oauth.metadata("openid-configuration", ISSUER)
    ends = {name: url for name, url in found.items() if name.endswith("_endpoint") or name == "jwks_uri"}
    assert len(ends) == 7
    for url in ends.values():
        assert made.send("DELETE", url.removeprefix(ISSUER), {}, b"").status == 405


def test_no_secret_is_logged(app, web, ann, caplog):
    caplog.set_level(logging.DEBUG)
    said = web.tokens(ann)
    code = app.code(ann)
    app.redeem(code)
    app.redeem(code)
    web.token(grant_type="refresh_token", refresh_token=said["refresh_token"])
    web.token(grant_type="refresh_token", refresh_token=said["refresh_token"])
    web.post(paths.INTROSPECT, token=said["access_token"])
    app.post(paths.INTROSPECT, token=said["access_token"])
    device = app.post(paths.DEVICE).json()
    app.token(grant_type=DEVICE, device_code=device["device_code"])
    canaries = [said["access_token"], said["refresh_token"], said["id_token"], web.secret, code, VERIFIER]
    canaries += [device["device_code"], device["user_code"]]
    logged = caplog.text
    assert "refused" in logged
    assert not [canary for canary in canaries if canary in logged]


def test_the_libraries_wait_until_they_are_needed():
    script = (
        "import sys\nfrom flaskmail.testing import make_server\n"
        "with make_server() as made:\n"
        "    made.send('GET', '/healthz/ready', {}, b'')\n"
        "    made.send('POST', '/auth/token', {}, b'')\n"
        "    print([name for name in ('authlib', 'joserfc', 'requests') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
