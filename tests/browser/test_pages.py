"""The pages for people in a real browser: in light and dark, on a phone and on a desk, by axe-core and by hand.

With FLASKMAIL_TEST_PICTURES=<folder> every page that is looked at is kept there as a picture.
"""

from __future__ import annotations

import base64
import os
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import trustme
from browsing import PATIENCE, Browser, Site

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.totp import code_at
from flaskmail.oauth.clients import CODE, DEVICE, REFRESH, Client
from flaskmail.testing import PASSWORD, LiveServer, live_server

AXE = Path(__file__).parent.parent / "wire" / "node" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = os.environ.get("FLASKMAIL_TEST_PICTURES")
SCREENS = [(1280, 900, "light"), (360, 740, "dark"), (1280, 900, "dark"), (360, 740, "light")]
# RFC 7636 appendix B.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
SCOPES = ("openid", "offline_access", "urn:ietf:params:jmap:mail")

LOOK = """
    const found = await axe.run(document, {resultTypes: ["violations"]});
    const root = document.documentElement;
    return {
        violations: found.violations.map(one => [one.id, one.nodes.map(node => node.html + " " + node.failureSummary)]),
        rules: found.passes.length,
        tooWide: root.scrollWidth > root.clientWidth,
        language: root.lang,
        styled: document.styleSheets.length === 1 && document.styleSheets[0].cssRules.length > 20,
        broken: Array.from(document.images).filter(one => !one.complete || !one.naturalWidth).length,
        small: Array.from(document.querySelectorAll("button, input:not([type=hidden], [hidden]), select"))
            .map(one => [one.outerHTML, one.getBoundingClientRect()])
            .filter(([, box]) => box.width && Math.min(box.width, box.height) < 20).map(([html]) => html),
    };
"""
"""What a page is like."""


@pytest.fixture(scope="module")
def live(browser: Browser) -> Iterator[LiveServer]:
    with live_server("[server]\nworkers = 1\n\n[authentication]\nfail-rate = '1000/1m'\n") as server:
        yield server


@pytest.fixture(scope="module")
def directory(live: LiveServer) -> Iterator[Directory]:
    found = Directory(live.folder / "data")
    yield found
    found.close()


@pytest.fixture(scope="module")
def client(directory: Directory) -> Client:
    wanted = Client(
        id="",
        name="Webmail of the neighbours",
        redirect_uris=("http://127.0.0.1/cb",),
        grant_types=(CODE, REFRESH, DEVICE),
        auth_method="client_secret_basic",
        native=True,
        uri="https://webmail.example.com/",
    )
    return directory.oauth_clients.add(wanted)[0]


@dataclass
class Desk:
    """A browser in front of the server. seen: the pages that were looked at."""

    browser: Browser
    url: str
    name: str
    source: str
    screen: tuple[int, int, str]
    seen: set[str] = field(default_factory=set)

    def open(self, path: str) -> None:
        self.browser.open(self.url + path)

    def look(self, page: str) -> None:
        """Asserts that nothing is wrong with the page that is open."""
        self.seen.add(page)
        found = self.see()
        if PICTURES:
            width, _, scheme = self.screen
            Path(PICTURES, f"{page}-{scheme}-{width}.png").write_bytes(self.browser.picture())
        assert found.pop("rules") > 5, page
        wanted = {"violations": [], "tooWide": False, "language": "en", "styled": True, "broken": 0, "small": []}
        assert found == wanted, (page, found)

    def see(self) -> dict[str, Any]:
        """What the page that is open is like."""
        self.browser.cdp("Runtime.evaluate", expression=self.source)
        return dict(self.browser.run(LOOK))

    def sign_in(self, password: str = PASSWORD) -> None:
        self.browser.type("#name", self.name)
        self.browser.type("#password", password)
        self.browser.follow("button.full")


@pytest.fixture
def desk(browser: Browser, live: LiveServer, request: pytest.FixtureRequest) -> Iterator[Desk]:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make test installs it with npm")
    screen = getattr(request, "param", SCREENS[0])
    name = f"ann{time.time_ns()}@example.org"
    live.account(name)
    browser.screen(*screen)
    browser.cdp("Network.clearBrowserCookies")
    yield Desk(browser, live.url, name, AXE.read_text(encoding="utf-8"), screen)
    browser.cdp("Emulation.clearDeviceMetricsOverride")
    browser.cdp("Emulation.setEmulatedMedia", features=[])


def asking(client: Client, site: Site, **more: str) -> str:
    """The address of an authorization request of a client on the other site."""
    parameters = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": f"{site.origin}/cb",
        "scope": " ".join(SCOPES[:1] + SCOPES[2:]),
        "state": "of-the-client",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return "/authorize?" + urlencode(parameters | more)


def present(secret: bytes) -> str:
    """The code of the next half minute, which is taken now, and for a minute at least."""
    return code_at(secret, int(time.time()) // 30 + 1)


def again(directory: Directory) -> None:
    """Lets codes be used again, as if time had gone by."""
    with directory._database.write() as execute:
        execute("UPDATE totp SET last=0, failures=0")


@pytest.mark.parametrize(
    "desk",
    [
        pytest.param(screen, id=f"{screen[2]}-{screen[0]}", marks=[pytest.mark.long] if number > 1 else [])
        for number, screen in enumerate(SCREENS)
    ],
    indirect=True,
)
def test_everything_that_people_do(
    desk: Desk, browser: Browser, site: Site, client: Client, directory: Directory
) -> None:
    site.pages["/cb"] = ({"Content-Type": "text/html"}, b"<!doctype html><title>back</title><p>Back at the client")
    # An application asks, and nobody is signed in.
    desk.open(asking(client, site))
    desk.look("login")
    desk.sign_in("wrong")
    desk.look("login-error")
    browser.type("#password", PASSWORD)
    browser.follow("button.full")
    desk.look("consent")
    browser.follow("button[value=allow]")
    back = urlsplit(browser.at())
    assert f"{back.scheme}://{back.netloc}{back.path}" == f"{site.origin}/cb"
    given = {name: value for name, [value] in parse_qs(back.query).items()}
    assert (given["state"], browser.text()) == ("of-the-client", "Back at the client")
    expiry = directory_expiry()
    directory.oauth_tokens.redeem_code(given["code"], client, f"{site.origin}/cb", VERIFIER, expiry)
    desk.open("/authorize?client_id=nobody")
    desk.look("refused")

    # A second factor.
    desk.open("/account")
    desk.look("account")
    desk.open("/account/second-factor")
    desk.look("second-factor-off")
    browser.follow("form[action$=enrol] button")
    desk.look("enrol")
    secret = base64.b32decode(browser.run("return document.querySelector('.secret').innerText").replace(" ", ""))
    browser.type("#code", "000000")
    browser.follow("li button")
    desk.look("enrol-error")
    browser.type("#code", present(secret))
    browser.follow("li button")
    desk.look("recovery-codes")
    codes = browser.run("return Array.from(document.querySelectorAll('.codes li')).map(one => one.innerText)")
    assert len(codes) == 10
    browser.follow("main a.button")
    desk.look("second-factor-on")

    # Signing out and in again, with the second factor, goes through to the application: the user agreed before.
    desk.open("/logout")
    desk.look("logout")
    browser.follow("main form button")
    desk.look("signed-out")
    desk.open(asking(client, site))
    desk.sign_in()
    desk.look("code")
    browser.type("#code", "000000")
    browser.follow("button.full")
    desk.look("code-error")
    again(directory)
    browser.type("#code", present(secret))
    browser.follow("button.full")
    assert urlsplit(browser.at()).path == "/cb", browser.text()

    # A device.
    waiting = directory.oauth_devices.begin(client, SCOPES, 600)
    desk.open(f"/device?user_code={waiting.user_code}")
    desk.look("device")
    browser.type("#user_code", "WDJB-MJHT")
    browser.follow("button.full")
    desk.look("device-error")
    browser.type("#user_code", waiting.user_code)
    browser.follow("button.full")
    desk.look("device-consent")
    browser.follow("button[value=allow]")
    desk.look("device-done")
    directory.oauth_devices.redeem(waiting.device_code, client, expiry)

    # Who has access, and an end of it.
    desk.open("/account/applications")
    desk.look("applications")
    while browser.run("return document.querySelectorAll('main form').length"):
        browser.run("document.querySelector('main form button').id = 'first'")
        browser.follow("#first")
    desk.look("applications-none")
    assert directory.oauth_tokens.grants(directory.principals.get(desk.name).id) == []
    desk.open("/account/app-passwords")
    desk.look("app-passwords")
    browser.click("form.card button")
    # The browser itself holds back a form with an empty field that is required.
    assert focused(browser, "name")
    browser.type("#name", "Mail on the tablet")
    browser.follow("form.card button")
    desk.look("app-password")
    desk.open("/account/app-passwords")
    desk.look("app-passwords-some")
    browser.follow("main ul form button")
    assert "was removed" in browser.text()
    desk.open("/account/sessions")
    desk.look("sessions")
    desk.open("/login?again=1")
    desk.look("confirm")
    desk.open("/account/password")
    desk.look("password")
    browser.type("#old", PASSWORD)
    browser.type("#new", "short")
    browser.type("#again", "short")
    browser.follow("form.card button")
    desk.look("password-error")
    for id, text in (("old", PASSWORD), ("new", "four unrelated words"), ("again", "four unrelated words")):
        browser.type(f"#{id}", text)
    browser.follow("form.card button")
    assert "Your password was changed" in browser.text()
    desk.open("/account/sessions")
    browser.follow("main li form button")
    assert browser.at().endswith("/login?done=signed-out")


def directory_expiry() -> object:
    """How long tokens are good for by default."""
    from flaskmail.config import Settings

    return Settings().oauth.expiry


def test_every_template_was_looked_at() -> None:
    """The list above is whole: every template is a page in it, or a part of one."""
    import flaskmail.web.pages

    folder = Path(flaskmail.web.pages.__file__).parent / "templates"
    templates = {path.stem for path in folder.glob("*.html")} - {"frame", "narrow", "wide", "parts"}
    shown = {
        "account": "account",
        "applications": "applications",
        "apppassword": "app-password",
        "apppasswords": "app-passwords",
        "code": "code",
        "consent": "consent",
        "device": "device",
        "device_consent": "device-consent",
        "device_done": "device-done",
        "enrol": "enrol",
        "error": "refused",
        "login": "login",
        "logout": "logout",
        "password": "password",
        "recovery": "recovery-codes",
        "secondfactor": "second-factor-on",
        "sessions": "sessions",
    }
    assert templates == set(shown)
    source = Path(__file__).read_text(encoding="utf-8")
    assert [page for page in shown.values() if f'desk.look("{page}")' not in source] == []


def key(browser: Browser, name: str, code: int, text: str = "") -> None:
    """Presses a key and lets it go."""
    pressed = {"key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
    browser.cdp("Input.dispatchKeyEvent", type="keyDown", **pressed)
    browser.cdp("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)


FOCUS = """
    const one = document.activeElement, style = getComputedStyle(one);
    return [one.id || one.innerText, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
"""


def focused(browser: Browser, wanted: str) -> bool:
    """Whether this has the focus, and shows it; a page that was just opened may need a moment."""
    deadline = time.monotonic() + PATIENCE
    while browser.run(FOCUS) != [wanted, True]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_keyboard_is_enough(desk: Desk, browser: Browser) -> None:
    browser.cdp("Emulation.setFocusEmulationEnabled", enabled=True)
    desk.open("/login")
    assert focused(browser, "name")
    browser.cdp("Input.insertText", text=desk.name)
    key(browser, "Tab", 9)
    assert focused(browser, "password")
    browser.cdp("Input.insertText", text=PASSWORD)
    key(browser, "Tab", 9)
    assert focused(browser, "Sign in")
    key(browser, "Enter", 13, "\r")
    deadline = time.monotonic() + PATIENCE
    while not (browser.at().endswith("/account") and browser.loaded()):
        assert time.monotonic() < deadline, browser.at()
        time.sleep(0.05)
    passed = []
    for _ in range(16):
        key(browser, "Tab", 9)
        name, visible = browser.run(FOCUS)
        assert visible, name
        passed.append(name)
        if name == "Applications" and passed.count(name) == 2:
            break
    assert passed[0] == "Skip to the content"
    assert passed[-1] == "Applications"


def test_no_other_site_shows_a_page_in_a_frame(desk: Desk, browser: Browser, site: Site) -> None:
    page = f'<!doctype html><title>evil</title><iframe src="{desk.url}/login"></iframe>'
    site.pages["/framed"] = ({"Content-Type": "text/html"}, page.encode())
    browser.open(f"{site.origin}/framed")

    def frames() -> list[str]:
        tree = browser.cdp("Page.getFrameTree")["frameTree"]
        return [frame["frame"]["url"] for frame in tree["childFrames"]]

    # The page is there before it is decided what its frame shows.
    deadline = time.monotonic() + PATIENCE
    while frames() == [":"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert frames() == ["chrome-error://chromewebdata/"]


def test_no_other_site_sends_a_form(desk: Desk, browser: Browser, site: Site) -> None:
    desk.open("/login")
    desk.sign_in()
    token = browser.run("return document.querySelector('[name=token]').value")
    # Even a page that got hold of the token; and the cookie comes along, for the site is the same but for its port.
    page = (
        f'<!doctype html><title>evil</title><form method="post" action="{desk.url}/logout">'
        f'<input name="token" value="{token}"><button>Win</button></form>'
    )
    site.pages["/forged"] = ({"Content-Type": "text/html"}, page.encode())
    browser.open(f"{site.origin}/forged")
    browser.follow("button")
    assert "sent from a page of another" in browser.text()
    desk.open("/account")
    assert browser.at() == f"{desk.url}/account"


def test_a_form_goes_nowhere_else(desk: Desk, browser: Browser, site: Site) -> None:
    site.pages["/caught"] = ({"Content-Type": "text/html"}, b"<!doctype html><title>caught</title>")
    desk.open("/login")
    browser.run("document.querySelector('form').action = given[0]", f"{site.origin}/caught")
    browser.type("#name", "x")
    browser.type("#password", "x")
    browser.click("button.full")
    assert browser.at() == f"{desk.url}/login"
    assert "/caught" not in site.asked


def test_scripts_do_not_run(desk: Desk, browser: Browser) -> None:
    desk.open("/login")
    browser.run("""
        const one = document.createElement("script");
        one.textContent = "document.title = 'ran'";
        document.body.append(one);
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=\\"document.title = 'ran'\\">");
        await new Promise(resolve => setTimeout(resolve, 100));
    """)
    assert browser.run("return document.title").startswith("Sign in")


def test_what_is_wrong_would_be_seen(desk: Desk, browser: Browser) -> None:
    desk.open("/login")
    browser.run("""
        document.querySelector("label").remove();
        document.querySelector("h1").style.color = "#bbb";
        document.querySelector("h1").style.width = "3000px";
        document.documentElement.lang = "";
    """)
    found = desk.see()
    assert {rule for rule, _ in found["violations"]} >= {"label", "color-contrast", "html-has-lang"}
    assert (found["tooWide"], found["language"]) == (True, "")


def test_over_https_the_cookie_is_this_hosts_alone(browser: Browser, tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    config = '[server]\nworkers = 1\n\n[server.tls]\ncertificate = "cert.pem"\nprivate-key = "key.pem"\n'
    with live_server(config, folder=tmp_path, tls=context) as live:
        live.account("ann@example.org")
        browser.cdp("Network.clearBrowserCookies")
        browser.open(f"{live.url}/login")
        browser.type("#name", "ann@example.org")
        browser.type("#password", PASSWORD)
        browser.follow("button.full")
        assert browser.at() == f"{live.url}/account"
        [cookie] = browser.cdp("Network.getCookies")["cookies"]
        kept = ("name", "domain", "path", "secure", "httpOnly", "session", "sameSite")
        assert tuple(cookie[name] for name in kept) == (
            "__Host-flaskmail",
            "127.0.0.1",
            "/",
            True,
            True,
            True,
            "Lax",
        )
        assert browser.run("return document.cookie") == ""
