"""Whatever is sent to whatever method: an answer of the right form, no error of ours, and nothing done by a call that fails."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flaskmail.errors import RequestError
from flaskmail.jmap.storage import Json
from flaskmail.server import Server
from flaskmail.upkeep import verify_account
from flaskmail.values import ijson

from .conftest import Tenant
from .generator import requests_of, resolved

# Strategies for whole requests have long descriptions.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

# RFC 8620 sections 3.6.2, 5.2 to 5.6 and 6.3.
METHOD_ERRORS = {
    "unknownMethod", "invalidArguments", "invalidResultReference", "accountNotFound", "accountNotSupportedByMethod",
    "requestTooLarge", "cannotCalculateChanges", "stateMismatch", "fromAccountNotFound", "fromAccountNotSupportedByMethod",
    "anchorNotFound", "unsupportedSort", "unsupportedFilter", "tooManyChanges",
}  # fmt: skip
# RFC 8620 sections 5.3, 5.4 and 6.3, RFC 8621 sections 2.5, 4.6 and 4.8.
SET_ERRORS = {
    "forbidden", "overQuota", "tooLarge", "notFound", "invalidPatch", "willDestroy", "invalidProperties", "singleton",
    "alreadyExists", "mailboxHasChild", "mailboxHasEmail", "blobNotFound", "tooManyKeywords", "tooManyMailboxes", "invalidEmail",
}  # fmt: skip
REFUSED = ("notCreated", "notUpdated", "notDestroyed", "notCopied")
DONE = ("created", "updated", "destroyed")


def check_error(answer: Mapping[str, Any], known: set[str]) -> None:
    assert answer["type"] in known, answer
    assert answer.get("description", "x."), answer
    assert not any(word in json.dumps(answer) for word in ("Traceback", "sqlite", "SELECT", ".py", "<class")), answer


def check_refusal(refused: RequestError) -> None:
    assert refused.status == 400
    assert refused.detail.endswith(".")


def check_answer(tenant: Tenant, name: str, arguments: Json, answer: Mapping[str, Any]) -> None:
    """The form of a successful answer."""
    if name == "Core/echo":
        return
    assert answer["accountId"] == arguments["accountId"]
    for member in REFUSED:
        for error in (answer.get(member) or {}).values():
            check_error(error, SET_ERRORS)
    method = name.partition("/")[2]
    if method == "get" and name != "SearchSnippet/get":
        found = [record["id"] for record in answer["list"]]
        assert len(set(found)) == len(found)
        if arguments.get("ids") is not None:
            assert {*found, *answer["notFound"]} == set(arguments["ids"])
    elif method == "set":
        assert set(answer) == {"accountId", "oldState", "newState", *DONE, *REFUSED[:3]}
        for asked, done, refused in zip(("create", "update", "destroy"), DONE, REFUSED, strict=False):
            told = [*(answer[done] or ()), *(answer[refused] or ())]
            assert len(set(told)) == len(told) == len(set(arguments.get(asked) or ()))
    elif method == "query":
        assert len(set(answer["ids"])) == len(answer["ids"])
        assert answer.get("total", 10**9) >= len(answer["ids"])
    elif method == "changes":
        lists = [*answer["created"], *answer["updated"], *answer["destroyed"]]
        assert len(set(lists)) == len(lists)
        assert not answer["hasMoreChanges"] or answer["newState"] != answer["oldState"]


def run(tenant: Tenant, requests: list[list[list[Json]]]) -> None:
    """Sends the requests one call at a time inside one request each, and looks at what it did."""
    ids = {**tenant.ids, "account": list(tenant.accounts)}
    for request in requests:
        before = tenant.states()
        calls = resolved(request, ids | {"state": ["0", "5", *sorted({str(state) for state in before.values()})]})
        try:
            ijson.loads(ijson.dumps(calls))
            responses = tenant.send(calls)
        except (ijson.NotIJson, OverflowError):
            continue
        except RequestError as refused:
            check_refusal(refused)
            continue
        # A /copy may bring the answer of a /set with it, under the same call id.
        assert len(responses) >= len(calls)
        changed = False
        for name, answer, call_id in responses:
            assert call_id in ("c0", "c1")
            if name == "error":
                check_error(answer, METHOD_ERRORS)
            elif name.endswith(("/set", "/copy", "/import")) and name != "Blob/copy":
                changed = changed or any(answer.get(done) for done in DONE)
        if len(calls) == len(responses) == 1 and responses[0][0] != "error":
            arguments = calls[0][1]
            if not any(key[:1] == "#" for key in arguments):
                check_answer(tenant, calls[0][0], arguments, responses[0][1])
        if not changed:
            assert tenant.states() == before, (calls, responses)


def sound(tenant: Tenant) -> None:
    """Nothing is wrong with the accounts afterwards."""
    for account in tenant.accounts:
        assert verify_account(tenant.server.store, tenant.server.types.values(), account) == []


def fuzz(server: Server, fresh: Callable[..., Tenant], examples: int, size: int) -> None:
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(requests_of(server), min_size=1, max_size=size))
    def check(requests: list[list[list[Json]]]) -> None:
        tenant = fresh()
        run(tenant, requests)
        sound(tenant)

    check()


def test_any_request_is_answered(
    server: Server, fresh: Callable[..., Tenant], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "flaskmail"):
        fuzz(server, fresh, 120, 12)
    assert caplog.text == ""


@pytest.mark.long
def test_any_request_is_answered_over_and_over(server: Server, fresh: Callable[..., Tenant]) -> None:
    fuzz(server, fresh, 5000, 30)
