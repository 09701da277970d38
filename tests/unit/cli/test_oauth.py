from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .conftest import Command

URI = "https://webmail.example.org/back"


def test_an_application_is_registered_shown_and_removed(flaskmail: Command, told: Callable[..., Any]) -> None:
    made = told(
        "oauth-client",
        "create",
        "Webmail",
        "--id",
        "web",
        "--redirect-uri",
        URI,
        "--auth-method",
        "client_secret_basic",
    )
    assert made["secret"].startswith("fms_")
    assert made["client"]["grantTypes"] == ["authorization_code", "refresh_token"]
    [listed] = told("oauth-client", "list")
    assert listed == told("oauth-client", "show", "web") == made["client"]
    assert "Webmail" in flaskmail("oauth-client", "list").stdout
    assert URI in flaskmail("oauth-client", "show", "web").stdout
    renewed = told("oauth-client", "renew-secret", "web")
    assert renewed["secret"] not in (None, made["secret"])
    assert flaskmail("oauth-client", "delete", "web").exit_code == 0
    assert told("oauth-client", "list") == []


def test_keys_are_replaced(flaskmail: Command, told: Callable[..., Any]) -> None:
    first = told("oauth-key", "renew")["keys"]
    assert [key["algorithm"] for key in first] == ["RS256", "ES256"]
    shown = flaskmail("oauth-key", "renew").stdout
    assert "RS256" in shown
    assert not [key for key in first if key["id"] in shown]


def test_one_without_a_redirect_uri_runs_on_devices(flaskmail: Command, told: Callable[..., Any]) -> None:
    made = told("oauth-client", "create", "TV", "--scope", "offline_access", "--scope", "urn:ietf:params:jmap:mail")
    assert made["secret"] is None
    assert made["client"]["grantTypes"] == ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
    assert made["client"]["scopes"] == ["offline_access", "urn:ietf:params:jmap:mail"]
    shown = flaskmail(
        "oauth-client",
        "create",
        "Phone",
        "--id",
        "phone",
        "--native",
        "--redirect-uri",
        "com.example.app:/cb",
        "--device",
    )
    assert "client_id: phone" in shown.stdout
    assert "secret" not in shown.stdout


def test_what_cannot_be_registered_is_told(flaskmail: Command) -> None:
    for uri in ("http://app.example/", "javascript:alert(1)", "com.example.app:/cb"):
        done = flaskmail("oauth-client", "create", "Bad", "--redirect-uri", uri)
        assert done.exit_code != 0
        assert "redirectUris" in done.stderr
    assert flaskmail("oauth-client", "show", "nobody").exit_code != 0
    assert flaskmail("oauth-client", "renew-secret", "nobody").exit_code != 0
