"""Every operation × every permission and role × own and foreign things: nothing is allowed that is not declared."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest
from managed import BEYOND, CELLS, FOREIGN, KINDS, OWN, Cell, allowed, body_of, called

from flaskmail.accounts.authorization import LOCAL, access
from flaskmail.accounts.drafts import Change, Draft
from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.permissions import PERMISSIONS, ROLES
from flaskmail.accounts.principals import Principal
from flaskmail.errors import FlaskmailError, RequestError
from flaskmail.management import api
from flaskmail.management.dispatch import Answer, Request
from flaskmail.management.operation import Operation
from flaskmail.oauth.clients import DEVICE, Client
from flaskmail.testing import MadeServer, make_server

EVERYTHING = access(LOCAL, frozenset(PERMISSIONS))


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


def walk(world: World, principal: Principal) -> list[str]:
    """Tries every cell; answers those that went wrong."""
    wrong: list[str] = []
    access = world.server.access_of(principal)
    for operation in api().operations:
        for domain in (OWN, FOREIGN):
            for cell in CELLS[operation.name](domain):
                if domain is FOREIGN and not cell.bound:
                    continue
                entitled = allowed(access, operation.permissions, cell, domain)
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
                or not allowed(world.server.access_of(principal), operation.permissions, cell, OWN)
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
