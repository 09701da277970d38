"""Real mail through the whole server, when there is some: FLASKMAIL_TEST_CORPUS names a directory of tar archives."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guarding import work_time
from realmail import Mail

from flaskmail.datatypes.mail.filing import MailFiler
from flaskmail.datatypes.mail.properties import BODY_PROPERTIES, DEFAULT_PROPERTIES
from flaskmail.delivery.importing import import_messages
from flaskmail.formats.archives import Found, read_path
from flaskmail.testing import make_server
from flaskmail.upkeep import verify_account

CORPUS = os.environ.get("FLASKMAIL_TEST_CORPUS", "")

CPU_SECONDS = 5.0
"""Five times what one message may take."""
MEMORY = 64 * 1024 * 1024

pytestmark = pytest.mark.skipif(
    not CORPUS, reason="FLASKMAIL_TEST_CORPUS names no directory of *.tar.gz with real mail"
)

FORMS = (
    "header:Subject:asText:all",
    "header:From:asGroupedAddresses",
    "header:To:asAddresses:all",
    "header:Date:asDate",
    "header:Message-ID:asMessageIds",
    "header:List-Unsubscribe:asURLs",
    "header:X-Mailer",
    "header:Received:all",
)
EVERYTHING = [*DEFAULT_PROPERTIES, "bodyStructure", "headers", *FORMS]
OF_PARTS = [*BODY_PROPERTIES, "headers", "subParts", "header:Content-Type:asText"]


@pytest.fixture(scope="module")
def mail() -> Iterator[Mail]:
    with make_server(store="sqlite") as made:
        yield Mail(made.server)


def archives() -> list[Path]:
    found = sorted(Path(CORPUS).glob("*.tar.gz"))
    assert found
    return found


def leaves(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if part["subParts"] is None:
        yield part
    for child in part["subParts"] or ():
        yield from leaves(child)


def test_every_real_message_is_stored_listed_and_read(mail: Mail) -> None:
    wanted: list[bytes] = []

    def items() -> Iterator[Any]:
        for archive in archives():
            for item in read_path(archive, max_size=mail.limits.maxSizeEmail):
                if isinstance(item, Found):
                    wanted.append(item.raw)
                yield item

    summary = import_messages(mail.server.store, mail.id, MailFiler(mail.context(mail.id)), items())
    assert summary.problems == []
    assert (summary.found, summary.skipped) == (len(wanted), 0)
    assert summary.imported == len(set(wanted))
    ids = listed(mail)
    assert len(ids) == summary.imported
    sizes = []
    for start in range(0, len(ids), 200):
        some = ids[start : start + 200]
        answer = mail.call(
            "Email/get",
            ids=some,
            properties=EVERYTHING,
            bodyProperties=OF_PARTS,
            fetchAllBodyValues=True,
            maxBodyValueBytes=10_000,
        )
        assert [email["id"] for email in answer["list"]] == some
        for email in answer["list"]:
            sizes.append(email["size"])
            check(email)
        snippets = mail.call("SearchSnippet/get", emailIds=some, filter={"text": "the"})
        assert snippets["notFound"] is None
        assert len(snippets["list"]) == len(some)
    assert sorted(sizes) == sorted(map(len, set(wanted)))
    assert list(verify_account(mail.server.store, mail.server.types.values(), mail.id)) == []


def listed(mail: Mail) -> list[str]:
    """Every id, by queries of one page after the other."""
    ids: list[str] = []
    while page := mail.call("Email/query", position=len(ids), limit=1000, calculateTotal=not ids)["ids"]:
        ids += page
    assert len(set(ids)) == len(ids)
    return ids


def check(email: dict[str, Any]) -> None:
    assert email["mailboxIds"]
    assert len(email["preview"]) <= 256
    assert "\0" not in email["preview"]
    structure = list(leaves(email["bodyStructure"]))
    assert [part["partId"] for part in structure] == [str(n + 1) for n in range(len(structure))]
    assert all(part["blobId"] == f"{email['blobId']}-{part['partId']}" for part in structure)
    by_id = {part["partId"]: part for part in structure}
    shown = {part["partId"] for name in ("textBody", "htmlBody", "attachments") for part in email[name]}
    assert shown == set(by_id)
    assert all(
        part == by_id[part["partId"]] for name in ("textBody", "htmlBody", "attachments") for part in email[name]
    )
    texts = {id for id, part in by_id.items() if part["type"].startswith("text/")}
    assert set(email["bodyValues"]) == texts
    for value in email["bodyValues"].values():
        assert len(value["value"].encode()) <= 10_000
        assert "\r\n" not in value["value"]
    # RFC 8621 section 4.1.3: the convenience properties are identical to header properties.
    assert email["subject"] == (email["header:Subject:asText:all"] or [None])[-1]
    assert email["to"] == (email["header:To:asAddresses:all"] or [None])[-1]
    assert email["sentAt"] == email["header:Date:asDate"]
    assert email["messageId"] == email["header:Message-ID:asMessageIds"]
    assert [field["value"] for field in email["headers"] if field["name"].lower() == "received"] == email[
        "header:Received:all"
    ]


def test_every_part_of_the_awkward_ones_can_be_downloaded_and_parsed(mail: Mail) -> None:
    for archive in archives():
        if archive.name.startswith("torture"):
            for item in read_path(archive, max_size=mail.limits.maxSizeEmail):
                assert isinstance(item, Found)
                awkward(mail, item)


def awkward(mail: Mail, item: Found) -> None:
    """One message from its upload to its parts, within its bounds."""
    tracemalloc.start()
    started = work_time()
    try:
        blob = mail.upload(item.raw)
        ((id, _),) = stored(mail, item).items()
        email = mail.get(id, *EVERYTHING, bodyProperties=OF_PARTS, fetchAllBodyValues=True)
        assert email["size"] == len(item.raw)
        assert mail.octets(email["blobId"]) == item.raw
        check(email | {"bodyValues": {n: v | {"value": ""} for n, v in email["bodyValues"].items()}})
        for part in leaves(email["bodyStructure"]):
            content = mail.octets(part["blobId"])
            assert len(content) == part["size"]
            if part["type"] in ("message/rfc822", "message/global"):
                nested(mail, part["blobId"])
        parsed = mail.call("Email/parse", blobIds=[blob], fetchTextBodyValues=True)
        assert blob in (parsed["parsed"] or parsed["notParsable"])
        mail.call("Email/set", destroy=[id])
        spent, (_, peak) = work_time() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert spent < CPU_SECONDS, item.source
    assert peak < MEMORY, item.source


def stored(mail: Mail, item: Found) -> dict[str, Any]:
    """As an import of this one message files it, even where the account has it already."""
    filer = MailFiler(mail.context(mail.id), mail.role("archive"))
    prepared = filer.prepare(item.raw, item.received, item.keywords)
    with mail.server.store.write(mail.id) as txn:
        id = filer.file(txn, prepared, filer.mailbox(txn, ()), txn.put_blob(item.raw))
    return {id: prepared}


def nested(mail: Mail, blob_id: str) -> None:
    names = [*EVERYTHING[7:], "blobId", "size"]
    answer = mail.call(
        "Email/parse", blobIds=[blob_id], properties=names, fetchAllBodyValues=True, bodyProperties=OF_PARTS
    )
    assert answer["notFound"] is None
    for email in (answer["parsed"] or {}).values():
        assert email["blobId"] == blob_id
        assert email["size"] == len(mail.octets(blob_id))
        for part in leaves(email["bodyStructure"]):
            assert len(mail.octets(part["blobId"])) == part["size"]
