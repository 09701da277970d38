"""Requests made to cost much: refused, or answered, for little CPU and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from guarding import within, work_time

from flaskmail.errors import RequestError
from flaskmail.jmap.storage import Json
from flaskmail.server import Server

from .conftest import NOBODY, Tenant

CORE = "urn:ietf:params:jmap:core"


def echo(value: bytes) -> bytes:
    return b'{"using":["%s"],"methodCalls":[["Core/echo",{"a":%s},"c"]]}' % (CORE.encode(), value)


def refusal(ann: Tenant, body: bytes) -> str:
    """The problem type."""
    with pytest.raises(RequestError) as refused:
        ann.server.engine.handle(ann.context(), body, "s")
    assert refused.value.status == 400
    assert refused.value.detail.endswith(".")
    assert len(refused.value.detail) < 300
    return refused.value.type


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"1" * 1_000_000,
        b"-1" + b"0" * 1_000_000,
        b"0." + b"1" * 1_000_000,
        b"1e400",
        b"1e999999999999",
        b"NaN",
        b"-Infinity",
        b'{"a":1,"b":2,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"' + b"\\ud800" * 100_000 + b'"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\x00"',
        b'"',
    ],
    ids=lambda value: repr(value[:12]),
)
def test_hostile_json_is_refused_at_once(ann: Tenant, value: bytes) -> None:
    """50 ms of CPU at most; five times that allowed."""
    body = echo(value)
    assert within(5 * 0.05, lambda: refusal(ann, body)) == "urn:ietf:params:jmap:error:notJSON"


def test_a_name_twice_in_the_request_itself(ann: Tenant) -> None:
    body = b'{"using":["%s"],"methodCalls":[],"using":[]}' % CORE.encode()
    assert refusal(ann, body) == "urn:ietf:params:jmap:error:notJSON"


def reference(to: str, path: str) -> Json:
    return {"resultOf": to, "name": "Core/echo", "path": path}


DOUBLING = [
    ["Core/echo", {"a": ["x" * 100] * 500}, "c0"],
    *(["Core/echo", {f"#a{j}": reference(f"c{i}", "") for j in range(8)}, f"c{i + 1}"] for i in range(16)),
]
STARS = [
    ["Core/echo", {"a": [[[]] * 100] * 100}, "c0"],
    *(["Core/echo", {f"#a{j}": reference("c0", "/a" + "/*" * 6) for j in range(200)}, "c"] for _ in range(16)),
]
MANY = [
    ["Core/echo", {"a": list(range(500))}, "c0"],
    *(["Core/echo", {f"#a{j}": reference("c0", "/a/*") for j in range(200)}, "c"] for _ in range(16)),
]
TOO_WIDE = [["Core/echo", {"a": [[1] * 100] * 100}, "c0"], ["Core/echo", {"#ids": reference("c0", "/a/*")}, "c"]]


@pytest.mark.parametrize("calls", [DOUBLING, STARS, MANY, TOO_WIDE], ids=["doubling", "stars", "many", "wide"])
def test_references_bring_so_much_and_no_more(ann: Tenant, calls: list[list[Json]]) -> None:
    """200 ms of CPU at most, five times that allowed; 32 MB."""
    responses = within(5 * 0.2, lambda: ann.send(calls))
    assert responses[0][0] == "Core/echo"
    assert responses[-1][0] == "error"
    assert {answer["type"] for name, answer, _ in responses if name == "error"} == {"invalidResultReference"}
    tracemalloc.start()
    ann.send(calls)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20


def nested(operator: str, depth: int) -> Json:
    filter: Json = {"hasAttachment": True}
    for _ in range(depth):
        filter = {"operator": operator, "conditions": [filter]}
    return filter


@pytest.mark.parametrize("operator", ["NOT", "OR", "AND"])
def test_deep_filters_are_refused_or_quick(ann: Tenant, operator: str) -> None:
    for depth in (32, 33, 40):
        filter = nested(operator, depth)
        name, answer = within(5 * 0.2, lambda asked=filter: ann.attempt("Email/query", filter=asked))
        assert (name, answer.get("type")) == (("Email/query", None) if depth == 32 else ("error", "unsupportedFilter"))


@pytest.mark.parametrize(
    "filter",
    [
        {"inMailboxOtherThan": [f"m{n}" for n in range(100_000)]},
        {"operator": "OR", "conditions": [{"hasKeyword": f"k{n}"} for n in range(10_000)]},
        {"operator": "OR", "conditions": [{"text": "a* b*"}] * 400},
        {"text": "x" * 10_001},
        {"text": "a " * 101},
    ],
    ids=["mailboxes", "keywords", "texts", "long", "words"],
)
def test_wide_filters_are_refused_at_once(ann: Tenant, filter: Json) -> None:
    def ask() -> None:
        for method, more in (
            ("Email/query", {}),
            ("Email/queryChanges", {"sinceQueryState": "0"}),
            ("SearchSnippet/get", {"emailIds": ann.ids["Email"]}),
        ):
            name, answer = ann.attempt(method, filter=filter, **more)
            assert (name, answer["type"]) == ("error", "unsupportedFilter")

    within(5 * 0.2, ask)


@pytest.mark.parametrize(
    "text", ["*", "**", '"', "' \"", "a*b*c*", "(((", "NEAR/2", "\0", "-", "AND OR NOT", "^a", "{a}:b"]
)
def test_any_search_text_is_only_words(ann: Tenant, text: str) -> None:
    for condition in ("text", "subject", "body", "from"):
        ann.call("Email/query", filter={condition: text}, calculateTotal=True)


STATEMENTS = [
    "x'; DROP TABLE meta; --",
    'x"; DROP TABLE meta; --',
    "receivedAt, (SELECT salt FROM meta)",
    "id) --",
    "1 OR 1=1",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_names_and_values_are_never_sql(ann: Tenant, statement: str) -> None:
    """As a name they are refused, as a value they are found nowhere and stored as they are."""
    for kind in ("Email", "Mailbox", "Note"):
        assert ann.attempt(f"{kind}/query", filter={statement: 1})[1]["type"] == "unsupportedFilter"
        assert ann.attempt(f"{kind}/query", sort=[{"property": statement}])[1]["type"] == "unsupportedSort"
        assert ann.attempt(f"{kind}/query", anchor=statement)[1]["type"] in ("anchorNotFound", "invalidArguments")
        assert ann.attempt(f"{kind}/get", properties=[statement], ids=[])[1]["type"] == "invalidArguments"
        assert ann.call(f"{kind}/get", ids=[statement])["notFound"] == [statement]
        assert ann.attempt(f"{kind}/changes", sinceState=statement)[1]["type"] == "cannotCalculateChanges"
    sort = [{"property": "subject", "collation": statement}]
    assert ann.attempt("Email/query", sort=sort)[1]["type"] == "unsupportedSort"
    assert ann.call("Email/query", filter={"subject": statement})["ids"] == []
    assert ann.call("Email/query", filter={"header": ["X-None", statement]})["ids"] == []
    assert ann.call("Mailbox/query", filter={"name": statement})["ids"] == []
    id = ann.call("Mailbox/set", create={"k": {"name": statement}})["created"]["k"]["id"]
    assert ann.call("Mailbox/query", filter={"name": statement})["ids"] == [id]
    assert ann.call("Mailbox/get", ids=[id], properties=["name"])["list"] == [{"id": id, "name": statement}]
    ann.call("Email/set", update={ann.ids["Email"][0]: {"keywords/x'--": True}})
    assert ann.call("Email/query", filter={"hasKeyword": "x'--"})["ids"] == ann.ids["Email"][:1]


def test_properties_have_a_number(ann: Tenant) -> None:
    many = [f"header:X-{n}:asAddresses:all" for n in range(251)]
    ids = ann.ids["Email"]
    assert ann.attempt("Email/get", ids=ids, properties=many)[1]["type"] == "requestTooLarge"
    assert len(ann.call("Email/get", ids=ids, properties=many[:250])["list"]) == len(ids)
    some = many[:101]
    refused = ann.attempt("Email/get", ids=ids, properties=["bodyStructure"], bodyProperties=some)[1]
    assert (refused["type"], refused["arguments"]) == ("invalidArguments", ["bodyProperties"])
    assert ann.attempt("Email/parse", blobIds=ann.ids["blob"][:1], properties=many)[1]["type"] == "requestTooLarge"


@pytest.fixture
def letters(fresh: Callable[..., Tenant]) -> Tenant:
    """A user with some large messages."""
    tenant = fresh(filled=False, accounts=1)
    account, boxes = tenant.accounts[0], {tenant.ids["Mailbox"][0]: True}
    store = tenant.server.store
    raws = [b"Subject: %d\r\n\r\n" % n + b"%d" % n * 200_000 for n in range(4)]
    emails = {
        f"e{n}": {"blobId": store.put_blob(account, raw, len(raw)), "mailboxIds": boxes} for n, raw in enumerate(raws)
    }
    made = tenant.call("Email/import", emails=emails)["created"]
    tenant.ids["Email"] = [made[key]["id"] for key in sorted(made)]
    tenant.ids["blob"] = [emails[key]["blobId"] for key in sorted(emails)]
    return tenant


def test_an_answer_has_an_end(letters: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"properties": ["bodyValues"], "fetchTextBodyValues": True}
    context = letters.context

    def narrow() -> Any:
        made = context()
        made.room = 500_000
        return made

    monkeypatch.setattr(letters, "context", narrow)
    assert letters.attempt("Email/get", ids=letters.ids["Email"], **small)[1]["type"] == "requestTooLarge"
    # What comes first is answered however large it is, and so is less of each.
    assert len(letters.call("Email/get", ids=letters.ids["Email"][:2], **small)["list"]) == 2
    assert len(letters.call("Email/get", ids=letters.ids["Email"], maxBodyValueBytes=1000, **small)["list"]) == 4
    assert letters.attempt("Email/parse", blobIds=letters.ids["blob"], **small)[1]["type"] == "requestTooLarge"
    # The calls of a request share it.
    call = ["Email/get", {"accountId": letters.accounts[0], "ids": letters.ids["Email"][:2], **small}, "c"]
    assert [name for name, _, _ in letters.send([call] * 4)] == ["Email/get", "error", "error", "error"]


def test_a_request_has_so_much_time(letters: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    context = letters.context

    def late() -> Any:
        made = context()
        made.deadline = time.monotonic() - 1
        return made

    monkeypatch.setattr(letters, "context", late)
    before = letters.states()
    for method, arguments in (
        ("Core/echo", {}),
        ("Email/query", {}),
        ("Mailbox/set", {"create": {"k": {"name": "late"}}}),
    ):
        name, answer = letters.attempt(method, **arguments)
        assert (name, answer["type"]) == ("error", "serverUnavailable")
    assert letters.states() == before


def test_time_that_runs_out_within_a_call_leaves_nothing_behind(
    letters: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = letters.context
    looks = iter(range(1000))

    def slow() -> Any:
        made = context()
        made.deadline = 4.0
        return made

    monkeypatch.setattr(letters, "context", slow)
    monkeypatch.setattr("flaskmail.jmap.context.time.monotonic", lambda: float(next(looks)))
    boxes = {letters.ids["Mailbox"][0]: True}
    before = letters.states()
    blob = letters.ids["blob"][0]
    create = {f"k{n}": {"blobId": blob, "mailboxIds": boxes} for n in range(20)}
    name, answer = letters.attempt("Email/import", emails=create)
    assert (name, answer["type"]) == ("error", "serverUnavailable")
    assert letters.states() == before


def test_a_client_has_thirty_seconds(server: Server) -> None:
    context = server.context_for(NOBODY)
    assert 0 < context.deadline - time.monotonic() <= 30


def test_a_body_in_base64_is_decoded_no_further_than_asked(fresh: Callable[..., Tenant]) -> None:
    tenant = fresh(filled=False, accounts=1)
    raw = (
        b"Subject: bomb\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + (b"QUFB" * 19 + b"\r\n") * 400_000
    )
    blob = tenant.server.store.put_blob(tenant.accounts[0], raw, len(raw))
    box = {tenant.ids["Mailbox"][0]: True}
    made = tenant.call("Email/import", emails={"e": {"blobId": blob, "mailboxIds": box}})["created"]["e"]
    started = work_time()
    tracemalloc.start()
    arguments = {"properties": ["bodyValues"], "fetchTextBodyValues": True, "maxBodyValueBytes": 1000}
    [email] = tenant.call("Email/get", ids=[made["id"]], **arguments)["list"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    [value] = email["bodyValues"].values()
    assert (value["value"], value["isTruncated"]) == ("A" * 1000, True)
    # The message itself has 31 MB.
    assert peak < 80 * 2**20
    assert work_time() - started < 5
