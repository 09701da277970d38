"""The Note type, registered through the plugin hook of a whole server over each store."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from notes import CAPABILITY, Label, Note
from stores import STORES

from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Record
from flaskmail.server import Server
from flaskmail.testing import make_server


class NotesPlugin:
    """What a third party ships."""

    @hookimpl
    def jmap_datatypes(self) -> list[type[DataType]]:
        return [Note, Label]


@dataclass
class Client:
    """Somebody with two accounts of one server."""

    server: Server
    id: str
    other: str
    limits: Limits = field(default_factory=Limits)

    def attempt(self, method: str, /, **arguments: Any) -> tuple[str, Record]:
        """Name and arguments of the one response."""
        accounts = {id: AccountAccess(id, id) for id in (self.id, self.other)}
        ctx = Context(self.server.store, self.server.types, self.limits, accounts, "tester")
        arguments = {"accountId": self.id, **arguments}
        using = ["urn:ietf:params:jmap:core", CAPABILITY]
        body = json.dumps({"using": using, "methodCalls": [[method, arguments, "c"]]}).encode()
        responses = json.loads(self.server.engine.handle(ctx, body, "s"))["methodResponses"]
        assert len(responses) == 1
        name, answer, call_id = responses[0]
        assert call_id == "c"
        return name, answer

    def call(self, method: str, /, **arguments: Any) -> Record:
        """The answer of a method that succeeds."""
        name, answer = self.attempt(method, **arguments)
        assert name == method, answer
        return answer

    def error(self, method: str, /, **arguments: Any) -> str:
        """The type of the error of a method that fails; it says something helpful."""
        name, answer = self.attempt(method, **arguments)
        assert name == "error", answer
        assert answer["type"] == "serverFail" or answer["description"].endswith("."), answer
        return str(answer["type"])

    def create(self, **props: Any) -> str:
        """The id of a new note."""
        answer = self.call("Note/set", create={"k": {"title": "", **props}})
        assert answer["notCreated"] is None, answer
        return str(answer["created"]["k"]["id"])

    def get(self, id: str, *names: str) -> Record:
        """These properties of one note."""
        (record,) = self.call("Note/get", ids=[id], properties=list(names))["list"]
        return dict(record)


@pytest.fixture(scope="module", params=list(STORES))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with make_server(plugins=[NotesPlugin()], store=request.param) as made:
        yield made.server


_numbers = itertools.count()


@pytest.fixture(scope="module")
def fresh(server: Server) -> Callable[[], Client]:
    """Makes clients with two new accounts each."""

    def make() -> Client:
        client = Client(server, *(f"acc{next(_numbers)}" for _ in range(2)))
        for id in (client.id, client.other):
            server.store.create_account(id)
        return client

    return make


@pytest.fixture
def client(fresh: Callable[[], Client]) -> Client:
    return fresh()
