"""Applications and devices ask, people answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from guessing import stop_the_clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from visiting import Person

from flaskmail.accounts.oauthdevices import DeviceCodes
from flaskmail.decisions.pages import form_token
from flaskmail.oauth.clients import CODE, DEVICE, REFRESH, Client
from flaskmail.testing import PASSWORD, MadeServer, make_server

ALICE = "alice@example.org"
BACK = "https://app.example/cb"
MAIL = "urn:ietf:params:jmap:mail"
# RFC 7636 appendix B.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture
def made() -> Iterator[MadeServer]:
    with make_server(config='[server.http]\nurl = "http://localhost"\n') as made:
        made.server.create_account(ALICE, PASSWORD)
        yield made


@pytest.fixture
def client(made: MadeServer) -> Client:
    wanted = Client(
        id="",
        name="Deluxe <b>Mail</b>",
        redirect_uris=(BACK,),
        grant_types=(CODE, REFRESH, DEVICE),
        auth_method="client_secret_basic",
        uri="https://app.example/",
        policy_uri="javascript:alert(1)",
    )
    found, _ = made.server.directory.oauth_clients.add(wanted)
    return found


@pytest.fixture
def alice(made: MadeServer) -> Person:
    person = Person(made.app.test_client())
    person.sign_in(ALICE)
    return person


@pytest.fixture
def asking(client: Client) -> Callable[..., str]:
    """The address of an authorization request; parameters that are None are left out."""

    def address(**more: str | None) -> str:
        usual: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": BACK,
            "scope": MAIL,
            "state": "of-the-client",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return "/authorize?" + urlencode({name: value for name, value in (usual | more).items() if value is not None})

    return address


def answer(person: Person) -> dict[str, str]:
    """The parameters that the browser takes back to the application."""
    assert person.page.status_code == 303, person.page.text
    there = urlsplit(person.page.headers["Location"])
    assert f"{there.scheme}://{there.netloc}{there.path}" == BACK
    return {name: value for name, [value] in parse_qs(there.query).items()}


class TestAuthorize:
    def test_who_allows_it_gives_a_code(self, alice: Person, asking: Callable[..., str], made: MadeServer) -> None:
        page = alice.get(asking())
        assert page.status_code == 200
        assert "Read, change and delete your mail." in page.text
        assert "<strong>app.example</strong>" in page.text
        assert "Deluxe &lt;b&gt;Mail&lt;/b&gt;" in page.text
        assert "javascript:" not in page.text
        assert "form-action 'self' https://app.example;" in page.headers["Content-Security-Policy"]
        alice.send("/consent", decision="allow")
        given = answer(alice)
        assert (given["state"], given["iss"]) == ("of-the-client", "http://localhost")
        assert given["code"]
        assert alice.page.headers["Cache-Control"] == "no-store"
        assert alice.page.headers["Referrer-Policy"] == "no-referrer"

    def test_who_denies_it_gives_none(self, alice: Person, asking: Callable[..., str]) -> None:
        alice.get(asking())
        alice.send("/consent", decision="deny")
        given = answer(alice)
        assert (given["error"], given["state"], "code" in given) == ("access_denied", "of-the-client", False)

    @pytest.mark.parametrize("decision", ["", "maybe", None])
    def test_nothing_is_allowed_by_accident(
        self, alice: Person, asking: Callable[..., str], decision: str | None
    ) -> None:
        alice.get(asking())
        fields = alice.form("/consent").fields | ({} if decision is None else {"decision": decision})
        assert alice.post("/consent", fields).status_code == 400

    def test_it_goes_on_after_signing_in(self, made: MadeServer, asking: Callable[..., str]) -> None:
        person = Person(made.app.test_client())
        person.get(asking(login_hint=ALICE))
        person.follow()
        assert person.form("/login").fields["name"] == ALICE
        # The redirect after the form may end at the application, when it is allowed already.
        assert "form-action 'self' https://app.example;" in person.page.headers["Content-Security-Policy"]
        person.send("/login", password=PASSWORD)
        person.follow()
        person.send("/consent", decision="allow")
        assert answer(person)["code"]

    @pytest.mark.parametrize(
        "redirect_uri",
        [
            "https://evil.example/cb",
            "https://app.example/cb/",
            "https://app.example/cb?x=1",
            "https://app.example/cb#",
            "https://app.example/CB",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example.evil.example/cb",
            "https://evil.app.example/cb",
            "https://app.example@evil.example/cb",
            "https://user@app.example/cb",
            "http://app.example/cb",
            "//app.example/cb",
            "/cb",
            "https://app.example//cb",
            "https://app.example/%63b",
            "https://app.example/x/../cb",
            "https://app.example/%2e%2e/cb",
            "https://app.example\\@evil.example/cb",
            "https://app.example/cb\r\nX: y",
            "https://app.example/cb ",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://xn--pp-wia.example/cb",
            "https://\u0430pp.example/cb",
        ],
    )
    def test_an_address_that_is_not_registered_gets_nothing(
        self, alice: Person, asking: Callable[..., str], redirect_uri: str
    ) -> None:
        page = alice.get(asking(redirect_uri=redirect_uri))
        assert page.status_code == 400
        assert "Location" not in page.headers
        assert "form-action 'self';" in page.headers["Content-Security-Policy"]
        alice.get(asking())
        query = alice.form("/consent").fields["request"].replace(quote(BACK, safe=""), quote(redirect_uri, safe=""))
        page = alice.send("/consent", request=query, decision="allow")
        assert page.status_code == 400
        assert "Location" not in page.headers

    @pytest.mark.parametrize("client_id", ["", "unknown", "'; --", "x" * 3000, None])
    def test_nobody_in_particular_gets_nothing(
        self, alice: Person, asking: Callable[..., str], client_id: str | None
    ) -> None:
        page = alice.get(asking(client_id=client_id))
        assert (page.status_code, "Location" in page.headers) == (400, False)

    def test_it_may_come_as_a_form(self, made: MadeServer, alice: Person, asking: Callable[..., str]) -> None:
        query = urlsplit(asking()).query
        sent = {"Content-Type": "application/x-www-form-urlencoded"}
        answered = made.app.test_client().post("/authorize", data=query, headers=sent)
        assert answered.headers["Location"] == f"/authorize?{query}"
        assert alice.get(answered.headers["Location"]).status_code == 200
        for body, kind, status in (
            (query, "application/json", 415),
            (query + "&x=" + "y" * 4000, sent["Content-Type"], 413),
            (query + "\r\nX: y", sent["Content-Type"], 400),
            (query + "#x", sent["Content-Type"], 400),
        ):
            answered = made.app.test_client().post("/authorize", data=body, headers={"Content-Type": kind})
            assert (answered.status_code, "Location" in answered.headers) == (status, False)

    def test_what_the_client_gets_wrong_it_is_told(self, alice: Person, asking: Callable[..., str]) -> None:
        alice.get(asking(code_challenge=None, code_challenge_method=None))
        assert answer(alice)["error"] == "invalid_request"
        alice.get(asking(response_type="token"))
        assert answer(alice)["error"] == "unsupported_response_type"

    def test_who_is_not_signed_in_is_sent_nowhere_by_a_wrong_request(
        self, made: MadeServer, asking: Callable[..., str]
    ) -> None:
        person = Person(made.app.test_client())
        for wrong in ({"response_type": "token"}, {"scope": "nothing"}, {"max_age": "x"}):
            person.get(asking(**wrong))
            assert person.page.headers["Location"].startswith("/login?next=/authorize%3F"), wrong
        person.follow()
        person.send("/login", name=ALICE, password=PASSWORD)
        person.follow()
        assert answer(person)["error"] == "invalid_request"
        stranger = Person(made.app.test_client())
        stranger.get(asking(prompt="none", scope="nothing"))
        assert answer(stranger)["error"] == "invalid_scope"

    @pytest.mark.parametrize("wrong", [{}, {"response_type": "token"}], ids=["right", "wrong"])
    def test_what_is_too_long_to_come_back_to_is_said_at_once(
        self, made: MadeServer, asking: Callable[..., str], wrong: dict[str, str]
    ) -> None:
        """Not by an address that the server itself refuses to read."""
        most = made.server.settings.server.limit_request_line - len("GET  HTTP/1.1")
        led = 0
        for length in (500, 700, 800, 900, 1000):
            path = asking(state="%" * length, **wrong)
            assert len(path) <= most
            person = Person(made.app.test_client())
            if person.get(path).status_code == 303:
                assert len(person.page.headers["Location"]) <= most
                led = length
            else:
                assert person.page.status_code == 414
                assert "Sign in first" in person.page.text
                person.sign_in(ALICE)
                assert person.get(path).status_code == (303 if wrong else 200)
        assert 500 <= led < 1000

    def test_prompt_none_asks_nobody(self, made: MadeServer, alice: Person, asking: Callable[..., str]) -> None:
        alice.get(asking(prompt="none"))
        assert answer(alice)["error"] == "consent_required"
        stranger = Person(made.app.test_client())
        stranger.get(asking(prompt="none"))
        assert answer(stranger)["error"] == "login_required"

    def test_an_old_sign_in_is_repeated_when_the_client_wants_that(
        self, made: MadeServer, alice: Person, asking: Callable[..., str]
    ) -> None:
        with made.server.directory._database.write() as execute:
            execute("UPDATE websession SET authenticated=authenticated-100")
        for wish in ({"prompt": "login"}, {"max_age": "60"}):
            with made.server.directory._database.write() as execute:
                execute("UPDATE websession SET authenticated=authenticated-100")
            alice.get(asking(**wish))
            assert alice.page.headers["Location"].startswith("/login?again=1&next=/authorize/")
            alice.follow()
            assert "Confirm that it is you" in alice.page.text
            alice.send("/login", password=PASSWORD)
            assert alice.follow().status_code == 200
            alice.send("/consent", decision="allow")
            assert answer(alice)["code"]
        alice.get(asking(max_age="60"))
        assert alice.page.status_code == 200

    def test_an_old_sign_in_does_not_allow_what_a_new_one_should(
        self, made: MadeServer, alice: Person, asking: Callable[..., str]
    ) -> None:
        alice.get(asking(max_age="60"))
        with made.server.directory._database.write() as execute:
            execute("UPDATE websession SET authenticated=authenticated-100")
        alice.send("/consent", decision="allow", since=str(int(time.time())))
        assert alice.page.headers["Location"].startswith("/login?again=1")

    def test_somebody_who_is_signed_out_meanwhile_signs_in(
        self, made: MadeServer, alice: Person, asking: Callable[..., str]
    ) -> None:
        alice.get(asking())
        made.server.directory.web_sessions.end_others(made.server.directory.principals.get(ALICE))
        alice.send("/consent", decision="allow")
        assert alice.page.headers["Location"].startswith("/login?next=/authorize/")

    def test_what_was_agreed_before_is_not_asked_again(
        self, made: MadeServer, alice: Person, client: Client, asking: Callable[..., str]
    ) -> None:
        alice.get(asking())
        alice.send("/consent", decision="allow")
        code = answer(alice)["code"]
        made.server.directory.oauth_tokens.redeem_code(
            code, client, BACK, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", made.server.settings.oauth.expiry
        )
        alice.get(asking())
        assert answer(alice)["code"]
        assert alice.get(asking(prompt="consent")).status_code == 200
        assert alice.get(asking(scope=f"{MAIL} openid")).status_code == 200
        assert "Deluxe" in alice.get("/account/applications").text
        alice.send("/account/applications")
        assert "no access any more" in alice.follow().text
        assert alice.get(asking()).status_code == 200

    def test_nobody_ends_what_another_allowed(
        self, made: MadeServer, alice: Person, client: Client, asking: Callable[..., str]
    ) -> None:
        alice.get(asking())
        alice.send("/consent", decision="allow")
        made.server.directory.oauth_tokens.redeem_code(
            answer(alice)["code"],
            client,
            BACK,
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            made.server.settings.oauth.expiry,
        )
        [grant] = made.server.oauth.grants_of(made.server.directory.principals.get(ALICE))
        made.server.create_account("bob@example.org", PASSWORD)
        bob = Person(made.app.test_client())
        bob.sign_in("bob@example.org")
        bob.get("/account/applications")
        token = bob.form("/logout").fields["token"]
        assert bob.post("/account/applications", {"token": token, "id": grant.id}).status_code == 303
        assert made.server.oauth.grants_of(made.server.directory.principals.get(ALICE)) == [grant]


class TestDevice:
    @pytest.fixture
    def codes(self, made: MadeServer, client: Client) -> DeviceCodes:
        return made.server.directory.oauth_devices.begin(client, (MAIL,), 600, "192.0.2.7")

    def status(self, made: MadeServer) -> list[str]:
        return [row[0] for row in made.server.directory._database.rows("SELECT status FROM oauth_device")]

    def test_somebody_looks_and_allows_it(self, made: MadeServer, alice: Person, codes: DeviceCodes) -> None:
        alice.get("/device")
        page = alice.send("/device", user_code=codes.user_code.lower().replace("-", " "))
        assert "192.0.2.7" in page.text
        assert "It asked at" in page.text
        assert page.status_code == 200
        for shown in (codes.user_code, "Deluxe", "Read, change and delete your mail.", ALICE, "Good until"):
            assert shown in page.text
        assert self.status(made) == ["pending"]
        assert "Connected" in alice.send("/device/answer", decision="allow").text
        assert self.status(made) == ["approved"]

    def test_a_code_in_the_address_saves_typing_only(self, made: MadeServer, alice: Person, codes: DeviceCodes) -> None:
        alice.get(f"/device?user_code={codes.user_code}")
        assert alice.form("/device").fields["user_code"] == codes.user_code
        assert "Deluxe" not in alice.page.text
        assert self.status(made) == ["pending"]
        alice.send("/device")
        assert "Denied" in alice.send("/device/answer", decision="deny").text
        assert self.status(made) == ["denied"]

    @pytest.mark.parametrize("code", ["", "WDJB-MJHT", "x" * 1000, "<script>", "\x00"])
    def test_a_code_that_no_device_shows(self, alice: Person, codes: DeviceCodes, code: str) -> None:
        alice.get("/device")
        page = alice.send("/device", user_code=code)
        assert page.status_code == 422
        assert "No device waits" in page.text
        assert "<script>" not in page.text

    @pytest.mark.parametrize("decision", ["", "yes"])
    def test_nothing_is_allowed_by_accident(
        self, made: MadeServer, alice: Person, codes: DeviceCodes, decision: str
    ) -> None:
        alice.get("/device")
        alice.send("/device", user_code=codes.user_code)
        assert alice.send("/device/answer", decision=decision).status_code == 400
        assert self.status(made) == ["pending"]

    def test_guessing_is_throttled(
        self, made: MadeServer, alice: Person, codes: DeviceCodes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stop_the_clock(monkeypatch, made.server.directory)
        alice.get("/device")
        answers = [alice.send("/device", user_code="WDJB-MJHT").status_code for _ in range(12)]
        assert answers == [422] * 10 + [429] * 2
        assert alice.send("/device", user_code=codes.user_code).status_code == 429
        assert int(alice.page.headers["Retry-After"]) > 0

    def test_it_is_answered_once(self, alice: Person, codes: DeviceCodes) -> None:
        alice.get("/device")
        alice.send("/device", user_code=codes.user_code)
        fields = alice.form("/device/answer").fields | {"decision": "allow"}
        assert alice.post("/device/answer", fields).status_code == 200
        assert alice.post("/device/answer", fields).status_code == 422

    def test_a_stranger_signs_in_first(self, made: MadeServer, codes: DeviceCodes) -> None:
        person = Person(made.app.test_client())
        person.get(f"/device?user_code={codes.user_code}")
        assert re.fullmatch(r"/login\?next=/device%3Fuser_code%3D.*", person.page.headers["Location"])


PATHS = [
    "/login",
    "/login/code",
    "/consent",
    "/device",
    "/device/answer",
    "/account/password",
    "/account/sessions",
]
PATHS += [
    "/account/applications",
    "/account/app-passwords",
    "/account/app-passwords/remove",
    "/authorize",
    "/authorize/1",
]
PATHS += [f"/account/second-factor/{what}" for what in ("enrol", "confirm", "recovery-codes", "remove")]
NAMES = [
    "name",
    "password",
    "next",
    "code",
    "request",
    "since",
    "decision",
    "user_code",
    "old",
    "new",
    "again",
    "id",
    "all",
    "days",
]
NAMES += [
    "scope-0",
    "client_id",
    "redirect_uri",
    "prompt",
    "max_age",
    "hint",
    "done",
    "response_type",
    "scope",
    "state",
]
TEXTS = st.one_of(
    st.sampled_from(
        ["", "1", "allow", "login", "none", "30", "\u00b2", "-1", "9" * 40, "code", ALICE, PASSWORD, BACK, "/account"]
    ),
    st.text(max_size=20),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    path=st.sampled_from(PATHS), fields=st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=5), posted=st.booleans()
)
def test_nothing_that_is_sent_breaks_a_page(
    alice: Person, client: Client, path: str, fields: dict[str, str], posted: bool
) -> None:
    if "client_id" in fields:
        fields["client_id"] = client.id
    query = urlencode(fields, errors="replace")
    if posted:
        token = form_token(alice.cookie)
        answered = alice.post(path, {**fields, "request": f"client_id={client.id}&{query}", "token": token})
    else:
        answered = alice.get(f"{path}?{query}")
    assert answered.status_code in (200, 303, 400, 403, 404, 405, 422, 429), (path, fields, answered.text)
    if not urlsplit(answered.headers.get("Location", "")).netloc:
        return
    assert answered.headers["Location"].startswith(BACK)
