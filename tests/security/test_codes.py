"""Authorization codes over HTTP as attackers use them: PKCE, redirection URIs, lifetimes, replay, other clients, JWTs."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from visiting import Person

from flaskmail.accounts.principals import Principal
from flaskmail.oauth.pkce import challenge_of
from flaskmail.testing import MadeServer, Reply

from ..oauth.conftest import FORM, URI, VERIFIER, Party, ann, app, bearer, made, web
from ..unit.oauth.test_redirects import MUTANTS

__all__ = ["ann", "app", "made", "web"]

CHALLENGE = challenge_of(VERIFIER)
AT_AUTHORIZE: list[dict[str, str | None]] = [
    {"code_challenge": None, "code_challenge_method": None},
    {"code_challenge": None},
    {"code_challenge_method": None},
    {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
    {"code_challenge_method": "s256"},
    {"code_challenge_method": "S512"},
    {"code_challenge_method": ""},
    {"code_challenge": CHALLENGE[:-1]},
]
AT_TOKEN: list[dict[str, str | None]] = [
    {"code_verifier": None},
    {"code_verifier": "v" * 42},
    {"code_verifier": CHALLENGE},
    {"code_verifier": "w" * 43},
]
"""With the former, twelve."""


@pytest.fixture
def person(made: MadeServer, ann: Principal) -> Person:
    """The owner, signed in with a browser."""
    person = Person(made.app.test_client())
    assert person.sign_in(ann.name).status_code == 303
    return person


def told(reply: object) -> dict[str, list[str]]:
    location = reply.headers["Location"]  # type: ignore[attr-defined]
    assert location.startswith(f"{URI}?")
    return parse_qs(urlsplit(location).query)


def is_refused(reply: Reply, error: str = "invalid_grant") -> bool:
    return reply.status == 400 and reply.json()["error"] == error


def enters(made: MadeServer, token: str) -> bool:
    return made.send("GET", "/jmap/session", bearer(token), b"").status == 200


def test_there_are_twelve_cases_of_pkce() -> None:
    assert len(AT_AUTHORIZE) + len(AT_TOKEN) == 12


@pytest.mark.parametrize("changes", AT_AUTHORIZE, ids=str)
def test_without_s256_there_is_no_code(person: Person, app: Party, changes: dict[str, str | None]) -> None:
    query = app.query(**changes).decode()
    found = told(person.get(f"/authorize?{query}"))
    assert found["error"] == ["invalid_request"]
    assert "code" not in found
    # Nor by the form, whatever stood on the page.
    person.get(f"/authorize?{app.query().decode()}")
    assert told(person.send("/consent", request=query, decision="allow"))["error"] == ["invalid_request"]


@pytest.mark.parametrize("changes", AT_TOKEN, ids=str)
def test_a_failed_verifier_burns_the_code(app: Party, ann: Principal, changes: dict[str, str | None]) -> None:
    code = app.code(ann)
    assert is_refused(app.redeem(code, **changes))
    assert is_refused(app.redeem(code))


def test_no_mutant_of_the_redirection_uri_is_redirected_to(person: Person, app: Party, ann: Principal) -> None:
    assert len(MUTANTS) >= 40
    for mutant in MUTANTS:
        try_mutant(person, app, ann, mutant)


def try_mutant(person: Person, app: Party, ann: Principal, mutant: str) -> None:
    mutant = mutant.replace("client.example.org", "app.example")
    assert mutant != URI
    for changes in ({}, {"prompt": "none"}, {"response_type": "token"}, {"code_challenge": None}):
        query = app.query(**changes | {"redirect_uri": mutant}).decode()
        for answered in (
            person.get(f"/authorize?{query}"),
            person.post("/authorize", _fields(query)),
        ):
            if answered.status_code == 303:
                # A form goes on as a GET here, which is asked above; it leads nowhere else.
                assert answered.headers["Location"].startswith("/authorize")
            else:
                assert answered.status_code == 400
                assert "Location" not in answered.headers
    person.get(f"/authorize?{app.query().decode()}")
    request = person.form("/consent").fields["request"].replace(quote(URI, safe=""), quote(mutant, safe=""))
    answered = person.send("/consent", request=request, decision="allow")
    assert answered.status_code == 400
    assert "Location" not in answered.headers
    # RFC 6749 section 4.1.3: with a code, it has to be that of the request.
    code = app.code(ann)
    assert is_refused(app.redeem(code, redirect_uri=mutant))
    assert is_refused(app.redeem(code))


def _fields(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


def test_a_code_lives_for_a_minute(
    made: MadeServer, app: Party, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.time()
    tokens = made.server.directory.oauth_tokens
    monkeypatch.setattr(tokens, "_clock", lambda: begun)
    codes = [app.code(ann) for _ in range(3)]
    for seconds, status in ((59, 200), (60, 400), (3600, 400)):
        monkeypatch.setattr(tokens, "_clock", lambda later=seconds: begun + later)
        assert app.redeem(codes.pop()).status == status, seconds


def test_a_code_that_comes_again_ends_what_came_of_it(made: MadeServer, app: Party, ann: Principal) -> None:
    code = app.code(ann)
    said = app.redeem(code).json()
    assert enters(made, said["access_token"])
    assert is_refused(app.redeem(code))
    assert not enters(made, said["access_token"])
    assert is_refused(app.token(grant_type="refresh_token", refresh_token=said["refresh_token"]))


def test_a_refresh_token_that_comes_again_ends_its_family(made: MadeServer, app: Party, ann: Principal) -> None:
    first = app.tokens(ann)
    second = app.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert enters(made, second["access_token"])
    assert is_refused(app.token(grant_type="refresh_token", refresh_token=first["refresh_token"]))
    assert not enters(made, first["access_token"])
    assert not enters(made, second["access_token"])
    assert is_refused(app.token(grant_type="refresh_token", refresh_token=second["refresh_token"]))


@pytest.mark.parametrize(
    "response_type", ["token", "id_token", "id_token token", "code token", "code id_token", "none", ""]
)
def test_only_codes_are_given(person: Person, app: Party, made: MadeServer, response_type: str) -> None:
    found = told(person.get(f"/authorize?{app.query(response_type=response_type).decode()}"))
    assert found["error"][0] in ("unsupported_response_type", "invalid_request")
    assert not {"access_token", "id_token", "code"} & found.keys()


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
def test_the_metadata_names_neither_implicit_nor_password(made: MadeServer, name: str) -> None:
    found = made.send("GET", f"/.well-known/{name}", {}, b"").json()
    assert found["response_types_supported"] == ["code"]
    assert not {"password", "implicit", "client_credentials"} & set(found["grant_types_supported"])
    assert found["code_challenge_methods_supported"] == ["S256"]


def test_what_is_one_client_s_is_no_other_s(app: Party, web: Party, ann: Principal, made: MadeServer) -> None:
    code = app.code(ann)
    assert is_refused(web.redeem(code))
    # It was given away, so its own client cannot use it either.
    assert is_refused(app.redeem(code))
    said = app.tokens(ann)
    assert is_refused(web.token(grant_type="refresh_token", refresh_token=said["refresh_token"]))
    assert not enters(made, said["access_token"])


def test_answers_carry_state_and_issuer_and_leave_by_303(person: Person, app: Party) -> None:
    page = person.get(f"/authorize?{app.query(state='own').decode()}")
    assert page.status_code == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    for decision in ("deny", "allow"):
        person.get(f"/authorize?{app.query(state='own').decode()}")
        answered = person.send("/consent", decision=decision)
        # Not 307: a browser would send the form, and a password in it, to the client.
        assert answered.status_code == 303
        found = told(answered)
        assert (found["state"], found["iss"]) == (["own"], ["http://localhost"])


def jwt(head: dict[str, object], claims: dict[str, object], signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, claims)]
    return ".".join([*parts, signature])


def test_no_jwt_is_an_access_token(made: MadeServer, app: Party, ann: Principal) -> None:
    said = app.tokens(ann)
    head, claims, signature = said["id_token"].split(".")
    known = json.loads(base64.urlsafe_b64decode(claims + "=="))
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    attempts = [
        said["id_token"],
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{head}..{signature}",
        *(jwt({"alg": alg, "kid": kid}, known) for alg in ("none", "None", "NONE", "nOnE", "HS256", "RS256", "ES256")),
        *(jwt({"alg": "HS256", "kid": path}, known, "x") for path in ("../../dev/null", "/etc/passwd", "' OR 1=1 --")),
        jwt({"alg": "HS256", "jku": "https://evil.example/jwks.json"}, known, "x"),
        jwt({"alg": "RS256", "jwk": {"kty": "oct", "k": "eA"}}, known, "x"),
        jwt({"alg": "none"}, {"sub": "admin", "scope": "urn:flaskmail:management"}),
        f"fmo_{said['id_token']}",
    ]
    for token in attempts:
        for path in ("/jmap/session", "/api/whoami", "/auth/userinfo"):
            assert made.send("GET", path, bearer(token), b"").status == 401, (path, token)


@pytest.mark.parametrize("name", ["request", "request_uri", "registration", "id_token_hint"])
def test_no_jwt_is_read_in_a_request(person: Person, app: Party, name: str) -> None:
    value = jwt({"alg": "none"}, {"redirect_uri": "https://evil.example/", "scope": "urn:flaskmail:management"})
    answered = person.get(f"/authorize?{app.query(**{name: value}).decode()}")
    assert "evil.example" not in answered.text + str(answered.headers)
    if answered.status_code == 303:
        assert "error" in told(answered)


def test_assertions_of_clients_are_not_read(web: Party, made: MadeServer) -> None:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "x",
        "client_id": "web",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt({"alg": "none"}, {"iss": "web", "sub": "web"}),
    }
    reply = made.send("POST", "/auth/token", FORM, urlencode(form).encode())
    assert is_refused(reply, "invalid_client")
