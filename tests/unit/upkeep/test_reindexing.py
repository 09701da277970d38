"""A search index that is made anew finds what the first one found."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flaskmail.errors import StoreError
from flaskmail.jmap.conditions import Matches, Query
from flaskmail.testing import Jmap, MadeServer, make_server
from flaskmail.upkeep import Cancelled, reindex_account, reindex_all, verify_account

WORDS = ("milk", "cheese", "bread", "ann", "notes", "müller", "日本", "nothing")


@pytest.fixture(params=["memory", "sqlite"])
def made(request: pytest.FixtureRequest) -> Iterator[MadeServer]:
    with make_server(store=request.param) as made:
        made.account("ann@example.org")
        yield made


@pytest.fixture
def ann(made: MadeServer) -> Jmap:
    ann = made.jmap("ann@example.org")
    inbox = next(m["id"] for m in ann.call("Mailbox/get", ids=None)["list"] if m["role"] == "inbox")
    messages = [
        b"Subject: milk\r\nFrom: Ann <ann@example.org>\r\n\r\ncheese and bread\r\n",
        "Subject: Käse\r\nFrom: Müller <m@example.org>\r\n\r\n日本 bread\r\n".encode(),
        b"Subject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>milk</p>"
        b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=notes.txt\r\n\r\nx\r\n--b--\r\n",
        b"Subject: odd\r\n\r\n" + os.urandom(3000),
    ]
    for raw in messages:
        ann.call("Email/import", emails={"e": {"blobId": ann.upload(raw), "mailboxIds": {inbox: True}}})
    # And one that was composed here.
    body = {"bodyStructure": {"type": "text/plain", "partId": "1"}, "bodyValues": {"1": {"value": "bread from notes"}}}
    made_here = {"mailboxIds": {inbox: True}, "subject": "milk", "to": [{"name": "Müller", "email": "m@x.org"}], **body}
    assert ann.call("Email/set", create={"e": made_here})["created"]
    return ann


def found(made: MadeServer, ann: Jmap) -> dict[str, list[str]]:
    with made.server.store.read(str(ann.id)) as reader:
        return {word: reader.query("Email", Query(Matches((), word))).ids for word in WORDS} | {
            f"subject {word}": reader.query("Email", Query(Matches(("subject",), word))).ids for word in WORDS
        }


@pytest.mark.parametrize("fresh", [False, True])
def test_the_same_is_found_afterwards(made: MadeServer, ann: Jmap, fresh: bool) -> None:
    before = found(made, ann)
    assert [len(before[word]) for word in ("milk", "cheese", "bread", "notes", "nothing")] == [3, 1, 3, 2, 0]
    state = ann.call("Email/get", ids=[])["state"]
    told: list[tuple[int, int]] = []
    done = reindex_account(
        made.server.store,
        made.server.types.values(),
        str(ann.id),
        fresh=fresh,
        tell=lambda at, total, what: told.append((at, total)),
    )
    assert (done.records, done.lost, done.problems, told[-1]) == (5, [], [], (5, 5))
    assert found(made, ann) == before
    assert ann.call("Email/get", ids=[])["state"] == state
    assert verify_account(made.server.store, made.server.types.values(), str(ann.id)) == []


def test_what_is_missing_is_added(made: MadeServer, ann: Jmap) -> None:
    before = found(made, ann)
    store, types, id = made.server.store, made.server.types.values(), str(ann.id)
    assert reindex_account(store, types, id, missing=True).records == 0
    with store.write(id) as txn:
        txn.clear_texts("Email")
    assert not any(found(made, ann).values())
    assert reindex_account(store, types, id, missing=True).records == 5
    assert found(made, ann) == before


def test_one_that_was_stopped_goes_on(made: MadeServer, ann: Jmap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flaskmail.upkeep.reindexing._READ", 2)
    before = found(made, ann)
    store, types, id = made.server.store, made.server.types.values(), str(ann.id)

    def stop(done: int, total: int, what: str) -> None:
        if done >= 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        reindex_account(store, types, id, fresh=True, tell=stop)
    assert reindex_account(store, types, id, missing=True).records == 1
    assert found(made, ann) == before


def test_verify_mends_it(made: MadeServer, ann: Jmap) -> None:
    store, types, id = made.server.store, made.server.types.values(), str(ann.id)
    before = found(made, ann)
    with store.write(id) as txn:
        txn.clear_texts("Email")
    findings = verify_account(store, types, id, repair=True)
    assert [(finding.what, finding.mended) for finding in findings] == [
        ("5 records were not in the search index", True)
    ]
    assert verify_account(store, types, id) == []
    assert found(made, ann) == before


def test_records_come_and_go_meanwhile(made: MadeServer, ann: Jmap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flaskmail.upkeep.reindexing._READ", 2)
    monkeypatch.setattr("flaskmail.upkeep.reindexing._WRITTEN", 10)
    ids = ann.call("Email/query")["ids"]
    kind = made.server.types["Email"]
    real = type(kind).search_text

    def gone(self: object, reader: object, some: object) -> object:
        texts = real(self, reader, some)  # type: ignore[arg-type]
        if ids:
            # Between the look and the writing.
            other = threading.Thread(target=ann.call, args=("Email/set",), kwargs={"destroy": [ids.pop()]})
            other.start()
            other.join()
        return texts

    monkeypatch.setattr(type(kind), "search_text", gone)
    reindex_account(made.server.store, made.server.types.values(), str(ann.id))
    assert len(ann.call("Email/query")["ids"]) == 2
    assert verify_account(made.server.store, made.server.types.values(), str(ann.id)) == []


@pytest.mark.parametrize("made", ["sqlite"], indirect=True)
def test_a_message_that_is_lost_is_named(made: MadeServer, ann: Jmap) -> None:
    store = made.server.store
    with store.write(str(ann.id), alone=True) as txn:  # type: ignore[call-arg]
        txn.connection.db.execute("UPDATE octets SET data = x'00' WHERE num = 1")  # type: ignore[attr-defined]
    done = reindex_account(store, made.server.types.values(), str(ann.id))
    assert (done.records, [kind for kind, _ in done.lost]) == (4, ["Email"])


def test_an_account_that_cannot_be_opened_keeps_none_from_it(made: MadeServer, ann: Jmap) -> None:
    accounts = [("anobody", "nobody"), (str(ann.id), "ann@example.org")]
    done, failed = reindex_all(made.server.store, made.server.types.values(), accounts)
    assert (done.records, [name for name, _ in failed]) == (5, ["nobody"])


def test_a_damaged_index_is_mended_by_making_it_anew(tmp_path: Path) -> None:
    with make_server(store="sqlite") as made:
        ann = made.account("ann@example.org")
        inbox = next(m["id"] for m in ann.call("Mailbox/get", ids=None)["list"] if m["role"] == "inbox")
        blob = ann.upload(b"Subject: milk\r\n\r\nbread\r\n")
        ann.call("Email/import", emails={"e": {"blobId": blob, "mailboxIds": {inbox: True}}})
        store, types, id = made.server.store, made.server.types.values(), str(ann.id)
        with store.write(id, alone=True) as txn:  # type: ignore[call-arg]
            db = txn.connection.db  # type: ignore[attr-defined]
            db.config(1010, 0)
            db.execute("UPDATE f_Email_data SET block = x'00' WHERE id > 10")
            db.config(1010, 1)
        assert any("malformed" in finding.what or "damaged" in finding.what for finding in store.verify(id))
        assert reindex_account(store, types, id, fresh=True).records == 1
        assert store.verify(id) == []
        with store.read(id) as reader:
            assert len(reader.query("Email", Query(Matches((), "milk"))).ids) == 1
            with pytest.raises(StoreError):
                reindex_account(store, types, "anobody")
