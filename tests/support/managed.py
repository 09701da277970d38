"""How every operation of the management API is called on what a domain has, and what its declaration allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flaskmail.accounts.permissions import named

OWN, FOREIGN = "own.example", "foreign.example"
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
    "oauth.key.renew": wide(everywhere=True),
    "plugin.list": wide(),
    "store.verify": wide(everywhere=True),
    "store.backup": wide(everywhere=True),
    "store.reindex": wide(everywhere=True),
    "store.reindexAccount": same(lambda domain: Cell({"account": called("individual", domain)})),
    "store.reindexByGet": wide(everywhere=True),
    "store.reindexAccountByGet": same(lambda domain: Cell({"account": called("individual", domain)})),
    "store.purgeBlobs": wide(everywhere=True),
    "store.purgeBlobsOfAccount": same(lambda domain: Cell({"account": called("individual", domain)})),
    "store.purgeAccounts": wide(everywhere=True),
    "store.purgeAccount": same(lambda domain: Cell({"account": called("individual", domain)})),
    "store.purgeData": wide(everywhere=True),
    "store.purgeInMemory": wide(everywhere=True),
    "store.purgeBlobsByGet": wide(everywhere=True),
    "store.purgeAccountsByGet": wide(everywhere=True),
    "store.purgeAccountByGet": same(lambda domain: Cell({"account": called("individual", domain)})),
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


class Held(Protocol):
    """What somebody may do, and where."""

    def may(self, permission: str) -> bool: ...
    def reaches(self, domain: str | None) -> bool: ...


def needed(permissions: Sequence[str], cell: Cell) -> Sequence[str]:
    """The permissions of which one is needed for just this."""
    return permissions if cell.needs is None else (cell.needs,)


def allowed(access: Held, permissions: Sequence[str], cell: Cell, domain: str) -> bool:
    """What the declarations allow."""
    if not any(access.may(one) for one in needed(permissions, cell)):
        return False
    if cell.everywhere and not access.may("all-domains"):
        return False
    return not cell.bound or access.reaches(domain)


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
