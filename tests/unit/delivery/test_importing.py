from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from realmail import Mail

from flaskmail.datatypes.mail.filing import MailFiler
from flaskmail.delivery import importing
from flaskmail.delivery.importing import Summary, import_messages
from flaskmail.errors import OverQuota
from flaskmail.formats.archives import Found, Skipped, read_path
from flaskmail.testing import make_server

Bring = Callable[..., Summary]


@pytest.fixture(params=["memory", "sqlite"])
def mail(request: pytest.FixtureRequest) -> Iterator[Mail]:
    with make_server(store=request.param) as made:
        yield Mail(made.server)


def message(n: int | str, body: str = "Hello.") -> bytes:
    return (
        f"From: ann@example.org\r\nTo: bob@example.org\r\nSubject: number {n}\r\nMessage-ID: <{n}@example.org>\r\n"
        f"Date: Mon, 01 Jan 2024 10:00:00 +0000\r\n\r\n{body}\r\n"
    ).encode()


def found(n: int | str, *folder: str, **more: Any) -> Found:
    return Found(f"file {n}", message(n), folder, **more)


def bring(mail: Mail, items: Iterable[Found | Skipped], target: str | None = None, **more: Any) -> Summary:
    summary = import_messages(mail.server.store, mail.id, MailFiler(mail.context(mail.id), target), items, **more)
    assert summary.imported + summary.duplicate + summary.skipped == summary.found
    return summary


def figures(summary: Summary) -> tuple[int, int, int, int]:
    return summary.found, summary.imported, summary.duplicate, summary.skipped


def emails(mail: Mail, **condition: Any) -> list[dict[str, Any]]:
    ids = mail.call("Email/query", filter=condition or None)["ids"]
    names = ["subject", "mailboxIds", "keywords", "receivedAt", "threadId"]
    return list(mail.call("Email/get", ids=ids, properties=names)["list"])


def mailboxes(mail: Mail) -> dict[str, dict[str, Any]]:
    """By path."""
    by_id = {box["id"]: box for box in mail.call("Mailbox/get", ids=None)["list"]}

    def path(box: dict[str, Any]) -> str:
        return box["name"] if box["parentId"] is None else f"{path(by_id[box['parentId']])}/{box['name']}"

    return {path(box): box for box in by_id.values()}


def test_messages_come_into_the_inbox(mail: Mail) -> None:
    assert figures(bring(mail, [found(1), found(2)])) == (2, 2, 0, 0)
    assert {one["subject"] for one in emails(mail, inMailbox=mail.role("inbox"))} == {"number 1", "number 2"}
    # Found at once, by a word of the body.
    assert len(emails(mail, body="hello")) == 2
    mail.sound()


def test_running_it_again_brings_only_what_is_missing(mail: Mail) -> None:
    bring(mail, [found(n) for n in range(5)])
    before = mail.call("Email/get", ids=[])["state"]
    assert figures(bring(mail, [found(n) for n in range(5)])) == (5, 0, 5, 0)
    assert mail.call("Email/get", ids=[])["state"] == before
    assert figures(bring(mail, [found(n) for n in range(7)])) == (7, 2, 5, 0)
    assert len(emails(mail)) == 7
    mail.sound()


def test_what_the_account_got_otherwise_is_a_duplicate_too(mail: Mail) -> None:
    mail.bring(message(1))
    assert figures(bring(mail, [found(1)])) == (1, 0, 1, 0)


def test_one_message_in_several_folders_is_one_email_in_all_their_mailboxes(mail: Mail) -> None:
    summary = bring(mail, [found(1, "Archive"), found(1, "Work"), found(1, "Archive"), found(1)])
    assert figures(summary) == (4, 1, 3, 0)
    (email,) = emails(mail)
    boxes = mailboxes(mail)
    assert set(email["mailboxIds"]) == {boxes[name]["id"] for name in ("Archive", "Work", "Inbox")}
    assert [boxes[name]["totalEmails"] for name in ("Archive", "Work", "Inbox")] == [1, 1, 1]
    mail.sound()


def test_what_was_moved_after_an_import_is_left_where_it_is(mail: Mail) -> None:
    bring(mail, [found(1)])
    (email,) = emails(mail)
    trash = mail.role("trash")
    mail.call("Email/set", update={email["id"]: {"mailboxIds": {trash: True}}})
    bring(mail, [found(1)])
    assert emails(mail)[0]["mailboxIds"] == {trash: True}


class Interrupted(BaseException):
    """As a signal would end the import."""


def interrupted_after(items: Iterable[Found | Skipped], count: int) -> Iterator[Found | Skipped]:
    for number, item in enumerate(items):
        if number == count:
            raise Interrupted
        yield item


@pytest.mark.parametrize("at", [0, 3, 6, 9, 11])
def test_an_interrupted_import_goes_on_as_if_it_had_not_been(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(importing, "BATCH_MESSAGES", 2)
    items = [found(n % 4, *folder) for folder in ((), ("Work",), ("Archive", "2024")) for n in range(4)]
    counted: list[int] = []
    with pytest.raises(Interrupted):
        bring(mail, interrupted_after(items, at), committed=lambda summary: counted.append(summary.found))
    stored = len(emails(mail))
    assert stored == min(4, at // 2 * 2)
    assert (counted or [0])[-1] == at // 2 * 2
    summary = bring(mail, items)
    assert (summary.found, summary.imported, summary.skipped) == (12, 4 - stored, 0)
    boxes = mailboxes(mail)
    wanted = {boxes[name]["id"] for name in ("Inbox", "Work", "Archive/2024")}
    assert [set(email["mailboxIds"]) for email in emails(mail)] == [wanted] * 4
    # It has come to its end now, so that moves are respected again.
    (one, *_) = emails(mail)
    mail.call("Email/set", update={one["id"]: {"mailboxIds": {boxes["Work"]["id"]: True}}})
    bring(mail, items)
    assert [set(e["mailboxIds"]) for e in emails(mail) if e["id"] == one["id"]] == [{boxes["Work"]["id"]}]
    mail.sound()


def test_batches_are_bounded_by_octets(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_OCTETS", 1000)
    seen: list[int] = []
    items = [Found(str(n), message(n, "x" * 600)) for n in range(6)]
    bring(mail, items, committed=lambda summary: seen.append(summary.imported))
    assert seen == [2, 4, 6]


def test_what_cannot_be_taken_is_told_and_the_rest_goes_on(mail: Mail) -> None:
    items = [
        found(1),
        Skipped("broken", "the message is empty"),
        found(2, "x" * 300),
        Skipped("archive", "the archive is damaged", counts=False),
        found(3, *[f"level {n}" for n in range(12)]),
        found(4),
    ]
    summary = bring(mail, items)
    assert figures(summary) == (5, 2, 0, 3)
    assert [source for source, _ in summary.problems] == ["broken", "archive", "file 2", "file 3"]
    assert all(reason for _, reason in summary.problems)
    assert {one["subject"] for one in emails(mail)} == {"number 1", "number 4"}
    mail.sound()


def test_keywords_and_dates_of_the_archive(mail: Mail) -> None:
    bring(mail, [found(1, keywords=frozenset({"$seen", "work"}), received="2020-02-03T04:05:06Z"), found(2)])
    by_subject = {one["subject"]: one for one in emails(mail)}
    assert by_subject["number 1"]["keywords"] == {"$seen": True, "work": True}
    assert by_subject["number 1"]["receivedAt"] == "2020-02-03T04:05:06Z"
    # With no Received field the Date field is the best that is known.
    assert by_subject["number 2"]["receivedAt"] == "2024-01-01T10:00:00Z"
    assert mailboxes(mail)["Inbox"]["unreadEmails"] == 1


def test_a_target_takes_the_top_and_what_is_below_it(mail: Mail) -> None:
    target = mailboxes(mail)["Archive"]["id"]
    bring(mail, [found(1), found(2, "Sent")], target)
    boxes = mailboxes(mail)
    assert boxes["Archive"]["totalEmails"] == 1
    # Below a target a name stands for no role.
    assert (boxes["Archive/Sent"]["totalEmails"], boxes["Archive/Sent"]["role"], boxes["Sent"]["totalEmails"]) == (
        1,
        None,
        0,
    )


@pytest.mark.parametrize(
    ("folder", "role"),
    [("Sent Items", "sent"), ("DRAFTS", "drafts"), ("Deleted Items", "trash"), ("spam", "junk"), ("INBOX", "inbox")],
)
def test_names_of_other_programs_find_the_mailbox_of_the_role(mail: Mail, folder: str, role: str) -> None:
    bring(mail, [found(1, folder)])
    (email,) = emails(mail)
    assert email["mailboxIds"] == {mail.role(role): True}
    assert len(mailboxes(mail)) == 6


def test_a_mailbox_made_for_such_a_name_has_the_role_when_it_is_free(mail: Mail) -> None:
    mail.call("Mailbox/set", destroy=[mail.role("sent"), mail.role("junk")])
    nested = {"name": "nested", "parentId": mail.role("archive"), "role": "junk"}
    mail.call("Mailbox/set", create={"k": nested})
    bring(mail, [found(1, "Sent Items"), found(2, "Spam")])
    boxes = mailboxes(mail)
    assert boxes["Sent Items"]["role"] == "sent"
    assert (boxes["Spam"]["role"], boxes["Spam"]["totalEmails"]) == (None, 1)


def test_a_mailbox_that_a_client_removes_meanwhile_is_made_again(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_MESSAGES", 1)

    def committed(summary: Summary) -> None:
        if summary.found == 1:
            gone = mailboxes(mail)["Work"]["id"]
            mail.call("Mailbox/set", destroy=[gone], onDestroyRemoveEmails=True)

    assert figures(bring(mail, [found(1, "Work"), found(2, "Work")], committed=committed)) == (2, 2, 0, 0)
    assert mailboxes(mail)["Work"]["totalEmails"] == 1
    mail.sound()


def test_an_email_that_a_client_destroys_meanwhile_stays_away(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_MESSAGES", 1)

    def committed(summary: Summary) -> None:
        if summary.found == 1:
            mail.call("Email/set", destroy=[email["id"] for email in emails(mail)])

    assert figures(bring(mail, [found(1), found(1, "Work")], committed=committed)) == (2, 1, 1, 0)
    assert emails(mail) == []
    mail.sound()


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_an_import_ends_at_the_quota_with_what_fits(store: Any) -> None:
    with make_server(store=store) as made:
        size = len(message(1))
        mail = Mail(made.server, quota=3 * size + 10)
        with pytest.raises(OverQuota):
            bring(mail, [found(n) for n in range(9)])
        assert len(emails(mail)) == 3
        with mail.server.store.read(mail.id) as reader:
            assert reader.used() == 3 * size
        # What is there is no reason to complain.
        assert figures(bring(mail, [found(n) for n in range(3)])) == (3, 0, 3, 0)
        mail.sound()


def test_any_octets_are_taken(mail: Mail) -> None:
    raw = [os.urandom(300), b"\0" * 50, b"no header at all", b"\r\n\r\n", b":::\n", b"Subject\n"]
    assert figures(bring(mail, [Found(str(n), octets) for n, octets in enumerate(raw)])) == (6, 6, 0, 0)
    listed = mail.call("Email/query")["ids"]
    got = mail.call("Email/get", ids=listed, fetchAllBodyValues=True)["list"]
    assert sorted(mail.octets(email["blobId"]) for email in got) == sorted(raw)
    mail.sound()


# ---- from files


def test_a_maildir_with_flags_and_folders(mail: Mail, tmp_path: Path) -> None:
    def put(folder: str, part: str, name: str, raw: bytes) -> None:
        for each in ("cur", "new", "tmp"):
            (tmp_path / folder / each).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / part / name).write_bytes(raw)
        os.utime(tmp_path / folder / part / name, (1_600_000_000, 1_600_000_000))

    put("", "cur", "1:2,FS", message(1))
    put("", "new", "2", message(2))
    put(".Sent", "cur", "3:2,S", message(3))
    put(".Work.Caf&AOk-", "cur", "4:2,R", message(4))
    summary = bring(mail, read_path(tmp_path, max_size=1_000_000))
    assert figures(summary) == (4, 4, 0, 0)
    by_subject = {one["subject"]: one for one in emails(mail)}
    boxes = mailboxes(mail)
    assert by_subject["number 1"]["keywords"] == {"$flagged": True, "$seen": True}
    assert by_subject["number 1"]["receivedAt"] == "2020-09-13T12:26:40Z"
    assert by_subject["number 2"]["keywords"] == {}
    assert by_subject["number 2"]["mailboxIds"] == {mail.role("inbox"): True}
    assert by_subject["number 3"]["mailboxIds"] == {mail.role("sent"): True}
    assert by_subject["number 4"]["mailboxIds"] == {boxes["Work/Café"]["id"]: True}
    assert by_subject["number 4"]["keywords"] == {"$answered": True}
    mail.sound()


def test_a_damaged_archive_gives_what_comes_before_the_damage(mail: Mail, tmp_path: Path) -> None:
    path = tmp_path / "mail.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for n in range(40):
            member = tarfile.TarInfo(f"{n}.eml")
            raw = message(n, os.urandom(2000).hex())
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    good = tmp_path / "good.eml"
    good.write_bytes(message("good"))
    items = [item for each in (path, good) for item in read_path(each, max_size=1_000_000)]
    summary = bring(mail, items)
    assert 10 < summary.imported < 40
    assert summary.skipped == 0
    ((source, reason),) = summary.problems
    assert source == str(path)
    assert "damaged" in reason
    assert "number good" in {one["subject"] for one in emails(mail)}
    path.write_bytes(whole)
    again = bring(mail, read_path(path, max_size=1_000_000))
    assert (again.found, again.imported + again.duplicate) == (40, 40)
    assert again.duplicate == summary.imported - 1
    mail.sound()
