"""The plugins of the folder plugins/, each in a whole server."""

from __future__ import annotations

import importlib.util
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Blueprint, request

from flaskmail.accounts.grants import Grant
from flaskmail.cli import main
from flaskmail.errors import ConfigError, RequestError
from flaskmail.hookspecs import Client, Event, Facts, Leaving, hookimpl
from flaskmail.testing import MadeServer, Reply, check_plugin, make_server

FOLDER = Path(__file__).parents[2] / "plugins"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def config(name: str, table: str = "", more: str = "") -> str:
    """Settings with one of the plugins and its table."""
    return f"{more}\n[plugins]\npaths = ['{FOLDER / name}.py']\n[plugins.{name}]\n{table}\n"


def module(name: str) -> ModuleType:
    """The plugin as a module, to call its functions."""
    spec = importlib.util.spec_from_file_location(f"shipped_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def get(made: MadeServer, path: str = "/healthz/live", method: str = "GET", **headers: str) -> Reply:
    return made.send(method, path, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def header(reply: Reply, name: str) -> str | None:
    found = [value for key, value in reply.headers if key.lower() == name.lower()]
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize("name", NAMES)
def test_each_is_short(name: str) -> None:
    assert len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 80


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_good_neighbour(name: str) -> None:
    check_plugin(module(name))


# ---- request_id

PROXIED = "[server.http]\nuse-x-forwarded = true\n"


def test_request_id() -> None:
    with make_server(config=config("request_id", more=PROXIED)) as made:
        one, two = (header(get(made), "X-Request-Id") or "" for _ in range(2))
        assert re.fullmatch(r"[0-9a-f]{32}", one)
        assert one != two
        assert header(get(made, "/none"), "X-Request-Id")
        # Flask's test client comes from the loopback interface, which is trusted here.
        assert header(get(made, X_Request_Id="from-the-proxy"), "X-Request-Id") == "from-the-proxy"
        assert header(get(made, X_Request_Id="short"), "X-Request-Id") != "short"
        assert header(get(made, X_Request_Id="a b" * 10), "X-Request-Id") != "a b" * 10
    with make_server(config=config("request_id")) as made:
        assert header(get(made, X_Request_Id="from-a-client"), "X-Request-Id") != "from-a-client"


def test_request_id_is_in_the_events() -> None:
    events: list[Event] = []

    class Watches:
        @hookimpl
        def observe(self, event: Event) -> None:
            events.append(event)

    with make_server(plugins=[Watches()], config=config("request_id")) as made:
        sent = header(get(made), "X-Request-Id")
    assert [event.data["request_id"] for event in events if event.name == "http.request"] == [sent]


# ---- maintenance


def test_maintenance(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    with make_server(config=config("maintenance", f"file = '{flag}'\nretry-after = 60")) as made:
        assert get(made, "/jmap/session").status == 401
        flag.write_text("New disks until noon.\n")
        refused = get(made, "/jmap/session")
        assert (refused.status, refused.json()["detail"]) == (503, "New disks until noon.")
        assert header(refused, "Retry-After") == "60"
        assert get(made).status == 200
        flag.write_bytes("Zurück um zwölf".encode("latin-1"))
        assert get(made, "/jmap/session").status == 503
        flag.write_text("")
        assert "worked on" in get(made, "/jmap/session").json()["detail"]
        flag.unlink()
        assert get(made, "/jmap/session").status == 401


def test_maintenance_lets_some_in(tmp_path: Path) -> None:
    (tmp_path / "flag").touch()
    table = f"file = '{tmp_path / 'flag'}'\nallow = ['127.0.0.0/8']"
    with make_server(config=config("maintenance", table)) as made:
        assert get(made, "/jmap/session").status == 401
    options = {"maintenance": {"file": str(tmp_path / "flag"), "allow": ["127.0.0.0/8"]}}
    facts = Facts(options=options)
    refuse = module("maintenance").refuse_request
    path = type("Request", (), {"path": "/jmap/"})
    assert refuse(facts, path, Client("192.0.2.1", "http")).status == 503
    assert refuse(facts, path, Client(None, "http")).status == 503
    assert refuse(facts, path, Client("127.0.0.1", "http")) is None


@pytest.mark.parametrize("table", ["fle = 'x'", "allow = ['everybody']", "retry-after = 'soon'", "file = 5"])
def test_maintenance_names_mistakes(table: str) -> None:
    with make_server(config=config("maintenance", table)) as made, pytest.raises(ConfigError, match="maintenance"):
        made.server.store  # noqa: B018 - opening is what fails


# ---- protected


def test_protected() -> None:
    table = "names = ['alice@example.org']\nallow = ['password']"
    with make_server(config=config("protected", table)) as made:
        made.account("alice@example.org")
        made.account("bob@example.org")
        made.server.ensure_admin()
        admin = made.server.directory.principals.get("admin")
        by_key, by_hand = (replace(admin, grant=Grant(kind)) for kind in ("api-key", "local"))
        alice = {"type": "individual", "name": "alice@example.org"}
        for permission in ("individual-update", "individual-delete"):
            with pytest.raises(RequestError, match="is protected") as caught:
                made.server.authorize(by_key, permission, alice)
            assert caught.value.status == 403
            assert made.server.authorize(by_key, permission, {"name": "bob@example.org"})
            assert made.server.authorize(admin, permission, alice)
            assert made.server.authorize(by_hand, permission, alice)
        assert made.server.authorize(by_key, "individual-get", alice)


def test_protected_names_mistakes() -> None:
    with make_server(config=config("protected", "nmes = ['x']")) as made, pytest.raises(ConfigError, match="nmes"):
        made.server.store  # noqa: B018 - opening is what fails


# ---- cache_control


class Pages:
    """Pages of several kinds."""

    @hookimpl
    def register_blueprints(self) -> Any:
        pages = Blueprint("pages", __name__)

        @pages.get("/assets/<name>")
        def asset(name: str) -> Any:
            return name, 404 if name == "none" else 200

        @pages.get("/page")
        def page() -> str:
            return f"<script nonce='{request.environ.get('flaskmail.csp-nonce', '')}'>"

        return [(pages, "")]


def test_cache_control() -> None:
    table = '"/assets" = "public, max-age=86400"\n"/assets/app.js" = "no-cache"\n"/jmap" = "public"'
    with make_server(plugins=[Pages()], config=config("cache_control", table)) as made:
        assert header(get(made, "/assets/a.css"), "Cache-Control") == "public, max-age=86400"
        assert header(get(made, "/assets/app.js"), "Cache-Control") == "no-cache"
        assert header(get(made, "/assets/none"), "Cache-Control") is None
        assert header(get(made, "/page"), "Cache-Control") is None
        session = made.account("alice@example.org").http("GET", "/jmap/session")
        assert header(session, "Cache-Control") == "no-cache, no-store, must-revalidate"


@pytest.mark.parametrize(
    ("name", "table"),
    [("cache_control", "'/x' = 5"), ("cache_control", "'/x' = 'no-\u20ac'"), ("security_headers", 'policy = "a\\nb"')],
)
def test_what_could_not_be_sent_is_named(name: str, table: str) -> None:
    with make_server(config=config(name, table)) as made, pytest.raises(ConfigError, match=name):
        made.server.store  # noqa: B018 - opening is what fails


# ---- security_headers


def test_security_headers() -> None:
    with make_server(plugins=[Pages()], config=config("security_headers")) as made:
        pages = [get(made, "/page") for _ in range(2)]
        nonces = [page.body.decode().split("'")[1] for page in pages]
        assert len(set(nonces)) == 2
        for page, nonce in zip(pages, nonces, strict=True):
            assert f"script-src 'nonce-{nonce}'" in (header(page, "Content-Security-Policy") or "")
            assert header(page, "X-Frame-Options") == "DENY"
        assert header(get(made), "Content-Security-Policy") == "default-src 'none'; frame-ancestors 'none'"
        assert header(get(made, "/none"), "Permissions-Policy")


def test_security_headers_leave_a_download_alone() -> None:
    with make_server(config=config("security_headers")) as made, make_server() as plain:
        policies = []
        for server in (made, plain):
            alice = server.account("alice@example.org")
            blob = alice.upload(b"<script>", "text/html")
            reply = alice.http("GET", f"/jmap/download/{alice.id}/{blob}/a.html?accept=text/html")
            policies.append(header(reply, "Content-Security-Policy"))
        assert policies[0] == policies[1] is not None


def test_the_policy_of_pages_can_be_set() -> None:
    policy = "script-src 'nonce-{nonce}'"
    with make_server(plugins=[Pages()], config=config("security_headers", f'policy = "{policy}"')) as made:
        page = get(made, "/page")
        nonce = page.body.decode().split("'")[1]
        assert header(page, "Content-Security-Policy") == policy.replace("{nonce}", nonce)
    assert module("security_headers").response_headers(
        Facts(), type("Request", (), {"environ": {}}), Leaving(200, (("Content-Type", "text/html; charset=utf-8"),))
    )


# ---- cors_by_tenant

TENANTS = """
[plugins.cors_by_tenant.acme]
origins = ["https://mail.acme.example"]
paths = ["/acme"]
[plugins.cors_by_tenant.everybody]
origins = ["https://status.example.org"]
paths = ["/healthz", "/acme/open"]
"""


@pytest.mark.parametrize(
    ("path", "origin", "may"),
    [
        ("/acme/x", "https://mail.acme.example", True),
        ("/acme", "https://mail.acme.example", True),
        ("/acmes", "https://mail.acme.example", False),
        ("/acme/x", "https://status.example.org", False),
        ("/acme/open", "https://status.example.org", True),
        ("/acme/open", "https://mail.acme.example", True),
        ("/healthz/live", "https://mail.acme.example", False),
        ("/healthz/live", "https://status.example.org", True),
        ("/jmap/session", "https://status.example.org", False),
        ("/jmap/session", "https://listed.example", True),
        ("/healthz/live", "https://listed.example", False),
    ],
)
def test_cors_by_tenant(path: str, origin: str, may: bool) -> None:
    listed = "[server.http]\ncors-origins = ['https://listed.example']\n"
    with make_server(config=config("cors_by_tenant", TENANTS, listed)) as made:
        answer = get(made, path, Origin=origin)
        assert header(answer, "Access-Control-Allow-Origin") == (origin if may else None)
        preflight = get(made, path, "OPTIONS", Origin=origin, Access_Control_Request_Method="POST")
        assert header(preflight, "Access-Control-Allow-Origin") == (origin if may else None)
        assert (header(preflight, "Access-Control-Allow-Headers") is not None) == may


def test_cors_by_tenant_names_mistakes() -> None:
    wrong = "[plugins.cors_by_tenant.acme]\norigins = 'https://mail.acme.example'"
    with make_server(config=config("cors_by_tenant", wrong)) as made, pytest.raises(ConfigError, match="acme"):
        made.server.store  # noqa: B018 - opening is what fails


# ---- audit_log


def test_audit_log(tmp_path: Path) -> None:
    place = tmp_path / "audit.jsonl"
    table = f"file = '{place}'\nevents = ['authentication', 'account', 'http']"
    with make_server(config=config("audit_log", table)) as made:
        made.account("alice@example.org")
        get(made, "/jmap/se\x01ssion\u2028", Authorization="Bearer no")
        get(made, "/jmap/session", Authorization="Bearer no")
    text = place.read_bytes()
    assert text.isascii()
    lines = [json.loads(line) for line in text.splitlines()]
    names = [line["event"] for line in lines]
    assert names == ["account.created", *["http.request"] * 2, "authentication.failed", "http.request"]
    assert lines[2]["path"] == "/jmap/se\x01ssion\u2028"
    assert lines[0]["account"] == "alice@example.org"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[0]["at"])
    assert place.stat().st_mode & 0o777 == 0o600


def test_audit_log_without_a_file(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flaskmail.audit")
    with make_server(config=config("audit_log")) as made:
        made.account("alice@example.org")
        get(made)
    told = [json.loads(record.getMessage())["event"] for record in caplog.records if record.name == "flaskmail.audit"]
    assert told == ["server.started", "account.created"]


# ---- cdn_networks


def refresh(folder: Path, *arguments: str) -> Any:
    environ = {"FLASKMAIL_CONFIG": str(folder / "config.toml"), "FLASKMAIL_DATA": str(folder / "data")}
    return CliRunner().invoke(main, ["networks", "refresh", *arguments], env=environ)


def test_cdn_networks(tmp_path: Path) -> None:
    trusting = "[server.http]\nuse-x-forwarded = true\ntrusted-proxies = ['cloudflare', 'cloudfront']\n"
    (tmp_path / "config.toml").write_text(config("cdn_networks", "folder = 'lists'", trusting))
    (tmp_path / "four").write_text("173.245.48.0/20\n103.21.244.0/22\n")
    (tmp_path / "six").write_text("2400:cb00::/32\n")
    (tmp_path / "amazon.json").write_text(
        json.dumps(
            {
                "prefixes": [
                    {"ip_prefix": "13.124.199.0/24", "service": "CLOUDFRONT_ORIGIN_FACING"},
                    {"ip_prefix": "3.5.140.0/22", "service": "EC2"},
                ],
                "ipv6_prefixes": [{"ipv6_prefix": "2600:9000:5200::/40", "service": "CLOUDFRONT_ORIGIN_FACING"}],
            }
        )
    )
    done = refresh(
        tmp_path, "cloudflare", "--from", (tmp_path / "four").as_uri(), "--from", (tmp_path / "six").as_uri()
    )
    assert done.exit_code == 0, done.output
    assert "3 networks" in done.output
    assert refresh(tmp_path, "cloudfront", "--from", (tmp_path / "amazon.json").as_uri()).exit_code == 0
    assert (tmp_path / "lists/cloudfront.txt").read_text() == "13.124.199.0/24\n2600:9000:5200::/40\n"
    options = {"cdn_networks": {"folder": str(tmp_path / "lists")}}
    found = module("cdn_networks").trusted_networks(Facts(options=options))
    assert found["cloudflare"] == ["173.245.48.0/20", "103.21.244.0/22", "2400:cb00::/32"]
    table = f"folder = '{tmp_path / 'lists'}'"
    clients: list[Any] = []

    class Watches:
        @hookimpl
        def observe(self, event: Event) -> None:
            clients.append(event.data.get("client"))

    with make_server(plugins=[Watches()], config=config("cdn_networks", table, trusting)) as made:
        for peer in ("173.245.48.1", "2600:9000:5200::1", "10.0.0.1"):
            base = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": "192.0.2.9", "HTTP_X_FORWARDED_PROTO": "https"}
            made.client.get("/healthz/live", environ_overrides=base).close()
    assert clients[-3:] == ["192.0.2.9", "192.0.2.9", "10.0.0.1"]


def test_cdn_networks_takes_the_lists_that_the_pages_show() -> None:
    page = (FOLDER.parent / "docs/behind-a-proxy.md").read_text(encoding="utf-8")
    shown = [re.findall(r'"([0-9a-f.:]+/[0-9]+)"', one) for one in re.findall(r"(?s)trusted-proxies = \[.*?\]", page)]
    public = [networks for networks in shown if networks and not networks[0].startswith(("10.", "192.168.", "172."))]
    assert max(map(len, public)) > 20
    for networks in public:
        assert module("cdn_networks").networks_in("\n".join(networks)) == networks


@pytest.mark.parametrize(
    "content", ["", "0.0.0.0/0\n", "10.0.0.0/8\n", "<html>", "{}", '{"prefixes": 1}', "1.2.3.4/24"]
)
def test_cdn_networks_keeps_the_file_when_the_list_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.toml").write_text(config("cdn_networks", "folder = 'lists'"))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/cloudflare.txt").write_text("173.245.48.0/20\n")
    (tmp_path / "list").write_text(content)
    refused = refresh(tmp_path, "cloudflare", "--from", (tmp_path / "list").as_uri())
    assert refused.exit_code == 1
    assert "stays as it is" in refused.output
    assert refresh(tmp_path, "cloudflare", "--from", (tmp_path / "nothing").as_uri()).exit_code == 1
    assert (tmp_path / "lists/cloudflare.txt").read_text() == "173.245.48.0/20\n"
