"""Blobs, their ids, quota, and the references that keep them."""

from __future__ import annotations

import hashlib
import io
import os

import pytest
from notes import note

from flaskmail.errors import OverQuota
from flaskmail.jmap.storage import Store

A = "a1"
SIZES = [0, 1, 1000, 128 * 1024, 128 * 1024 + 1, 1_000_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stream", [False, True])
def test_an_upload_can_be_read(store: Store, size: int, stream: bool) -> None:
    data = os.urandom(size)
    blob_id = store.put_blob(A, io.BytesIO(data) if stream else data, size)
    assert blob_id[0] == "g"
    assert blob_id.isalnum()
    assert blob_id.islower()
    with store.read(A) as reader:
        info = reader.blob(blob_id)
        assert info is not None
        assert (info.id, info.size) == (blob_id, size)
        if info.path is not None:
            assert info.path.read_bytes() == data
        assert reader.read_blob(blob_id) == data
        assert reader.read_blob(blob_id, 1, 5) == data[1:5]
        assert reader.read_blob(blob_id, size // 2) == data[size // 2 :]
        assert reader.read_blob(blob_id, 0, size + 10) == data
        assert reader.used() == size


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_of_a_transaction(store: Store, size: int) -> None:
    data = os.urandom(size)
    with store.write(A) as txn:
        blob_id = txn.put_blob(data)
        assert txn.read_blob(blob_id) == data
    assert store.put_blob(A, data, size) == blob_id
    with store.read(A) as reader:
        assert reader.read_blob(blob_id) == data
        assert reader.used() == size


@pytest.mark.parametrize("size", SIZES)
def test_a_blob_is_found_by_its_hash(store: Store, size: int) -> None:
    data = os.urandom(size)
    blob_id = store.put_blob(A, data, size)
    store.create_account("b2")
    for account, found in ((A, blob_id), ("b2", None)):
        with store.read(account) as reader:
            info = reader.blob_of(hashlib.sha256(data).digest())
            assert (None if info is None else info.id) == found
            assert reader.blob_of(b"x" * 32) is None


def test_the_same_octets_have_the_same_id_in_one_account_only(store: Store) -> None:
    store.create_account("b2")
    mine = store.put_blob(A, b"same", 4)
    assert store.put_blob(A, b"same", 4) == mine
    assert store.put_blob(A, b"other", 5) != mine
    theirs = store.put_blob("b2", b"same", 4)
    assert theirs != mine
    with store.read(A) as reader:
        assert reader.used() == 9
        assert reader.blob(theirs) is None
        with pytest.raises(KeyError):
            reader.read_blob(theirs)
    with store.read("b2") as reader:
        assert reader.blob(mine) is None


@pytest.mark.parametrize("blob_id", ["", "g", "nothing", "g" + "a" * 32, "../../etc/passwd", "G\0"])
def test_a_blob_that_is_not_there(store: Store, blob_id: str) -> None:
    with store.read(A) as reader:
        assert reader.blob(blob_id) is None
        with pytest.raises(KeyError):
            reader.read_blob(blob_id)


def test_quota(store: Store) -> None:
    store.put_blob(A, b"x" * 60, 60, quota=100)
    with pytest.raises(OverQuota):
        store.put_blob(A, b"y" * 41, 41, quota=100)
    store.put_blob(A, b"y" * 40, 40, quota=100)
    with store.read(A) as reader:
        assert reader.used() == 100
    with pytest.raises(OverQuota):
        store.put_blob(A, b"z", 1, quota=100)
    store.put_blob(A, b"z", 1)


def test_what_a_record_refers_to_stays(store: Store) -> None:
    blob_id = store.put_blob(A, b"attached", 8)
    with store.write(A) as txn:
        one = note(txn, attachment=blob_id)
        note(txn, attachment=blob_id)
    with store.write(A) as txn:
        txn.destroy("Note", one)
    with store.read(A) as reader:
        assert reader.read_blob(blob_id) == b"attached"
    assert store.verify(A) == []


def test_references_follow_updates(store: Store) -> None:
    first, second = store.put_blob(A, b"first", 5), store.put_blob(A, b"second", 6)
    with store.write(A) as txn:
        id = note(txn, attachment=first)
        txn.update("Note", id, {"attachment": second})
        txn.update("Note", id, {"title": "x"})
    with store.read(A) as reader:
        assert reader.read_blob(second) == b"second"
    assert store.verify(A) == []
    with store.write(A) as txn:
        txn.update("Note", id, {"attachment": None})
        txn.destroy("Note", id)
    assert store.verify(A) == []


def test_verify_of_a_busy_account(store: Store) -> None:
    with store.write(A) as txn:
        ids = [note(txn, title=f"n {n}", body="word " * n, categories={f"c{n % 3}": True}) for n in range(30)]
        for id in ids[::3]:
            txn.destroy("Note", id)
        for id in ids[1::3]:
            txn.update("Note", id, {"categories": {"c9": True}, "priority": 4})
    assert store.verify(A) == []
    assert store.verify(A, repair=True) == []
