"""A small type whose rules make /set hard, and an engine over the memory store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from flaskmail.errors import SetError
from flaskmail.jmap.conditions import Compare
from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.datatype import DataType, Filter, Prepared, Prop
from flaskmail.jmap.dispatch import Engine
from flaskmail.jmap.method import Capability, Method
from flaskmail.jmap.storage import Json, Reader, Record, Store, Txn
from flaskmail.store.memory import MemoryStore
from flaskmail.store.sqlite import SqliteStore
from flaskmail.values import checks

CORE = "urn:ietf:params:jmap:core"
FOLDERS = "https://example.com/jmap/folders"
TAGS = "https://example.com/jmap/tags"


class Folder(DataType):
    """Folders lie in each other; siblings differ in name; one that has children stays."""

    name = "Folder"
    capability = FOLDERS
    id_prefix = "f"
    methods = ("get", "changes", "set", "copy", "query")
    props: ClassVar[Mapping[str, Prop]] = {
        "name": Prop(checks.text, indexed=True),
        "parentId": Prop(checks.optional(checks.identifier), default=None, indexed=True, xref="Folder"),
        "tags": Prop(checks.id_set, default={}, members=True, xref="Tag"),
        "links": Prop(checks.list_of(checks.identifier), default=list, xref="Folder"),
        "order": Prop(checks.unsigned, default=7),
        "kind": Prop(checks.text, default="plain", immutable=True),
        "size": Prop(checks.unsigned, default=0, server_set=True),
        "slug": Prop(checks.text, default="", server_set=True),
        "upper": Prop(checks.text, server_set=True, computed=True),
        "hidden": Prop(checks.text, default="h", internal=True),
    }
    filters: ClassVar[Mapping[str, Filter]] = {"name": Filter(checks.text, lambda v: Compare("name", "=", v))}
    get_arguments: ClassVar[Mapping[str, checks.Check]] = {"shout": checks.boolean}
    set_arguments: ClassVar[Mapping[str, checks.Check]] = {"evenWithChildren": checks.boolean}

    prepared_in: list[bool]
    """Whether each prepare_create got a transaction."""

    def __init__(self) -> None:
        self.prepared_in = []

    def needs(self, names: Sequence[str], arguments: Mapping[str, Json]) -> Sequence[str]:
        return ("name",) if "upper" in names else ()

    def compute(
        self, ctx: Context, reader: Reader, records: list[Record], names: Sequence[str], arguments: Mapping[str, Json]
    ) -> None:
        for record in records:
            if "upper" in names:
                record["upper"] = record["name"].upper() + ("!" if arguments.get("shout") else "")

    def prepare_create(self, ctx: Context, reader: Reader, sent: Record) -> Prepared:
        self.prepared_in.append(hasattr(reader, "create"))
        if sent.get("name") == "explode":
            raise RuntimeError("a secret of the server")
        return super().prepare_create(ctx, reader, sent)

    def validate(self, ctx: Context, txn: Txn, old: Record | None, new: Record) -> None:
        if new["parentId"] is not None and not txn.existing("Folder", [new["parentId"]]):
            raise SetError("invalidProperties", "There is no such parent.", ["parentId"])
        for other in txn.get("Folder", txn.grouped("Folder", "name", [new["name"]]).get(new["name"], []), ["parentId"]):
            if other["id"] != new["id"] and other["parentId"] == new["parentId"]:
                raise SetError("alreadyExists", "A sibling has that name.", existingId=other["id"])
        new["slug"] = new["name"].lower()

    def updated(self, ctx: Context, txn: Txn, old: Record, new: Record) -> None:
        if new["name"] == "explode":
            raise RuntimeError("a secret of the server")

    def before_destroy(self, ctx: Context, txn: Txn, old: Record, arguments: Mapping[str, Json]) -> None:
        if txn.grouped("Folder", "parentId", [old["id"]]).get(old["id"]) and not arguments.get("evenWithChildren"):
            raise SetError("hasChild", "It has children.")


class Tag(DataType):
    """What folders refer to."""

    name = "Tag"
    capability = TAGS
    id_prefix = "t"
    methods = ("get", "changes", "set")
    props: ClassVar[Mapping[str, Prop]] = {"name": Prop(checks.text)}


def echo(ctx: Context, arguments: Record) -> Record:
    """Core/echo."""
    return arguments


def explode(ctx: Context, arguments: Record) -> Record:
    """A method with a mistake in it."""
    raise RuntimeError("a secret of the server")


METHODS = [Method("Core/echo", CORE, echo, account=False), Method("Core/explode", CORE, explode, account=False)]
CAPABILITIES = [
    Capability(CORE, lambda limits: {"maxCallsInRequest": limits.maxCallsInRequest}),
    Capability(FOLDERS, lambda limits: {}, lambda access, limits: {"mayCreate": not access.is_read_only}, (TAGS,)),
    Capability(TAGS, lambda limits: {}, lambda access, limits: {}),
]
ACCOUNTS = {
    "A": AccountAccess("A", "ann@example.com"),
    "B": AccountAccess("B", "shared", is_personal=False),
    "R": AccountAccess("R", "archive", is_personal=False, is_read_only=True),
    "gone": AccountAccess("gone", "gone@example.com", is_personal=False),
}


@dataclass
class Api:
    """What a client has: requests."""

    engine: Engine
    store: Store

    def context(self) -> Context:
        return Context(self.store, self.engine.types, self.engine.limits, ACCOUNTS, "ann@example.com")

    def raw(self, request: Any) -> dict[str, Any]:
        """The response object."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        response: dict[str, Any] = json.loads(self.engine.handle(self.context(), body, "s1"))
        assert response["sessionState"] == "s1"
        return response

    def batch(self, *calls: Any, using: Sequence[str] = (CORE, FOLDERS), **more: Any) -> list[Any]:
        """The method responses."""
        responses: list[Any] = self.raw({"using": using, "methodCalls": calls, **more})["methodResponses"]
        return responses

    def __call__(self, name: str, account: str | None = "A", **arguments: Any) -> dict[str, Any]:
        """The arguments of the only response to one call; an error's have ``error`` as well."""
        more = {} if account is None else {"accountId": account}
        ((answered, result, call_id),) = self.batch([name, {**more, **arguments}, "c"])
        assert call_id == "c"
        assert answered in (name, "error")
        return {**result, "error": True} if answered == "error" else result

    def create(self, **folder: Any) -> str:
        """The id of a new folder."""
        result = self("Folder/set", create={"k": folder})
        assert result["notCreated"] is None
        id: str = result["created"]["k"]["id"]
        return id

    def folder(self, id: str, *properties: str) -> dict[str, Any]:
        """The folder as /get answers it."""
        result = self("Folder/get", ids=[id], properties=list(properties) or None)
        (found,) = result["list"]
        return dict(found)


def with_accounts(store: Store) -> Store:
    """The store, with the accounts that there are."""
    for account in ("A", "B", "R"):
        store.create_account(account)
    return store


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of empty accounts, which cost more to make than to copy."""
    folder = tmp_path_factory.mktemp("accounts")
    with_accounts(SqliteStore(folder, [Folder(), Tag()], keep_free=0)).close()
    return folder


@pytest.fixture(params=["memory", "sqlite"])
def make_api(request: pytest.FixtureRequest, tmp_path: Path, files: Path) -> Iterator[Callable[..., Api]]:
    """Makes an API whose server has these limits, over each store."""
    stores: list[Store] = []

    def make(strict_using: bool = False, **limits: int) -> Api:
        types = [Folder(), Tag()]
        if request.param == "sqlite":
            folder = tmp_path / str(len(stores))
            shutil.copytree(files, folder)
            store: Store = SqliteStore(folder, types, keep_free=0)
        else:
            store = with_accounts(MemoryStore(types))
        stores.append(store)
        return Api(Engine(types, METHODS, CAPABILITIES, Limits(**limits), strict_using), store)

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()
