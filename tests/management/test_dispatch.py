"""What holds for every operation: routing, permissions, what comes in, errors, the audit log, the document."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from flaskmail.accounts.authorization import LOCAL, access
from flaskmail.accounts.permissions import PERMISSIONS
from flaskmail.errors import RequestError, StoreError
from flaskmail.management import api
from flaskmail.management.dispatch import MAX_BODY, Api, Request, read_body, read_query
from flaskmail.management.operation import Call, Listing, Members, Paged, Query, Resource
from flaskmail.management.principalbodies import NewPrincipal, Step
from flaskmail.management.principals import PrincipalQuery
from flaskmail.management.refusals import conflict, of_validation
from flaskmail.testing import MadeServer, basic

EVERYTHING = access(LOCAL, frozenset(PERMISSIONS))


class Pot(Members):
    pot_name: str
    size: int = 1


class Wanted(Paged, kw_only=True):
    types: tuple[str, ...] = ()
    dry_run: bool = False


def pots() -> tuple[Api, list[Any]]:
    resource, seen = Resource("pots", "Pots."), []

    @resource.operation("GET", "/pot", "pot.list", permissions=("job-list",), query=Wanted, answer=Listing[int])
    def list_(call: Call, query: Wanted) -> Listing[int]:
        """List pots."""
        seen.append(query)
        return query.of(range(25))

    @resource.operation("GET", "/pot/special", "pot.special", permissions=("job-list",), answer=str)
    def special(call: Call) -> str:
        """The special one."""
        return "special"

    @resource.operation("GET", "/pot/{name}", "pot.get", permissions=("job-list",), answer=str, tagged=True)
    def get(call: Call, name: str) -> str:
        """One pot."""
        call.headers["ETag"] = '"7"'
        return name

    @resource.operation(
        "POST", "/pot", "pot.create", permissions=("job-get",), body=Pot, answer=int, status=201, tagged=True
    )
    def create(call: Call, body: Pot) -> int:
        """Make a pot."""
        call.check_match("7")
        seen.append(body)
        if body.size == 99:
            raise conflict("There are 98 pots already.")
        if body.size == 100:
            raise StoreError("the kitchen is closed")
        return body.size

    @resource.operation("GET", "/empty", "pot.empty", permissions=("job-cancel",), answer=None, legacy=True)
    def empty(call: Call) -> None:
        """Empty all pots."""

    return Api([resource]), seen


def ask(made: MadeServer, path: str, method: str = "GET", body: Any = None, legacy: bool = False, **more: Any) -> Any:
    found, _ = pots()
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(
        method,
        tuple(path.strip("/").split("/")),
        headers={"content-type": "application/json"} | more.pop("headers", {}),
        read=lambda limit: octets,
        **more,
    )
    return found.answer(made.server, request, lambda: (LOCAL, EVERYTHING), legacy=legacy)


def test_routes(made: MadeServer) -> None:
    assert json.loads(ask(made, "/pot/special").body) == {"data": "special"}
    assert json.loads(ask(made, "/pot/a b").body) == {"data": "a b"}
    for path in ("/nothing", "/pot/a/b", "/pot/"):
        if path != "/pot/":
            with pytest.raises(RequestError) as error:
                ask(made, path)
            assert error.value.status == 404
    with pytest.raises(RequestError) as error:
        ask(made, "/pot", "DELETE")
    assert error.value.status == 405
    assert error.value.headers == {"Allow": "GET, HEAD, OPTIONS, POST"}


def test_old_gets_have_to_be_allowed(made: MadeServer) -> None:
    with pytest.raises(RequestError) as error:
        ask(made, "/empty")
    assert error.value.status == 404
    assert json.loads(ask(made, "/empty", legacy=True).body) == {"data": None}
    (entry,), _ = made.server.directory.audit.find()
    assert entry.operation == "pot.empty", "what changes something is written down, whatever its method"


def test_a_page(made: MadeServer) -> None:
    def page(**query: str) -> Any:
        return json.loads(ask(made, "/pot", query=list(query.items())).body)["data"]

    assert page() == {"items": list(range(25)), "total": 25}
    assert page(limit="10") == page(limit="10", page="1") == {"items": list(range(10)), "total": 25}
    assert page(limit="10", page="3") == {"items": [20, 21, 22, 23, 24], "total": 25}
    assert page(limit="10", page="4") == {"items": [], "total": 25}


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ([("page", "-1")], "page"),
        ([("page", "x")], "page"),
        ([("limit", "100000000000")], "limit"),
        ([("pag", "1")], "pag"),
        ([("page", "1"), ("page", "2")], "page"),
        ([("dry-run", "perhaps")], "dry-run"),
        ([("dry-run", "0")], "dry-run"),
    ],
)
def test_queries_that_are_wrong(query: list[tuple[str, str]], member: str) -> None:
    with pytest.raises(RequestError) as error:
        read_query(Wanted, query)
    assert (error.value.status, error.value.extra["member"]) == (400, member)
    assert error.value.extra["expected"]


def test_queries_that_are_right() -> None:
    found = read_query(Wanted, [("types", "a,b,,c"), ("dry-run", "")])
    assert (found.types, found.dry_run) == (("a", "b", "c"), True)
    assert read_query(Wanted, [("dry-run", "false")]).dry_run is False
    assert read_query(Wanted, [("dry-run", str(True))]).dry_run is True


def test_an_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(RequestError) as error:
        read_query(Wanted, [("limt", "1")])
    assert error.value.extra["nearest"] == "limit"


@pytest.mark.parametrize(
    ("body", "member", "kind"),
    [
        (b'{"potName": "a", "isAdmin": true}', "isAdmin", "other"),
        (b'{"potName": 7}', "potName", "other"),
        (b'{"size": 7}', "potName", "fieldMissing"),
        (b'{"potName": "a", "size": "7"}', "size", "other"),
        (b"[]", "the body", "other"),
        (b'{"potName": "a", "size": 1e400}', None, "other"),
        (b'{"potName": "a", "potName": "b"}', None, "other"),
        (b"", None, "other"),
        (b"\xff", None, "other"),
        (b"[" * 100_000, None, "other"),
    ],
)
def test_bodies_that_are_wrong(body: bytes, member: str | None, kind: str) -> None:
    with pytest.raises(RequestError) as error:
        read_body(Pot, Request("POST", (), headers={"content-type": "application/json"}, read=lambda limit: body))
    assert error.value.status == 400
    assert error.value.extra.get("member") == member
    assert error.value.extra["error"] == kind


@pytest.mark.parametrize(
    ("kind", "body", "member", "expected", "nearest"),
    [
        (NewPrincipal, {"type": "indvidual"}, "type", "individual, group, list, role, apiKey, domain", "individual"),
        (NewPrincipal, {"type": "group", "name": "a@b.c", "membrs": []}, "membrs", "no such member", "members"),
        (NewPrincipal, {"type": "role", "nmae": "x"}, "nmae", "no such member", "name"),
        (list[Step], [{"action": "set", "field": "emial"}], "[0].field", "emails", "emails"),
        (list[Step], [{"action": "add", "field": "quota", "value": 1}], "[0].action", "set is wanted", None),
        (list[Step], [{"action": "additem", "field": "urls"}], "[0].action", "addItem, removeItem, set", "addItem"),
        (
            list[Step],
            [{"action": "set", "field": "quota", "value": "1"}],
            "[0].value",
            "integer or null is wanted",
            None,
        ),
        (
            PrincipalQuery,
            {"types": ["list", "groups"]},
            "types[1]",
            "apiKey, domain, group, individual, list, role",
            "group",
        ),
    ],
)
def test_what_is_wrong_says_what_is_wanted(kind: Any, body: Any, member: str, expected: str, nearest: str) -> None:
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.convert(body, kind)
    error = of_validation(str(wrong.value), kind, body)
    assert (error.extra["member"], error.extra.get("nearest")) == (member, nearest)
    assert expected in error.extra["expected"]
    assert error.extra["expected"] in error.detail
    assert nearest is None or nearest in error.detail


def test_a_body_of_another_type() -> None:
    with pytest.raises(RequestError) as error:
        read_body(Pot, Request("POST", (), headers={"content-type": "text/plain"}, read=lambda limit: b"{}"))
    assert error.value.status == 415


def test_a_change_is_written_down_with_its_end(made: MadeServer) -> None:
    ask(made, "/pot", "POST", {"potName": "a", "size": 3}, address="192.0.2.1")
    with pytest.raises(RequestError):
        ask(made, "/pot", "POST", {"potName": "b", "size": 99})
    with pytest.raises(StoreError):
        ask(made, "/pot", "POST", {"potName": "c", "size": 100})
    with pytest.raises(RequestError):
        ask(made, "/pot", "POST", {"potName": "d"}, headers={"if-match": '"6"'})
    entries, total = made.server.directory.audit.find()
    assert total == 4
    assert [entry.status for entry in entries] == [412, 503, 409, 201]
    assert (entries[3].actor, entries[3].via, entries[3].address) == ("local", "local", "192.0.2.1")
    assert (entries[3].operation, entries[3].object) == ("pot.create", "/pot")
    assert entries[3].change == {"potName": "a", "size": 3}


def test_what_cannot_be_written_down_is_not_done(made: MadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**entry: Any) -> int:
        raise StoreError("the disk is full")

    monkeypatch.setattr(made.server.directory.audit, "begin", full)
    found, seen = pots()
    request = Request(
        "POST", ("pot",), headers={"content-type": "application/json"}, read=lambda limit: b'{"potName": "a"}'
    )
    with pytest.raises(StoreError):
        found.answer(made.server, request, lambda: (LOCAL, EVERYTHING))
    assert not seen


def test_entity_tags(made: MadeServer) -> None:
    assert ask(made, "/pot/a", headers={"if-none-match": '"7"'}).status == 304
    assert ask(made, "/pot/a", headers={"if-none-match": '"8"'}).status == 200
    assert ask(made, "/pot", "POST", {"potName": "a"}, headers={"if-match": '"6", "7"'}).status == 201
    assert ask(made, "/pot", "POST", {"potName": "a"}, headers={"if-match": "*"}).status == 201
    for malformed in ("|G$*H", '*, "7"', "7", ""):
        with pytest.raises(RequestError) as error:
            ask(made, "/pot", "POST", {"potName": "a"}, headers={"if-match": malformed})
        assert error.value.status == 412


def test_preconditions_count_before_anything_is_done(made: MadeServer) -> None:
    assert ask(made, "/pot/a", headers={"if-none-match": 'W/"7"'}).status == 304
    assert ask(made, "/pot", "POST", {"potName": "a"}, headers={"if-none-match": '"8"'}).status == 201
    for path, method, condition in (
        ("/pot", "POST", {"if-none-match": "*"}),
        ("/pot", "POST", {"if-none-match": 'W/"7"'}),
        ("/pot", "POST", {"if-match": 'W/"7"'}),
        ("/pot/a", "GET", {"if-match": '"8"'}),
        # It has no entity tag at all.
        ("/pot/special", "GET", {"if-match": '"7"'}),
    ):
        with pytest.raises(RequestError) as error:
            ask(made, path, method, {"potName": "a"}, headers=dict(condition))
        assert error.value.status == 412, condition
    assert ask(made, "/pot/special", headers={"if-match": "*"}).status == 200


def test_what_is_tagged_says_so(admin: Any) -> None:
    """Only what is declared to have an entity tag has one, and each of them has."""
    reads = [one for one in api().operations if one.method == "GET" and not one.legacy and not one.parameters]
    for one in reads:
        said = admin("GET", one.path, **({"seconds": 1} if one.name == "logs.live" else {}))
        assert ("ETag" in said.headers) == one.tagged, one.name


@pytest.mark.parametrize(
    ("wrong", "declared"),
    [
        (TypeError, {"permissions": ()}),
        (TypeError, {"permissions": ("job-list",), "body": Pot}),
        (TypeError, {"permissions": ("job-list",), "query": Query}),
    ],
)
def test_wrong_declarations(wrong: type[Exception], declared: dict[str, Any]) -> None:
    with pytest.raises(wrong):

        @Resource("x", "X.").operation("GET", "/x", "x.get", **declared)
        def get(call: Call) -> None:
            """X."""


def test_every_permission_is_known() -> None:
    for one in api().operations:
        assert set(one.permissions) <= set(PERMISSIONS), one.name


# ---- over HTTP, in this process
def test_who(made: MadeServer, admin: Any) -> None:
    said = admin("GET", "/whoami")
    assert said.data["name"] == "admin"
    assert "audit-list" in said.data["permissions"]
    assert said.data["domain"] is None
    made.account("jane@example.org")
    jane = type(admin)(made, basic("jane@example.org"))
    assert jane("GET", "/whoami").data["domain"] == "example.org"
    refused = jane("GET", "/audit")
    assert (refused.status, refused.json["permission"]) == (403, "audit-list")
    assert "audit-list" in refused.json["detail"]


def test_nobody(anybody: Any) -> None:
    assert anybody("GET", "/whoami").status == 401
    assert anybody("GET", "/nothing").status == 404
    assert anybody("GET", "/whoami").headers["Content-Type"] == "application/problem+json"


def test_answers_are_not_kept(admin: Any) -> None:
    said = admin("GET", "/whoami")
    assert said.headers["Cache-Control"] == "no-store"
    assert said.headers["Content-Type"] == "application/json; charset=utf-8"


def test_head_and_options(admin: Any) -> None:
    assert admin("HEAD", "/whoami").status == 200
    assert admin("PUT", "/whoami").status == 405
    said = admin("OPTIONS", "/whoami")
    assert (said.status, said.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    for method, status in (("OPTIONS", 204), ("POST", 405), ("HEAD", 200)):
        said = admin(method, "/openapi.json")
        assert (said.status, said.headers.get("Allow")) == (status, None if status == 200 else "GET, HEAD, OPTIONS")


def test_parameters_where_there_are_none(admin: Any) -> None:
    assert admin("GET", "/whoami", page=1).status == 400


def test_a_large_body_is_413(made: MadeServer, admin: Any) -> None:
    posts = [one for one in api().operations if one.body is not None and not one.parameters]
    if not posts:
        pytest.skip("no operation takes a body yet")
    path = posts[0].path
    assert admin(posts[0].method, path, b" " * (MAX_BODY + 1)).status == 413


def test_the_document(anybody: Any) -> None:
    said = anybody("GET", "/openapi.json")
    assert said.status == 200
    assert said.json["openapi"] == "3.1.0"
    known = {(path, method) for path, methods in said.json["paths"].items() for method in methods}
    assert known == {(f"/api{one.path}", one.method.lower()) for one in api().operations if not one.legacy}
    text = json.dumps(said.json)
    for ref in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        assert ref.removeprefix("#/components/schemas/") in said.json["components"]["schemas"]


def test_what_a_list_in_a_query_may_be(anybody: Any) -> None:
    parameters = anybody("GET", "/openapi.json").json["paths"]["/api/principal"]["get"]["parameters"]
    for name in ("fields", "types"):
        (found,) = [one["schema"] for one in parameters if one["name"] == name]
        assert found["items"]["enum"]
        assert (found["minItems"], "default" in found) == (1, False)


def test_secrets_never_get_into_the_log(made: MadeServer) -> None:
    from flaskmail.management.audit import shown

    body = [
        {"action": "set", "field": "secrets", "value": "canary"},
        {"type": "setPassword", "password": "canary"},
        {"type": "insert", "prefix": "some.secret", "values": [["", "canary"]]},
        {"type": "insert", "prefix": None, "values": [["metrics.prometheus.auth.secrte", "canary"]]},
        {
            "type": "Insert",
            "values": [["metrics.prometheus", {"auth": {"secret": "canary"}}], ["plugins.a.api-key", 1]],
        },
        {"secrets": ["canary"], "otpUrl": "canary", "nested": [{"apiKey": "canary"}]},
    ]
    assert "canary" not in json.dumps(shown(body))
    told = [
        {"type": "insert", "prefix": "account", "values": [["quota", "5 GB"]]},
        {"type": "insert", "values": [["authentication.password.min-length", 12], ["lookup.a.b", "c"]]},
        # Nobody gave one.
        {"type": "individual", "secrets": []},
    ]
    assert shown(told) == told
    assert shown(msgspec.convert({"potName": "a"}, Pot)) == {"potName": "a", "size": 1}


def test_what_is_asked_of_the_policy(admin: Any) -> None:
    def explained(**body: Any) -> Any:
        return admin("POST", "/policy/explain", body)

    for url, host in (
        ("http://mail.example.org:18641/jmap/session?x=1", "mail.example.org:18641"),
        ("http://[2001:db8::1]:65535", "[2001:db8::1]:65535"),
        ("https://a.example", "a.example"),
    ):
        assert ["Host", host] in explained(url=url).data["request"]["headers"], url
    for body, member in (
        ({"url": "http://a.example:65536/"}, "url"),
        ({"url": "http://alice@a.example/"}, "url"),
        ({"url": "/a b"}, "url"),
        ({"url": "/a\n"}, "url"),
        ({"url": "/", "headers": ["X-A: b", "X-C: d\r\nX-E: f"]}, "headers[1]"),
    ):
        refused = explained(**body)
        assert (refused.status, refused.json["member"]) == (400, member), body
        # For people: no pattern.
        assert "[" not in refused.json["expected"]
