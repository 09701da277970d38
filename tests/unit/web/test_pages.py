"""The pages for people: signing in and out, the own account, and what protects both."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from urllib.parse import urlencode

import pytest
from flask import Blueprint
from guessing import stop_the_clock
from visiting import Person, forms

from flaskmail import sockets
from flaskmail.accounts.oauthtokens import Approval
from flaskmail.accounts.totp import code_at
from flaskmail.hookspecs import hookimpl
from flaskmail.oauth.clients import Client
from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

ALICE, BOB = "alice@example.org", "bob@example.org"
NEW = "four unrelated words here"

PAGES = [
    "/login",
    "/logout",
    "/account",
    "/account/password",
    "/account/second-factor",
    "/account/app-passwords",
    "/account/sessions",
    "/account/applications",
    "/device",
]


@pytest.fixture
def made() -> Iterator[MadeServer]:
    with make_server() as made:
        made.server.create_account(ALICE, PASSWORD)
        yield made


@pytest.fixture
def visitor(made: MadeServer) -> Callable[..., Person]:
    return lambda **headers: Person(made.app.test_client(), **headers)


@pytest.fixture
def alice(visitor: Callable[..., Person]) -> Person:
    """Signed in."""
    person = visitor()
    assert person.sign_in(ALICE).status_code == 303
    return person


def enrol(person: Person) -> bytes:
    """Sets up a second factor; its secret."""
    person.get("/account/second-factor")
    person.send("/account/second-factor/enrol")
    person.follow()
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', person.page.text)
    assert found is not None
    secret = base64.b32decode(found[1].replace(" ", ""))
    answered = person.send("/account/second-factor/confirm", code=code_at(secret, int(time.time()) // 30))
    assert answered.status_code == 200
    return secret


def forget_codes(made: MadeServer) -> None:
    """Lets the present code be used again, as if time had gone by."""
    with made.server.directory._database.write() as execute:
        execute("UPDATE totp SET last=0, failures=0")


def age(made: MadeServer, seconds: int) -> None:
    """Makes every sign-in that much older."""
    with made.server.directory._database.write() as execute:
        execute("UPDATE websession SET authenticated=authenticated-?", (seconds,))


class TestHeaders:
    def test_every_page_says_what_protects_it(self, alice: Person) -> None:
        for path in (*PAGES, "/login?again=1", "/authorize", "/login/nothing"):
            page = alice.get(path)
            headers = page.headers
            if page.status_code == 303:
                assert headers["Cache-Control"] == "no-store"
                continue
            assert headers["Content-Type"] == "text/html; charset=utf-8", path
            assert headers["Cache-Control"] == "no-store", path
            assert headers["Referrer-Policy"] == "no-referrer", path
            assert headers["X-Robots-Tag"] == "noindex", path
            assert headers["X-Frame-Options"] == "DENY", path
            policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
            assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'", path
            assert policy["form-action"] == policy["style-src"] == "'self'", path
            assert "script-src" not in policy
            assert not re.search(r"<script|\son\w+=|style=|javascript:", page.text), path
            assert "access-control-allow-origin" not in headers

    def test_configured_headers_do_not_loosen_a_page(self) -> None:
        fields = '"Content-Security-Policy: default-src *", "Cache-Control: public"'
        config = f"[server.http]\nheaders = [{fields}]\npermissive-cors = true\n"
        with make_server(config=config) as made:
            page = made.client.get("/login", headers={"Origin": "https://evil.example"})
            assert page.headers.getlist("Content-Security-Policy") == [
                "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
                "base-uri 'none'"
            ]
            assert page.headers.getlist("Cache-Control") == ["no-store"]
            assert "Access-Control-Allow-Origin" not in page.headers

    def test_assets_are_named_by_what_is_in_them(self, visitor: Callable[..., Person]) -> None:
        person = visitor()
        person.get("/login")
        links = re.findall(r'<link rel="(?:icon|stylesheet)" href="([^"]+)"', person.page.text)
        assert len(links) == 2
        for link in links:
            answered = person.client.get(link)
            assert answered.status_code == 200
            assert answered.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert "Set-Cookie" not in answered.headers
            assert answered.headers["Content-Type"].startswith(("text/css", "image/svg+xml"))
        assert person.client.get(re.sub("[0-9a-f]{16}", "0" * 16, links[0])).status_code == 404

    def test_urls_follow_the_public_address(self) -> None:
        with make_server(config='[server.http]\nurl = "https://mail.example.org/post"\n') as made:
            nothing = made.client.get("/login/nothing").text
            assert re.findall(r'(?:href|src)="(/[^/"]*)', nothing) == ["/post"] * 4
            page = made.client.get("/login", headers={"Host": "evil.example"})
            assert "evil.example" not in page.text
            assert 'action="/post/login"' in page.text
            assert "<title>Sign in – mail.example.org</title>" in page.text
            assert made.client.get("/account").headers["Location"] == "/post/login?next=/account"


class TestRoot:
    def test_the_bare_address_leads_to_the_account(self, visitor: Callable[..., Person]) -> None:
        person = visitor()
        assert (person.get("/").status_code, person.page.headers["Location"]) == (303, "/account")
        assert "Set-Cookie" not in person.page.headers
        with make_server(config='[server.http]\nurl = "https://mail.example.org/post"\n') as made:
            assert made.client.get("/").headers["Location"] == "/post/account"

    def test_without_the_pages_there_is_nothing(self) -> None:
        listener = '[server.listener.a]\nbind = "127.0.0.1:1"\nroutes = {}\n'
        for routes, status in (('["oauth"]', 303), ('["jmap", "plugins"]', 404), ('["jmap"]', 404)):
            with make_server(config=listener.format(routes)) as made:
                settings = made.server.settings
                sockets.opened([(("127.0.0.1", 1), "a")], settings.server.listener)
                place = {sockets.PLACE: sockets.Place("a", "127.0.0.1", 1)}
                try:
                    assert made.client.get("/", environ_overrides=place).status_code == status, routes
                finally:
                    sockets.opened([], {})

    def test_a_plugin_may_have_it(self) -> None:
        class Webmail:
            @hookimpl
            def register_blueprints(self, server: object) -> list[tuple[Blueprint, str]]:
                blueprint = Blueprint("webmail", __name__)
                blueprint.add_url_rule("/", "home", lambda: "webmail")
                return [(blueprint, "")]

        with make_server(plugins=[Webmail()]) as made:
            assert made.client.get("/").text == "webmail"


class TestCookie:
    def test_over_https_no_other_host_can_have_set_it(self) -> None:
        with make_server(config='[server.http]\nurl = "https://mail.example.org"\n') as made:
            made.server.create_account(ALICE, PASSWORD)
            client = made.app.test_client()
            page = client.get("/login", base_url="https://mail.example.org")
            cookie = page.headers["Set-Cookie"]
            assert re.fullmatch(r"__Host-flaskmail=[A-Za-z0-9_-]{43}; Secure; HttpOnly; Path=/; SameSite=Lax", cookie)
            person = Person(client)
            person.page = page
            client.post(
                "/login",
                data=person.form("/login").fields | {"name": ALICE, "password": PASSWORD},
                base_url="https://mail.example.org",
            )
            assert client.get("/account", base_url="https://mail.example.org").status_code == 200
            assert (
                client.get("/account", base_url="https://mail.example.org", headers={"Cookie": ""}).status_code == 200
            )

    def test_over_http_it_has_another_name(self, visitor: Callable[..., Person]) -> None:
        cookie = visitor().get("/login").headers["Set-Cookie"]
        assert re.fullmatch(r"flaskmail=[A-Za-z0-9_-]{43}; HttpOnly; Path=/; SameSite=Lax", cookie)

    def test_signing_in_takes_a_new_value(self, made: MadeServer, visitor: Callable[..., Person]) -> None:
        person = visitor()
        person.client.set_cookie("flaskmail", "A" * 43)
        assert "Set-Cookie" not in person.get("/login").headers
        person.send("/login", name=ALICE, password=PASSWORD)
        assert person.cookie != "A" * 43
        assert person.get("/account").status_code == 200
        fixed = visitor()
        fixed.client.set_cookie("flaskmail", "A" * 43)
        assert fixed.get("/account").status_code == 303

    def test_every_step_takes_a_new_value(
        self, made: MadeServer, alice: Person, visitor: Callable[..., Person]
    ) -> None:
        secret = enrol(alice)
        forget_codes(made)
        person = visitor()
        person.get("/login")
        seen = {person.cookie}
        person.send("/login", name=ALICE, password=PASSWORD)
        seen.add(person.cookie)
        person.follow()
        person.send("/login/code", code=code_at(secret, int(time.time()) // 30))
        seen.add(person.cookie)
        person.get("/logout")
        person.send("/logout")
        seen.add(person.cookie)
        assert len(seen) == 4

    def test_what_is_no_value_of_ours_is_replaced(self, visitor: Callable[..., Person]) -> None:
        for value in ("", "short", "A" * 44, "A" * 3000, "%00", "A" * 42 + "/"):
            person = visitor()
            person.client.set_cookie("flaskmail", value)
            assert "flaskmail=" in person.get("/login").headers["Set-Cookie"]

    def test_jmap_and_the_api_never_take_it(self, made: MadeServer, alice: Person) -> None:
        for method, path in (
            ("GET", "/jmap/session"),
            ("GET", "/.well-known/jmap"),
            ("POST", "/jmap/"),
            ("GET", "/jmap/eventsource/"),
            ("GET", "/api/principal"),
            ("GET", "/api/account/auth"),
            ("POST", "/api/principal"),
        ):
            for headers in ({}, {"Authorization": f"Bearer {alice.cookie}"}):
                answered = alice.client.open(path, method=method, json={}, headers=headers)
                assert answered.status_code in (401, 404, 405), path
                if path.startswith(("/jmap", "/.well")):
                    assert answered.status_code == 401, path


class TestSigningIn:
    def test_it_leads_to_the_account(self, alice: Person) -> None:
        assert alice.page.headers["Location"] == "/account"
        assert ALICE in alice.follow().text
        assert alice.get("/login").headers["Location"] == "/account"

    @pytest.mark.parametrize(
        ("name", "password"),
        [
            (ALICE, "wrong"),
            ("nobody@example.org", "wrong"),
            ("", ""),
            ("\x00", "x"),
            (ALICE, "\x01"),
            ("a" * 5000, "x"),
        ],
    )
    def test_wrong_is_wrong(self, visitor: Callable[..., Person], name: str, password: str) -> None:
        person = visitor()
        assert person.sign_in(name, password).status_code == 422
        assert person.get("/account").status_code == 303

    def test_the_answer_does_not_tell_who_exists(self, made: MadeServer, visitor: Callable[..., Person]) -> None:
        made.server.create_account(BOB, PASSWORD)
        made.server.directory.principals.set_disabled(BOB, True)
        person, found = visitor(), set()
        for name, password in ((ALICE, "wrong"), ("nobody@example.org", "wrong"), (BOB, PASSWORD)):
            answered = person.sign_in(name, password)
            body = re.sub(r'name="token" value="[^"]+"', "", answered.text).replace(name, "")
            found.add((answered.status_code, body, "Set-Cookie" in answered.headers))
        assert len(found) == 1

    def test_wrong_passwords_are_throttled_with_those_of_basic(
        self, made: MadeServer, visitor: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stop_the_clock(monkeypatch, made.server.directory)
        person = visitor()
        answers = [person.sign_in(ALICE, "wrong").status_code for _ in range(12)]
        assert answers == [422] * 10 + [429] * 2
        assert int(person.page.headers["Retry-After"]) > 0
        assert person.sign_in(ALICE).status_code == 429
        refused = made.client.get("/jmap/session", headers={"Authorization": basic(ALICE)})
        assert refused.status_code == 429

    def test_a_password_that_is_too_long(self, visitor: Callable[..., Person]) -> None:
        person = visitor()
        assert person.sign_in(ALICE, "x" * 1025).status_code == 400
        assert person.sign_in(ALICE, "x" * 1_000_000).status_code == 413

    def test_whoever_may_not_sign_in_does_not(self, made: MadeServer, visitor: Callable[..., Person]) -> None:
        with made.server.directory._database.write() as execute:
            execute("UPDATE principal SET roles='[]' WHERE name=?", (ALICE,))
        person = visitor()
        assert person.sign_in(ALICE).status_code == 403
        assert person.get("/account").status_code == 303

    def test_a_closed_account_is_out_at_once(self, made: MadeServer, alice: Person) -> None:
        assert alice.get("/account").status_code == 200
        made.server.directory.principals.set_disabled(ALICE, True)
        assert alice.get("/account").status_code == 303

    def test_no_password_is_in_the_log(self, visitor: Callable[..., Person], caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        person = visitor()
        person.sign_in(ALICE, "canary-one-5f2")
        person.sign_in("canary-two-5f2@example.org", "canary-three-5f2")
        person.sign_in(ALICE)
        person.get("/account/password")
        person.send(
            "/account/password", old="canary-four-5f2", new="canary-five-5f2 words", again="canary-five-5f2 words"
        )
        assert "refused a password" in caplog.text
        assert "canary" not in caplog.text
        assert person.cookie not in caplog.text

    @pytest.mark.parametrize(
        "next",
        [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/.//evil.example",
            "javascript:alert(1)",
        ],
    )
    def test_it_never_leads_to_another_host(self, visitor: Callable[..., Person], next: str) -> None:
        person = visitor()
        person.get("/login?next=" + next.replace("\\", "%5C").replace("\t", "%09"))
        assert person.form("/login").fields["next"] == "/account"
        fields = person.form("/login").fields | {"name": ALICE, "password": PASSWORD, "next": next}
        assert person.post("/login", fields).headers["Location"] == "/account"

    def test_it_leads_back_to_where_it_was_asked_for(self, visitor: Callable[..., Person]) -> None:
        person = visitor()
        person.get("/device?user_code=ABCD-EFGH")
        person.follow()
        person.send("/login", name=ALICE, password=PASSWORD)
        assert person.page.headers["Location"] == "/device?user_code=ABCD-EFGH"


class TestSecondFactor:
    def test_the_password_alone_opens_nothing(
        self, made: MadeServer, alice: Person, visitor: Callable[..., Person]
    ) -> None:
        secret = enrol(alice)
        person = visitor()
        person.sign_in(ALICE)
        assert person.follow().status_code == 200
        for path in PAGES[2:]:
            assert person.get(path).headers["Location"].startswith("/login?next="), path
        person.get("/login")
        assert person.send("/login/code", code="000000").status_code == 422
        forget_codes(made)
        assert (
            person.send("/login/code", code=code_at(secret, int(time.time()) // 30)).headers["Location"] == "/account"
        )
        assert person.get("/account").status_code == 200
        assert made.client.get("/jmap/session", headers={"Authorization": basic(ALICE)}).status_code == 401

    def test_a_recovery_code_does_too(self, alice: Person, visitor: Callable[..., Person]) -> None:
        enrol(alice)
        codes = re.findall(r"<li>([0-9a-z-]{19})</li>", alice.page.text)
        assert len(codes) == 10
        assert codes[0] not in alice.get("/account/second-factor").text
        for status in (303, 422):
            person = visitor()
            person.sign_in(ALICE)
            person.follow()
            assert person.send("/login/code", code=codes[0]).status_code == status

    def test_wrong_codes_make_one_wait(self, alice: Person, visitor: Callable[..., Person]) -> None:
        enrol(alice)
        person = visitor()
        person.sign_in(ALICE)
        person.follow()
        answers = [person.send("/login/code", code="000000").status_code for _ in range(6)]
        assert answers == [422] * 4 + [429] * 2
        assert int(person.page.headers["Retry-After"]) in range(1, 31)

    def test_removing_it_takes_password_and_code(self, made: MadeServer, alice: Person) -> None:
        secret = enrol(alice)
        forget_codes(made)
        code = code_at(secret, int(time.time()) // 30)
        remove = "/account/second-factor/remove"
        alice.get("/account/second-factor")
        assert alice.send(remove, password="wrong", code=code).status_code == 422
        assert alice.send(remove, password=PASSWORD, code="000000").status_code == 422
        id = made.server.directory.principals.get(ALICE).id
        assert made.server.directory.second_factors.has_second_factor(id)
        assert alice.send(remove, password=PASSWORD, code=code).status_code == 303
        assert not made.server.directory.second_factors.has_second_factor(id)

    def test_other_sessions_end_when_it_comes(self, alice: Person, visitor: Callable[..., Person]) -> None:
        other = visitor()
        other.sign_in(ALICE)
        enrol(alice)
        assert other.get("/account").status_code == 303
        assert alice.get("/account").status_code == 200

    def test_an_old_session_signs_in_again_first(self, made: MadeServer, alice: Person) -> None:
        alice.get("/account/second-factor")
        age(made, 700)
        alice.send("/account/second-factor/enrol")
        assert alice.page.headers["Location"] == "/login?again=1&next=/account/second-factor"
        alice.follow()
        assert alice.send("/login", password="wrong").status_code == 422
        # The name is not the form's to choose.
        assert alice.send("/login", password=PASSWORD, name=BOB).headers["Location"] == "/account/second-factor"
        alice.follow()
        assert alice.send("/account/second-factor/enrol").headers["Location"] == "/account/second-factor/enrol"


class TestAccount:
    def test_changing_the_password(self, made: MadeServer, alice: Person, visitor: Callable[..., Person]) -> None:
        other = visitor()
        other.sign_in(ALICE)
        before = alice.cookie
        directory = made.server.directory
        principal = directory.principals.get(ALICE)
        client, _ = directory.oauth_clients.add(Client("", "Webmail", ("https://app.example/cb",)))
        approval = Approval(principal.id, client.id, ("openid",), int(time.time()), ("pwd",))
        with directory._database.write() as execute:
            directory.oauth_tokens.issue(execute, approval, client, made.server.settings.oauth.expiry)
        _, kept = directory.tokens.create(principal, "Tablet", None, kind="app-password")
        page = alice.get("/account/password").text
        assert "applications have to ask for access again. App passwords stay as they are." in page
        assert alice.send("/account/password", old=PASSWORD, new=NEW, again=NEW).status_code == 303
        assert alice.cookie != before
        assert "Your password was changed" in alice.follow().text
        assert directory.oauth_tokens.grants(principal.id) == []
        assert made.send("GET", "/jmap/session", {"Authorization": basic(ALICE, kept)}, b"").status == 200
        assert other.get("/account").status_code == 303
        assert visitor().sign_in(ALICE, PASSWORD).status_code == 422
        assert visitor().sign_in(ALICE, NEW).status_code == 303

    @pytest.mark.parametrize(
        ("fields", "id"),
        [
            ({"old": "wrong", "new": NEW, "again": NEW}, "old"),
            ({"old": PASSWORD, "new": "short", "again": "short"}, "new"),
            ({"old": PASSWORD, "new": ALICE, "again": ALICE}, "new"),
            ({"old": PASSWORD, "new": NEW, "again": "something else"}, "again"),
            ({"old": PASSWORD, "new": "x" * 2000, "again": "x" * 2000}, "new"),
            ({"old": PASSWORD, "new": "with a\x00 control", "again": "with a\x00 control"}, "new"),
        ],
    )
    def test_what_is_wrong_stands_at_its_field(self, alice: Person, fields: dict[str, str], id: str) -> None:
        alice.get("/account/password")
        answered = alice.send("/account/password", **fields)
        assert answered.status_code == 422
        [marked] = re.findall(r'<input id="(\w+)"[^>]*aria-invalid="true"', answered.text)
        assert marked == id
        assert f'id="{id}-error"' in answered.text
        assert re.search(rf'<input id="{id}"[^>]*aria-describedby="[^"]*{id}-error"', answered.text)
        assert not any(value in answered.text for value in (NEW, PASSWORD, "short<", "with a"))

    def test_the_length_is_a_setting(self) -> None:
        with make_server(config="[authentication.password]\nmin-length = 30\n") as made:
            made.server.create_account(ALICE, PASSWORD)
            person = Person(made.app.test_client())
            person.sign_in(ALICE)
            person.get("/account/password")
            assert "at least 30 are needed" in person.send("/account/password", old=PASSWORD, new=NEW, again=NEW).text

    def test_sessions_are_listed_and_ended(self, alice: Person, visitor: Callable[..., Person]) -> None:
        other = visitor(**{"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"})
        other.sign_in(ALICE)
        page = alice.get("/account/sessions")
        assert "Firefox on Linux" in page.text
        ids = [form.fields["id"] for form in forms(page.text) if "id" in form.fields]
        assert len(ids) == 2
        token = next(form.fields["token"] for form in forms(page.text))
        [mine] = re.findall(r'<strong id="(\w+)">[^<]*</strong>\s*<span class="badge">This browser', page.text)
        [others] = [id for id in ids if id != mine]
        assert alice.post("/account/sessions", {"token": token, "id": others}).status_code == 303
        assert other.get("/account").status_code == 303
        assert alice.get("/account").status_code == 200

    def test_nobody_ends_the_session_of_another(
        self, made: MadeServer, alice: Person, visitor: Callable[..., Person]
    ) -> None:
        made.server.create_account(BOB, PASSWORD)
        bob = visitor()
        bob.sign_in(BOB)
        session = made.server.directory.web_sessions.all(
            made.server.directory.principals.get(BOB), made.server.settings.authentication.session
        )[0]
        token = (alice.get("/account/sessions"), forms(alice.page.text)[0].fields["token"])[1]
        alice.post("/account/sessions", {"token": token, "id": session.id})
        assert bob.get("/account").status_code == 200

    def test_signing_out(self, alice: Person, visitor: Callable[..., Person]) -> None:
        value = alice.cookie
        alice.get("/account")
        alice.send("/logout")
        assert alice.page.headers["Location"] == "/login?done=signed-out"
        assert "You are signed out" in alice.follow().text
        thief = visitor()
        thief.client.set_cookie("flaskmail", value)
        assert thief.get("/account").status_code == 303

    def test_an_app_password_lets_a_program_in(self, made: MadeServer, alice: Person) -> None:
        enrol(alice)
        alice.get("/account/app-passwords")
        page = alice.send("/account/app-passwords", name="  Mail on   the tablet ", days="30")
        found = re.search(r'<code class="secret">([^<]+)</code>', page.text)
        assert found is not None
        secret = found[1]
        asked = {"Authorization": basic(ALICE, secret)}
        assert made.client.get("/jmap/session", headers=asked).status_code == 200
        listed = alice.get("/account/app-passwords")
        assert "Mail on the tablet" in listed.text
        assert secret not in listed.text
        alice.send("/account/app-passwords/remove")
        assert made.client.get("/jmap/session", headers=asked).status_code == 401

    @pytest.mark.parametrize("fields", [{"name": ""}, {"name": "x" * 101}, {"days": "1"}, {"days": "9999"}])
    def test_app_passwords_are_checked(self, alice: Person, fields: dict[str, str]) -> None:
        alice.get("/account/app-passwords")
        assert alice.send("/account/app-passwords", **{"name": "x", "days": "30"} | fields).status_code == 422

    def test_an_app_password_may_do_something(self, alice: Person) -> None:
        alice.get("/account/app-passwords")
        fields = {
            name: value for name, value in alice.form("/account/app-passwords").fields.items() if "scope" not in name
        }
        assert alice.post("/account/app-passwords", fields | {"name": "x", "days": "30"}).status_code == 422
        # What was chosen already stays.
        assert 'value="x"' in alice.page.text
        assert '<option value="30" selected>' in alice.page.text

    def test_an_app_password_opens_no_page(
        self, made: MadeServer, alice: Person, visitor: Callable[..., Person]
    ) -> None:
        alice.get("/account/app-passwords")
        page = alice.send("/account/app-passwords", name="x", days="never")
        [secret] = re.findall(r'<code class="secret">([^<]+)</code>', page.text)
        assert visitor().sign_in(ALICE, secret).status_code == 422

    def test_who_may_not_change_it_is_told(self, made: MadeServer, alice: Person) -> None:
        for _ in range(2):
            alice.get("/account/app-passwords")
            alice.send("/account/app-passwords", name="x", days="never")
        alice.get("/account/password")
        before = alice.form("/account/password")
        with made.server.directory._database.write() as execute:
            execute(
                "UPDATE principal SET disabled_permissions=? WHERE name=?", (json.dumps(["manage-passwords"]), ALICE)
            )
        for path in PAGES[2:-1]:
            page = alice.get(path)
            assert [form.action for form in forms(page.text)] == ["/logout"], path
            assert "Your administrator manages" in page.text, path
        answered = alice.post("/account/password", before.fields | {"old": PASSWORD, "new": NEW, "again": NEW})
        assert (answered.status_code, "administrator" in answered.text) == (403, True)

    def test_what_an_app_password_may_do(self, made: MadeServer, alice: Person) -> None:
        manage, mail = "Manage the server", "Read, change and delete your mail."
        assert manage not in alice.get("/account/app-passwords").text
        principal = made.server.directory.principals.get(ALICE)
        made.server.directory.tokens.create(principal, "whole", kind="app-password")
        [listed] = re.findall(r'<ul class="rows">(.*?)</ul>', alice.get("/account/app-passwords").text, re.S)
        assert mail in listed
        with made.server.directory._database.write() as execute:
            execute("UPDATE principal SET enabled_permissions='[\"domain-list\"]' WHERE name=?", (ALICE,))
        assert manage in alice.get("/account/app-passwords").text

    def test_an_app_password_that_is_over_says_so(self, made: MadeServer, alice: Person) -> None:
        alice.get("/account/app-passwords")
        alice.send("/account/app-passwords", name="tablet", days="30")
        assert "ends " in alice.get("/account/app-passwords").text
        with made.server.directory._database.write() as execute:
            execute("UPDATE token SET expires=86400")
        assert re.search(
            r'">Ended</span>.*ended <time [^>]*>2 January 1970', alice.get("/account/app-passwords").text, re.S
        )

    def test_the_address_of_a_form_leads_to_its_page(self, alice: Person) -> None:
        for form, page in (
            ("/login/code", "/login"),
            ("/consent", "/account"),
            ("/device/answer", "/device"),
            ("/account/second-factor/confirm", "/account/second-factor/enrol"),
            ("/account/second-factor/recovery-codes", "/account/second-factor"),
            ("/account/second-factor/remove", "/account/second-factor"),
            ("/account/app-passwords/remove", "/account/app-passwords"),
        ):
            assert (alice.get(form).status_code, alice.page.headers["Location"]) == (303, page)

    def test_a_form_of_a_session_that_is_over(self, made: MadeServer, alice: Person) -> None:
        alice.get("/account/app-passwords")
        alice.send("/account/app-passwords", name="tablet", days="30")
        alice.get("/account/app-passwords")
        with made.server.directory._database.write() as execute:
            execute("UPDATE websession SET expires=1")
        alice.send("/account/app-passwords/remove")
        alice.follow()
        alice.send("/login", name=ALICE, password=PASSWORD)
        alice.follow()
        assert "tablet" in alice.follow().text


def test_changes_are_in_the_audit_log(made: MadeServer, alice: Person) -> None:
    secret = enrol(alice)
    forget_codes(made)
    alice.get("/account/app-passwords")
    alice.send("/account/app-passwords", name="tablet", days="30")
    alice.get("/account/app-passwords")
    alice.send("/account/app-passwords/remove")
    alice.get("/account/second-factor")
    alice.send("/account/second-factor/recovery-codes")
    alice.get("/account/second-factor")
    alice.send("/account/second-factor/remove", password=PASSWORD, code=code_at(secret, int(time.time()) // 30))
    alice.get("/account/password")
    alice.send("/account/password", old=PASSWORD, new=NEW, again=NEW)
    entries, _ = made.server.directory.audit.find()
    assert [(entry.operation, entry.object, entry.status) for entry in reversed(entries)] == [
        ("account.auth.update", "/account/second-factor/confirm", 200),
        ("account.credential.create", "/account/app-passwords", 200),
        ("account.credential.delete", "/account/app-passwords/remove", 200),
        ("account.auth.update", "/account/second-factor/recovery-codes", 200),
        ("account.auth.update", "/account/second-factor/remove", 200),
        ("account.auth.update", "/account/password", 200),
    ]
    assert {(entry.actor, entry.via.split()[0]) for entry in entries} == {(ALICE, "session")}
    assert not any(canary in str(entries) for canary in (PASSWORD, NEW, "fma_"))


# Every address that a form goes to, with fields that would do something.
POSTS = {
    "/login": {"name": ALICE, "password": PASSWORD},
    "/login/code": {"code": "000000"},
    "/logout": {},
    "/consent": {"request": "", "decision": "allow"},
    "/device": {"user_code": "ABCD-EFGH"},
    "/device/answer": {"user_code": "ABCD-EFGH", "decision": "allow"},
    "/account/password": {"old": PASSWORD, "new": NEW, "again": NEW},
    "/account/second-factor/enrol": {},
    "/account/second-factor/confirm": {"code": "000000"},
    "/account/second-factor/recovery-codes": {},
    "/account/second-factor/remove": {"password": PASSWORD, "code": "000000"},
    "/account/sessions": {"all": "1"},
    "/account/applications": {"id": "x"},
    "/account/app-passwords": {"name": "x", "days": "30", "scope-0": "1"},
    "/account/app-passwords/remove": {"id": "x"},
}


class TestForgery:
    def test_the_table_has_every_form(self, made: MadeServer) -> None:
        rules = {
            rule.rule
            for rule in made.app.url_map.iter_rules()
            if rule.endpoint.startswith("flaskmail-pages.") and "POST" in (rule.methods or ())
        }
        # A request for authorization is the client's to send; it does nothing but to go on as a GET.
        assert rules - {"/authorize"} == set(POSTS)

    @pytest.mark.parametrize("path", POSTS)
    def test_forms_of_others_do_nothing(
        self, made: MadeServer, alice: Person, path: str, visitor: Callable[..., Person]
    ) -> None:
        alice.get("/account")
        token = forms(alice.page.text)[0].fields["token"]
        stranger = visitor()
        stranger.get("/login")
        theirs = stranger.form("/login").fields["token"]
        fields = POSTS[path]
        database = made.server.directory._database
        rows = "SELECT group_concat(id || hex(hash)) FROM websession"
        before = (database.row(rows), made.server.directory.tokens.all(), database.version())
        right = {"token": token}
        attempts: list[tuple[dict[str, str], dict[str, str]]] = [
            ({}, {}),
            ({"token": ""}, {}),
            ({"token": "x"}, {}),
            ({"token": token[:-1]}, {}),
            ({"token": theirs}, {}),
            ({"token": alice.cookie}, {}),
            (right, {"Sec-Fetch-Site": "cross-site"}),
            (right, {"Sec-Fetch-Site": "same-site"}),
            (right, {"Sec-Fetch-Site": "none"}),
            (right, {"Origin": "https://evil.example"}),
            (right, {"Origin": "http://localhost:1"}),
            (right, {"Content-Type": "text/plain"}),
            (right, {"Content-Type": "application/json"}),
            (right, {"Content-Type": "multipart/form-data; boundary=x"}),
            (right, {"Content-Type": ""}),
        ]
        for given, headers in attempts:
            answered = alice.post(path, fields | given, **headers)
            assert answered.status_code == 403, (given, headers)
        answered = alice.client.post(path, json=fields | right, headers={"Content-Type": "text/plain"})
        assert answered.status_code == 403
        assert (database.row(rows), made.server.directory.tokens.all(), database.version()) == before
        # That these attempts are one step from the real thing.
        assert alice.post(path, fields | right).status_code != 403

    @pytest.mark.parametrize("path", [path for path in POSTS if path.startswith(("/account", "/device"))])
    def test_what_ends_a_session_counts_while_a_form_is_on_its_way(
        self, made: MadeServer, alice: Person, path: str
    ) -> None:
        """Whoever has stolen a cookie could else begin to send a form, and end it after the owner has changed the password."""
        directory = made.server.directory
        principal = directory.principals.get(ALICE)
        token = forms(alice.get("/account").text)[0].fields["token"]
        data = urlencode(POSTS[path] | {"token": token}).encode()
        before = directory.principals.secret_of(principal.id)

        class Late(BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                directory.web_sessions.end_others(principal)
                return super().read(size)

        kind = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        answered = alice.client.post(path, input_stream=Late(data), content_length=len(data), headers=kind)
        assert (answered.status_code, answered.headers["Location"][:12]) == (303, "/login?next=")
        assert directory.tokens.all() == []
        assert directory.principals.secret_of(principal.id) == before
        assert directory._database.row("SELECT count(*) FROM totp") == (0,)

    def test_a_sign_in_cannot_be_forged(self, visitor: Callable[..., Person]) -> None:
        victim, attacker = visitor(), visitor()
        attacker.get("/login")
        victim.get("/login")
        fields = attacker.form("/login").fields | {"name": ALICE, "password": PASSWORD}
        assert victim.post("/login", fields).status_code == 403
        assert victim.get("/account").status_code == 303

    def test_a_form_of_another_site_signs_nobody_out(self, made: MadeServer, alice: Person) -> None:
        for path in (*POSTS, "/authorize"):
            # As browsers send it: without the cookie.
            answered = made.app.test_client().post(path, data={"a": "1"}, headers={"Sec-Fetch-Site": "cross-site"})
            assert answered.status_code in (303, 403), path
            assert "Set-Cookie" not in answered.headers, path

    def test_without_the_cookie_no_token_is_right(self, visitor: Callable[..., Person]) -> None:
        person = visitor()
        person.get("/login")
        fields = person.form("/login").fields | {"name": ALICE, "password": PASSWORD}
        person.client.delete_cookie("flaskmail")
        assert person.post("/login", fields).status_code == 403

    def test_a_token_ends_with_its_session(self, alice: Person) -> None:
        old = forms(alice.get("/account").text)[0].fields["token"]
        alice.send("/logout")
        alice.sign_in(ALICE)
        assert alice.post("/account/sessions", {"token": old, "all": "1"}).status_code == 403

    def test_browsers_that_say_less_are_served(self, visitor: Callable[..., Person]) -> None:
        person = visitor()
        person.headers = {"Origin": "null"}
        assert person.sign_in(ALICE).status_code == 303

    @pytest.mark.parametrize("body", [b"\xff\xfe", b"a=1&a=2", b"&".join(b"f%d=1" % n for n in range(200)), b"%zz"])
    def test_what_is_no_form_is_refused(self, alice: Person, body: bytes) -> None:
        alice.get("/account")
        token = forms(alice.page.text)[0].fields["token"].encode()
        answered = alice.client.post(
            "/account/sessions",
            data=body + b"&token=" + token,
            headers=alice.headers | {"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answered.status_code in ((303,) if body == b"%zz" else (400,))

    def test_changes_are_never_made_by_get(self, made: MadeServer, alice: Person) -> None:
        alice.get("/account")
        before = made.server.directory._database.version()
        for path in POSTS:
            alice.get(path + "?all=1&decision=allow&id=x")
        assert made.server.directory._database.version() == before


def test_a_store_that_fails_is_a_page_too(made: MadeServer, alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> object:
        raise RuntimeError("canary-inside")

    monkeypatch.setattr(made.server.directory.second_factors, "get", broken)
    answered = alice.get("/account")
    assert answered.status_code == 500
    assert "canary" not in answered.text
    assert re.search(r"id [0-9a-f]{16}", answered.text)
    assert answered.headers["Content-Security-Policy"].startswith("default-src 'none'")
