from __future__ import annotations

from typing import Any

import pytest

from flaskmail.testing import MadeServer, basic

WEBMAIL = {"name": "Webmail", "redirectUris": ["https://webmail.example.org/back"]}


def test_from_the_first_to_the_last_day(admin: Any) -> None:
    made = admin("POST", "/oauth/client", WEBMAIL | {"id": "webmail", "authMethod": "client_secret_basic"}).data
    assert made["secret"].startswith("fms_")
    assert made["client"]["grantTypes"] == ["authorization_code", "refresh_token"]
    assert admin("GET", "/oauth/client").data == {"items": [made["client"]], "total": 1}
    assert admin("GET", "/oauth/client", filter="WEB").data["total"] == 1
    assert admin("GET", "/oauth/client", filter="desk").data["total"] == 0
    assert admin("GET", "/oauth/client/webmail").data == made["client"]
    changed = admin("PATCH", "/oauth/client/webmail", {"name": "Our webmail", "renewSecret": True}).data
    assert changed["client"]["name"] == "Our webmail"
    assert changed["secret"] not in (None, made["secret"])
    public = admin("PATCH", "/oauth/client/webmail", {"authMethod": "none"}).data
    assert public["secret"] is None
    assert admin("PATCH", "/oauth/client/webmail", {"renewSecret": True}).status == 409
    assert admin("DELETE", "/oauth/client/webmail").data is None
    assert admin("GET", "/oauth/client/webmail").status == 404


def test_a_device(admin: Any) -> None:
    made = admin("POST", "/oauth/client", {"name": "Television"}).data
    assert made["client"]["grantTypes"][0].endswith("device_code")
    assert made["secret"] is None


@pytest.mark.parametrize(
    ("wrong", "member", "status"),
    [
        ({"redirectUris": ["http://webmail.example.org/"]}, "redirectUris", 400),
        ({"redirectUris": ["javascript:alert(1)"]}, "redirectUris", 400),
        ({"redirectUris": ["http://localhost/"]}, "redirectUris", 409),
        ({"redirectUris": []} | {"grantTypes": ["authorization_code"]}, "redirectUris", 409),
        ({"scopes": ["everything"]}, "scopes", 404),
        ({"scopes": []}, "scopes", 400),
        ({"uri": "ftp://example.org"}, "uri", 400),
        ({"name": "a\u202eb"}, "name", 400),
        ({"isAdmin": True}, "isAdmin", 400),
        ({"grantTypes": ["password"]}, "grantTypes[0]", 400),
    ],
)
def test_clients_that_are_refused(admin: Any, wrong: dict[str, Any], member: str, status: int) -> None:
    said = admin("POST", "/oauth/client", WEBMAIL | wrong)
    assert (said.status, said.json["member"]) == (status, member), said
    assert admin("GET", "/oauth/client").data["total"] == 0


def test_an_id_that_is_taken(admin: Any) -> None:
    assert admin("POST", "/oauth/client", WEBMAIL | {"id": "x"}).status == 200
    said = admin("POST", "/oauth/client", WEBMAIL | {"id": "x"})
    assert (said.status, said.json["error"], said.json["field"]) == (409, "fieldAlreadyExists", "id")


def test_whom_it_is_not_for(made: MadeServer, admin: Any) -> None:
    made.account("jane@example.org")
    assert type(admin)(made, basic("jane@example.org"))("GET", "/oauth/client").status == 403
