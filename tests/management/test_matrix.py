"""Every operation × every permission and role × own and foreign things: nothing is allowed that is not declared."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from flaskmail.accounts.authorization import LOCAL, Access, access
from flaskmail.accounts.drafts import Change, Draft
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.permissions import PERMISSIONS, ROLES, named
from flaskmail.accounts.principals import Principal
from flaskmail.errors import FlaskmailError, RequestError
from flaskmail.management import api
from flaskmail.management.dispatch import Answer, Request
from flaskmail.management.operation import Operation
from flaskmail.oauth.clients import DEVICE, Client
from flaskmail.testing import MadeServer, make_server

OWN, FOREIGN = "own.example", "foreign.example"
EVERYTHING = access(LOCAL, frozenset(PERMISSIONS))
KINDS = ("individual", "group", "list", "role", "apiKey")


@dataclass(frozen=True)
class Cell:
    """How to call an operation on the things of a domain. needs: the permission for just this; bound: whether it concerns the
    domain at all; everywhere: whether it takes all-domains as well."""

    values: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    needs: str | None = None
    bound: bool = True
    everywhere: bool = False


def called(kind: str, domain: str) -> str:
    """The name of the thing of a kind that every domain has."""
    if kind == "domain":
        return domain
    return f"{kind.lower()}{'-' if kind in ('role', 'apiKey') else '@'}{domain}"


def of_types(action: str, make: Callable[[str, str], Cell]) -> Callable[[str], list[Cell]]:
    return lambda domain: [
        Cell(**{**vars_of(make(kind, domain)), "needs": named(kind, action)}) for kind in (*KINDS, "domain")
    ]


def vars_of(cell: Cell) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in cell.__dataclass_fields__}


def same(cell: Callable[[str], Cell]) -> Callable[[str], list[Cell]]:
    return lambda domain: [cell(domain)]


def wide(**given: Any) -> Callable[[str], list[Cell]]:
    """Of the server as a whole."""
    return lambda domain: [Cell(**given, bound=False)]


def body_of(kind: str, domain: str) -> dict[str, Any]:
    if kind == "domain":
        return {"type": kind, "name": f"new.{domain}"}
    more = {"domain": domain} if kind in ("role", "apiKey") else {"roles": []} if kind == "individual" else {}
    return {"type": kind, "name": f"new-{called(kind, domain)}"} | more


def named_cell(**more: Any) -> Callable[[str, str], Cell]:
    return lambda kind, domain: Cell({"name": called(kind, domain)}, **more)


def step(kind: str, domain: str) -> Cell:
    return Cell({"name": called(kind, domain)}, body=[{"action": "set", "field": "description", "value": "changed"}])


CELLS: dict[str, Callable[[str], list[Cell]]] = {
    "whoami": wide(),
    "permission.list": wide(),
    "account.auth": wide(),
    "account.auth.update": wide(body=[{"type": "addAppPassword", "name": "x"}]),
    "account.credential.list": wide(),
    "account.credential.create": wide(body={"kind": "token", "name": "x"}),
    "account.credential.delete": wide(values={"id": "tnothing"}),
    "principal.list": of_types("list", lambda kind, domain: Cell(query={"types": kind}, bound=False)),
    "principal.create": of_types(
        "create", lambda kind, domain: Cell(body=body_of(kind, domain), everywhere=kind == "domain")
    ),
    "principal.delete.all": of_types(
        "delete", lambda kind, domain: Cell(query={"type": kind, "filter": "zzz", "confirm": "true"}, bound=False)
    ),
    "principal.get": of_types("get", named_cell()),
    "principal.update": of_types("update", step),
    "principal.delete": of_types("delete", named_cell()),
    "principal.credential.list": lambda domain: [
        Cell({"name": called(kind, domain)}, needs=named(kind, "get")) for kind in ("individual", "apiKey")
    ],
    "principal.credential.delete": lambda domain: [
        Cell({"name": called(kind, domain), "id": "tnothing"}, needs=named(kind, "update"))
        for kind in ("individual", "apiKey")
    ],
    "principal.otp.delete": same(lambda domain: Cell({"name": called("individual", domain)})),
    "setting.list": wide(),
    "setting.schema": wide(),
    "setting.texts": wide(),
    "setting.get": wide(query={"keys": "account.quota"}),
    "setting.group": wide(query={"prefix": "lookup"}),
    "setting.change": wide(body=[{"type": "insert", "values": [["account.quota", "1 GB"]]}]),
    "setting.delete": wide(values={"key": "account.quota"}),
    "setting.history": wide(),
    "setting.rollback": wide(body={"revision": 0}),
    "setting.reload": wide(),
    "setting.reload-get": wide(),
    "policy.explain": wide(body={"url": "/"}),
    "domain.list": wide(),
    "domain.create": same(lambda domain: Cell(body={"name": f"new.{domain}"}, everywhere=True)),
    "domain.create.named": same(lambda domain: Cell({"name": f"new.{domain}"}, everywhere=True)),
    "domain.get": same(lambda domain: Cell({"name": domain})),
    "domain.update": same(lambda domain: Cell({"name": domain}, body={"description": "changed"})),
    "domain.delete": same(lambda domain: Cell({"name": domain})),
    "dkim.list": same(lambda domain: Cell(query={"domain": domain}, bound=False)),
    "dkim.create": same(
        lambda domain: Cell(body={"domain": domain, "algorithm": "Ed25519", "selector": "new", "id": f"new-{domain}"})
    ),
    "dkim.get": same(lambda domain: Cell({"id": f"ed25519-{domain}"})),
    "dkim.delete": same(lambda domain: Cell({"id": f"ed25519-{domain}"})),
    "dns.records": same(lambda domain: Cell({"domain": domain})),
    "dns.zone": same(lambda domain: Cell({"domain": domain})),
    "dns.check": same(lambda domain: Cell({"domain": domain})),
    "oauth.client.list": wide(everywhere=True),
    "oauth.client.create": wide(body={"name": "new", "id": "new"}, everywhere=True),
    "oauth.client.get": wide(values={"id": "tv"}, everywhere=True),
    "oauth.client.update": wide(values={"id": "tv"}, body={"name": "changed"}, everywhere=True),
    "oauth.client.delete": wide(values={"id": "tv"}, everywhere=True),
    "plugin.list": wide(),
    "store.verify": wide(everywhere=True),
    "store.backup": wide(everywhere=True),
    "store.reindex": wide(everywhere=True),
    "store.reindexAccount": same(lambda domain: Cell({"account": called("individual", domain)})),
    "store.reindexByGet": wide(everywhere=True),
    "store.reindexAccountByGet": same(lambda domain: Cell({"account": called("individual", domain)})),
    "store.purgeBlobs": wide(everywhere=True),
    "store.purgeBlobsOfAccount": same(lambda domain: Cell({"account": called("individual", domain)})),
    "store.purgeData": wide(everywhere=True),
    "store.purgeInMemory": wide(everywhere=True),
    "store.purgeBlobsByGet": wide(everywhere=True),
    "store.purgeDataByGet": wide(everywhere=True),
    "store.purgeInMemoryByGet": wide(everywhere=True),
    "store.purgeLookupByGet": wide(everywhere=True),
    "store.blob": wide(values={"hash": "nothing"}),
    "job.list": wide(),
    "job.get": wide(values={"id": "nothing"}),
    "job.cancel": wide(values={"id": "nothing"}),
    "logs.list": wide(),
    "logs.live": wide(query={"seconds": "1"}),
    "audit.list": wide(),
}
"""For each operation, how it is called on what every domain has."""


class World:
    """Two domains with one thing of each kind, and people who ask."""

    def __init__(self, made: MadeServer) -> None:
        self.made, self.server = made, made.server
        self.directory = made.server.directory
        for domain in (OWN, FOREIGN):
            self.furnish(domain)

    def furnish(self, domain: str) -> None:
        """Makes what is missing."""
        directory = self.directory
        try:
            directory.domains.get(domain)
        except UnknownName:
            directory.domains.create(domain)
        for kind in KINDS:
            try:
                directory.entries.find(called(kind, domain), EVERYTHING)
            except UnknownName:
                within = domain if kind in ("role", "apiKey") else None
                self.server.create_principal(
                    Draft(type=kind, name=called(kind, domain), domain=within), EVERYTHING, None
                )  # type: ignore[arg-type]
        if not directory.dkim.page(f"ed25519-{domain}")[1]:
            directory.dkim.create(domain, "ed25519")
        if directory.oauth_clients.find("tv") is None:
            directory.oauth_clients.add(Client("tv", "Television", grant_types=(DEVICE,)))

    def asker(self, name: str, roles: tuple[str, ...] = (), permissions: tuple[str, ...] = ()) -> Principal:
        """Somebody of OWN with these roles and permissions."""
        draft = Draft(
            type="individual", name=f"{name}@{OWN}", roles=roles, enabled_permissions=tuple(sorted(permissions))
        )
        self.server.create_principal(draft, EVERYTHING, None)
        return self.directory.principals.get(f"{name}@{OWN}")

    def ask(self, operation: Operation, cell: Cell, principal: Principal) -> Answer:
        path = operation.path
        segments = tuple(cell.values[one[1:-1]] if one[0] == "{" else one for one in path.strip("/").split("/"))
        octets = json.dumps(cell.body).encode()
        request = Request(
            operation.method,
            segments,
            tuple(cell.query.items()),
            {"content-type": "application/json"},
            lambda limit: octets,
            base_url=lambda: "https://mail.own.example",
        )
        return api().answer(self.server, request, lambda: (principal, self.server.access_of(principal)), legacy=True)

    def status(self, operation: Operation, cell: Cell, principal: Principal) -> int:
        try:
            answer = self.ask(operation, cell, principal)
        except RequestError as error:
            return error.status
        if not isinstance(answer.body, bytes):
            next(answer.body, None)
            close = getattr(answer.body, "close", None)
            if close is not None:
                close()
        return answer.status

    def mend(self) -> None:
        """Removes what a call made and makes again what it removed."""
        directory = self.directory
        here = {entry.draft.name for entry in directory.entries.page(EVERYTHING, KINDS, "")[0]}
        for domain in (OWN, FOREIGN):
            for kind in KINDS:
                if body_of(kind, domain)["name"] in here:
                    self.server.delete_principal(body_of(kind, domain)["name"], EVERYTHING)
            missing = {called(kind, domain) for kind in KINDS} - here
            if missing or directory.dkim.page(domain)[1] != 1 or directory.oauth_clients.find("tv") is None:
                self.furnish(domain)
            for undo in (
                partial(directory.dkim.delete, f"new-{domain}"),
                partial(directory.domains.delete, f"new.{domain}"),
            ):
                with suppress(FlaskmailError):
                    undo()
        if directory.oauth_clients.find("new") is not None:
            directory.oauth_clients.delete("new")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    # Thousands of changes, none of which has to outlive anything: in memory where that is possible.
    usual = tempfile.tempdir
    tempfile.tempdir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else usual
    try:
        yield from _world()
    finally:
        tempfile.tempdir = usual


def _world() -> Iterator[World]:
    with make_server(
        config='[lookup.default]\nhostname = "mail.own.example"\n[dns]\nresolver = ["127.0.0.1:9"]\ntimeout = 1\n'
    ) as made:
        yield World(made)


def test_every_operation_stands_in_the_matrix() -> None:
    assert {one.name for one in api().operations} == set(CELLS)
    for one in api().operations:
        for cell in CELLS[one.name](OWN):
            assert cell.needs is None or cell.needs in one.permissions, one.name


def needed(operation: Operation, cell: Cell) -> tuple[str, ...]:
    return operation.permissions if cell.needs is None else (cell.needs,)


def allowed(access: Access, operation: Operation, cell: Cell, domain: str) -> bool:
    """What the declarations allow."""
    if not any(access.may(one) for one in needed(operation, cell)):
        return False
    if cell.everywhere and not access.may("all-domains"):
        return False
    return not cell.bound or access.reaches(domain)


def walk(world: World, principal: Principal) -> list[str]:
    """Tries every cell; answers those that went wrong."""
    wrong: list[str] = []
    access = world.server.access_of(principal)
    for operation in api().operations:
        for domain in (OWN, FOREIGN):
            for cell in CELLS[operation.name](domain):
                if domain is FOREIGN and not cell.bound:
                    continue
                entitled = allowed(access, operation, cell, domain)
                status = world.status(operation, cell, principal)
                which = f"{principal.name}: {operation.name} {cell.needs or ''} of {domain} -> {status}"
                if not entitled and status not in (403, 404):
                    wrong.append(f"{which}, but nothing declared allows it")
                if entitled and status == 403 and operation.name not in BEYOND:
                    wrong.append(f"{which}, but it is declared")
                if status >= 500 and status != 503:
                    wrong.append(which)
                if status < 300 and operation.changes:
                    world.mend()
    return wrong


def inventory(world: World) -> object:
    """Everything that administrators manage."""
    directory = world.directory
    return (
        directory.entries.page(EVERYTHING, KINDS, "")[0],
        directory.domains.page("")[0],
        directory.dkim.page("")[0],
        directory.oauth_clients.all(),
    )


BEYOND = {
    *(
        "principal.update",
        "principal.delete",
        "principal.create",
        "principal.credential.delete",
        "principal.otp.delete",
    ),
    "setting.rollback",
}
"""Where one with the permission is refused all the same: nobody changes those who may do more than he; to take back what was set
is to delete it."""


@pytest.mark.parametrize("role", [(), ("user",), ("domain-admin",), ("admin",), ("user", "domain-admin")], ids="+".join)
def test_roles(world: World, role: tuple[str, ...]) -> None:
    principal = world.asker("role-" + ("-".join(role) or "none"), role)
    before = inventory(world)
    assert not walk(world, principal)
    if "domain-admin" not in role and "admin" not in role:
        assert inventory(world) == before


@pytest.mark.parametrize("everywhere", [False, True], ids=["own domain", "all domains"])
def test_one_permission_allows_one_thing(world: World, everywhere: bool) -> None:
    more = ("all-domains",) if everywhere else ()
    wrong = []
    for number, permission in enumerate(sorted(set(PERMISSIONS) - {"all-domains"})):
        principal = world.asker(f"only{number}{everywhere}", permissions=(permission, *more))
        wrong += walk(world, principal)
    assert not wrong


def test_an_administrator_of_a_domain_never_hears_of_another(world: World) -> None:
    principal = world.asker("listener", ("user", "domain-admin"))
    for operation in api().operations:
        for cell in CELLS[operation.name](OWN):
            answer, told = None, ""
            try:
                answer = world.ask(operation, cell, principal)
            except RequestError as error:
                told = error.detail + json.dumps(error.extra)
            finally:
                world.mend()
            assert FOREIGN not in told, operation.name
            if answer is None:
                continue
            assert isinstance(answer.body, bytes)
            if operation.name == "audit.list":
                # What people of the own domain tried on another one are their own words.
                assert {one["actor"].partition("@")[2] for one in json.loads(answer.body)["data"]["items"]} == {OWN}
            else:
                assert FOREIGN.encode() not in answer.body, operation.name


def test_what_is_foreign_looks_like_what_is_not_there(world: World) -> None:
    principal = world.asker("curious", ("user", "domain-admin"))

    def refusal(operation: Operation, cell: Cell) -> tuple[int, str]:
        with pytest.raises(RequestError) as error:
            world.ask(operation, cell, principal)
        told = json.dumps([error.value.detail, error.value.extra], sort_keys=True)
        return error.value.status, told

    seen = 0
    for operation in api().operations:
        for cell in CELLS[operation.name](FOREIGN):
            if (
                not cell.bound
                or not cell.values
                or not allowed(world.server.access_of(principal), operation, cell, OWN)
            ):
                continue
            seen += 1
            foreign = refusal(operation, cell)
            nothing = json.loads(json.dumps(cell.values).replace(FOREIGN, "nowhere.example"))
            absent = refusal(operation, Cell(nothing, cell.query, cell.body))
            assert foreign[0] == absent[0] == 404, operation.name
            assert foreign[1].replace(FOREIGN, "nowhere.example") == absent[1], operation.name
    assert seen > 10


def test_nobody_rises_above_himself(world: World) -> None:
    principal = world.asker("climber", ("user", "domain-admin"))
    more = sorted(ROLES["admin"] - ROLES["domain-admin"] - ROLES["user"])
    (update,) = [one for one in api().operations if one.name == "principal.update"]
    (create,) = [one for one in api().operations if one.name == "principal.create"]
    steps = [
        [{"action": "set", "field": "roles", "value": ["admin"]}],
        [{"action": "addItem", "field": "roles", "value": "admin"}],
        *([{"action": "addItem", "field": "enabledPermissions", "value": one}] for one in more),
    ]
    for name in (principal.name, called("individual", OWN), called("role", OWN), called("apiKey", OWN)):
        for body in steps:
            assert world.status(update, Cell({"name": name}, body=body), principal) == 403, (name, body)
    world.mend()
    for kind in ("individual", "role", "apiKey"):
        for given in ({"roles": ["admin"]}, *({"enabledPermissions": [one]} for one in more)):
            body = body_of(kind, OWN) | given
            assert world.status(create, Cell(body=body), principal) == 403, body
    world.directory.entries.update(called("role", OWN), [Change("set", "enabledPermissions", list(more))], EVERYTHING)
    body = [{"action": "addItem", "field": "roles", "value": called("role", OWN)}]
    assert world.status(update, Cell({"name": principal.name}, body=body), principal) == 403
