"""Which pages of other sites may read what (CORS): a table of kinds of addresses, origins and settings."""

from __future__ import annotations

import pytest

from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

ORIGINS = [
    "null",
    "https://evil.example",
    "https://webmail.example.evil.example",
    "https://evilwebmail.example",
    "http://webmail.example",
    "https://webmail.example:8443",
    "https://webmail.example.",
    "https://WEBMAIL.example",
    "",
]
"""None of them is the one that may be configured, https://webmail.example."""
FRIEND = "https://webmail.example"
COOKIE = ["/login", "/logout", "/account", "/account/password", "/account/app-passwords", "/authorize", "/device"]
BEARER = ["/jmap/session", "/api/whoami", "/auth/userinfo", "/auth/token", "/auth/revoke", "/auth/introspect"]
PUBLISHED = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    "/auth/jwks.json",
]
SETTINGS = {
    "closed": "",
    "open": "[server.http]\npermissive-cors = true\n",
    "listed": f'[server.http]\ncors-origins = ["{FRIEND}"]\n',
}


def made_with(settings: str) -> MadeServer:
    made = make_server(config=settings)
    made.server.create_account("ann@example.org", PASSWORD)
    return made


def granted(kind: str, settings: str, origin: str, method: str) -> list[str]:
    """What the table says."""
    if kind == "cookie":
        return []
    # A document is for every origin; what is no document, or asked before it is known, as the settings say.
    if settings == "open" or (kind, method) == ("published", "GET"):
        return ["*"]
    if settings == "listed":
        return [FRIEND] if origin == FRIEND else []
    return ["*"] if kind == "published" else []


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_table(settings: str) -> None:
    with made_with(SETTINGS[settings]) as made:
        for kind, paths in (("cookie", COOKIE), ("bearer", BEARER), ("published", PUBLISHED)):
            for path in paths:
                for origin in (*ORIGINS, FRIEND):
                    asked = {"Origin": origin, "Authorization": basic("ann@example.org")}
                    preflight = {
                        "Origin": origin,
                        "Access-Control-Request-Method": "POST",
                        "Access-Control-Request-Headers": "authorization, content-type",
                    }
                    for method, headers in (("GET", asked), ("POST", asked), ("OPTIONS", preflight)):
                        wanted = granted(kind, settings, origin, method)
                        reply = made.send(method, path, headers, b"")
                        which = (settings, method, path, origin, reply.status)
                        if (kind, method, settings) == ("published", "POST", "closed"):
                            # There is nothing to be posted, and so nothing to be read.
                            assert (reply.status, reply.all("Access-Control-Allow-Origin")) == (405, []), which
                            continue
                        assert reply.all("Access-Control-Allow-Origin") == wanted, which
                        # Nothing here is meant for the cookies of a browser.
                        assert reply.all("Access-Control-Allow-Credentials") == [], which
                        if not wanted:
                            assert reply.all("Access-Control-Allow-Methods") == [], which
                        if wanted != ["*"] and (wanted == [FRIEND] or (settings == "listed" and kind != "cookie")):
                            assert "origin" in " ".join(reply.all("Vary")).lower(), which


def test_no_page_is_opened() -> None:
    with made_with(SETTINGS["open"]) as made:
        pages = [rule.rule for rule in made.app.url_map.iter_rules() if "-pages." in rule.endpoint]
        assert set(COOKIE) < set(pages)
        for page in pages:
            path = page.replace("<int:since>", "1").replace("<file>", "x")
            for method in ("GET", "POST", "OPTIONS"):
                asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
                reply = made.send(method, path, asked, b"")
                assert reply.all("Access-Control-Allow-Origin") == [], (method, page)


def test_a_private_network_is_not_opened() -> None:
    with made_with(SETTINGS["open"]) as made:
        asked = {
            "Origin": FRIEND,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Private-Network": "true",
        }
        for path in (*COOKIE, *BEARER, *PUBLISHED):
            assert made.send("OPTIONS", path, asked, b"").all("Access-Control-Allow-Private-Network") == []
