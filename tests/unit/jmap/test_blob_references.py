"""A record refers only to blobs that its account has: said at the record, not found out by the store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flaskmail.hookspecs import hookimpl
from flaskmail.jmap.datatype import DataType
from flaskmail.testing import Jmap, MadeServer, make_server

from ...support.notes import Note


class Notes:
    @hookimpl
    def jmap_datatypes(self) -> list[type[DataType]]:
        return [Note]


@pytest.fixture(params=["memory", "sqlite"])
def made(request: pytest.FixtureRequest) -> Iterator[MadeServer]:
    with make_server(plugins=[Notes()], store=request.param) as made:
        yield made


@pytest.fixture
def alice(made: MadeServer) -> Jmap:
    return made.account("alice@example.org")


def test_a_blob_that_is_not_there_is_an_invalid_property(made: MadeServer, alice: Jmap) -> None:
    own, bobs = alice.upload(b"own"), made.account("bob@example.org").upload(b"of bob")
    answer = alice.call(
        "Note/set", create={"a": {"title": "x", "attachment": own}, "b": {"title": "x", "attachment": bobs}}
    )
    assert set(answer["created"]) == {"a"}
    assert (answer["notCreated"]["b"]["type"], answer["notCreated"]["b"]["properties"]) == (
        "invalidProperties",
        ["attachment"],
    )
    id = answer["created"]["a"]["id"]
    answer = alice.call("Note/set", update={id: {"attachment": bobs, "title": "y"}})
    assert answer["notUpdated"][id]["properties"] == ["attachment"]
    assert alice.call("Note/get", ids=[id], properties=["title", "attachment"])["list"] == [
        {"id": id, "title": "x", "attachment": own}
    ]
    other = alice.upload(b"other")
    assert alice.call("Note/set", update={id: {"attachment": other}})["updated"] == {id: None}
    assert alice.call("Note/set", update={id: {"attachment": None}})["updated"] == {id: None}
