from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flaskmail.datatypes import core
from flaskmail.datatypes.core.blobcopy import BLOB_COPY
from flaskmail.datatypes.core.echo import ECHO
from flaskmail.errors import MethodError
from flaskmail.jmap.context import AccountAccess, BlobContent, Context, Limits
from flaskmail.jmap.storage import Reader
from flaskmail.store.memory import MemoryStore


@pytest.fixture
def ctx() -> Context:
    store = MemoryStore([])
    for account in ("a1", "a2", "hidden"):
        store.create_account(account)
    accounts = {id: AccountAccess(id, id, quota=1000) for id in ("a1", "a2")}
    return Context(store, {}, Limits(), accounts, "ann@example.com", accounts["a2"])


def copy(ctx: Context, *blob_ids: str, **more: Any) -> dict[str, Any]:
    arguments = {"accountId": "a2", "fromAccountId": "a1", "blobIds": list(blob_ids), **more}
    answer = BLOB_COPY.call(ctx, arguments)
    assert isinstance(answer, dict)
    return answer


def test_echo_answers_its_arguments(ctx: Context) -> None:
    arguments = {"a": [1, "two", None], "b": {"c": True}}
    assert ECHO.call(ctx, arguments) == arguments
    assert not ECHO.account


def test_the_session_tells_every_limit_and_the_collations() -> None:
    (capability,) = core.CAPABILITIES
    assert capability.account is None
    assert capability.session(Limits(maxObjectsInGet=7)) == {
        "maxSizeUpload": 50_000_000,
        "maxConcurrentUpload": 4,
        "maxSizeRequest": 10_000_000,
        "maxConcurrentRequests": 16,
        "maxCallsInRequest": 64,
        "maxObjectsInGet": 7,
        "maxObjectsInSet": 500,
        "collationAlgorithms": ["i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"],
    }


def test_a_blob_is_copied(ctx: Context) -> None:
    blob = ctx.store.put_blob("a1", b"octets", 6)
    answer = copy(ctx, blob, blob)
    assert (answer["fromAccountId"], answer["accountId"], answer["notCopied"]) == ("a1", "a2", None)
    with ctx.store.read("a2") as reader:
        assert reader.read_blob(answer["copied"][blob]) == b"octets"


def test_a_blob_that_is_not_there_is_not_found(ctx: Context) -> None:
    blob = ctx.store.put_blob("a1", b"octets", 6)
    other = ctx.store.put_blob("hidden", b"secret", 6)
    answer = copy(ctx, blob, other, "no id!")
    assert set(answer["copied"]) == {blob}
    assert {id: error["type"] for id, error in answer["notCopied"].items()} == {other: "notFound", "no id!": "notFound"}
    assert copy(ctx, "nowhere")["copied"] is None


def test_a_copy_counts_towards_the_quota(ctx: Context) -> None:
    blob = ctx.store.put_blob("a1", b"x" * 800, 800)
    ctx.store.put_blob("a2", b"y" * 300, 300)
    assert copy(ctx, blob)["notCopied"][blob]["type"] == "overQuota"


def test_a_blob_in_a_file_is_read_from_there(ctx: Context, tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(b"large")

    def find(reader: Reader, id: str) -> BlobContent | None:
        return BlobContent(id, 5, lambda: b"", str(file)) if id == "derived" else None

    ctx.blob_finders = (find,)
    copied = copy(ctx, "derived")["copied"]
    with ctx.store.read("a2") as reader:
        assert reader.read_blob(copied["derived"]) == b"large"


@pytest.mark.parametrize(
    ("arguments", "type"),
    [
        ({"fromAccountId": "a2"}, "invalidArguments"),
        ({"fromAccountId": "hidden"}, "fromAccountNotFound"),
        ({"fromAccountId": "nowhere"}, "fromAccountNotFound"),
        ({"fromAccountId": 5}, "invalidArguments"),
        ({"blobIds": None}, "invalidArguments"),
        ({"blobIds": [5]}, "invalidArguments"),
        ({"more": 1}, "invalidArguments"),
        ({"blobIds": [f"b{n}" for n in range(501)]}, "requestTooLarge"),
    ],
)
def test_what_is_wrong_with_the_call(ctx: Context, arguments: dict[str, Any], type: str) -> None:
    with pytest.raises(MethodError) as caught:
        copy(ctx, **arguments)
    assert caught.value.type == type
