from __future__ import annotations

from typing import Any

import pytest

from flaskmail.jmap.context import AccountAccess
from flaskmail.jmap.session import session_object

OWN = {"A": AccountAccess("A", "ann@example.com")}
SHARED = {"B": AccountAccess("B", "shared", is_personal=False, is_read_only=True)}
FOLDERS = "https://example.com/jmap/folders"


def test_the_session_says_what_there_is(api: Any) -> None:
    session = session_object(api.engine, "ann@example.com", OWN | SHARED, "https://mail.example.com/base/")
    assert session == {
        "capabilities": {
            "urn:ietf:params:jmap:core": {"maxCallsInRequest": 64},
            FOLDERS: {},
            "https://example.com/jmap/tags": {},
        },
        "accounts": {
            "A": {
                "name": "ann@example.com",
                "isPersonal": True,
                "isReadOnly": False,
                "accountCapabilities": {FOLDERS: {"mayCreate": True}, "https://example.com/jmap/tags": {}},
            },
            "B": {
                "name": "shared",
                "isPersonal": False,
                "isReadOnly": True,
                "accountCapabilities": {FOLDERS: {"mayCreate": False}, "https://example.com/jmap/tags": {}},
            },
        },
        "primaryAccounts": {FOLDERS: "A", "https://example.com/jmap/tags": "A"},
        "username": "ann@example.com",
        "apiUrl": "https://mail.example.com/base/jmap/",
        "downloadUrl": "https://mail.example.com/base/jmap/download/{accountId}/{blobId}/{name}?accept={type}",
        "uploadUrl": "https://mail.example.com/base/jmap/upload/{accountId}/",
        "eventSourceUrl": "https://mail.example.com/base/jmap/eventsource/?types={types}&closeafter={closeafter}&ping={ping}",
        "state": session["state"],
    }


def test_who_has_no_account_of_their_own_has_no_primary_account(api: Any) -> None:
    assert session_object(api.engine, "admin", SHARED, "http://localhost:8080")["primaryAccounts"] == {}
    assert session_object(api.engine, "admin", {}, "http://localhost:8080")["accounts"] == {}


@pytest.mark.parametrize(
    ("username", "accounts", "url"),
    [("bob", OWN, "https://a"), ("ann", OWN | SHARED, "https://a"), ("ann", OWN, "https://b")],
)
def test_the_state_changes_with_everything_else(api: Any, username: str, accounts: Any, url: str) -> None:
    first = session_object(api.engine, "ann", OWN, "https://a")
    assert session_object(api.engine, "ann", dict(OWN), "https://a/")["state"] == first["state"]
    assert session_object(api.engine, username, accounts, url)["state"] != first["state"]
