"""Email/query, /queryChanges and /changes over real messages: what each filter finds, in which order, thread by thread."""

from __future__ import annotations

from typing import Any

import pytest
from realmail import Mail

from flaskmail.server import Server


class Box(Mail):
    """Ten messages, known by short names."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.ids: dict[str, str] = {}
        self.work = self.call("Mailbox/set", create={"k": {"name": "Work"}})["created"]["k"]["id"]
        child = {"name": "Below", "parentId": self.work}
        self.below = self.call("Mailbox/set", create={"k": child})["created"]["k"]["id"]
        inbox, archive = self.role("inbox"), self.role("archive")
        plan = "Subject: Plan\nFrom: Ann Lee <ann@example.com>\nTo: bob@example.org"
        self.put("plan", 1, f"{plan}\nMessage-ID: <p1@x>", "The xylophone concert.", [inbox])
        reply = "Subject: Re: Plan\nFrom: bob@example.org\nTo: ann@example.com\nMessage-ID: <p2@x>\nIn-Reply-To: <p1@x>"
        self.put("reply", 2, reply, "Agreed.", [inbox], ["$seen", "$answered"])
        self.put("late", 9, f"{plan}\nMessage-ID: <p3@x>\nReferences: <p1@x> <p2@x>", "One more.", [archive], ["$seen"])
        self.put(
            "news", 3, "Subject: News\nFrom: News <list@example.net>\nList-Id: <n.example.net>", "<b>", [self.work]
        )
        zebra = "Subject: Zebra\nFrom: Zoë <zoe@example.com>\nCc: Carl Copy <carl@example.com>"
        self.put("zebra", 4, f"{zebra}\nX-Color: Black and White", "x" * 5000, [self.below, inbox], ["work"])
        file = (
            'Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSee it.\n--b\nContent-Type: application/pdf; name="budget.pdf"\n'
            "Content-Disposition: attachment\n\n%PDF\n--b--"
        )
        self.put("file", 5, f"Subject: apple\nFrom: dora@example.com\nBcc: hidden@example.com\n{file}", "", [self.work])
        rich = "Subject: =?utf-8?q?Caf=C3=A9?=\nFrom: Émile <emile@example.com>\nContent-Type: text/html; charset=utf-8"
        self.put("rich", 6, rich, "<p>Bring <i>your</i> umbrella</p><script>trombone</script>", [inbox], ["$flagged"])
        self.put("blank", 7, "From: nobody@example.com", "", [archive])

    def put(
        self, name: str, day: int, head: str, body: str, mailboxes: list[str], keywords: list[str] | None = None
    ) -> None:
        sent = f"Date: {day:02} Jan 2023 10:00:00 +0000\n{head}\n\n{body}\n"
        self.ids[name] = self.bring(
            sent,
            mailboxIds=dict.fromkeys(mailboxes, True),
            keywords=dict.fromkeys(keywords or (), True),
            receivedAt=f"2024-01-{day:02}T10:00:00Z",
        )

    def names(self, ids: list[str]) -> list[str]:
        by_id = {id: name for name, id in self.ids.items()}
        return [by_id[id] for id in ids]

    def find(self, filter: Any = None, **more: Any) -> list[str]:
        return self.names(self.call("Email/query", filter=filter, **more)["ids"])


@pytest.fixture(scope="module")
def box(mail_server: Server) -> Box:
    return Box(mail_server)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"before": "2024-01-03T10:00:00Z"}, "plan reply"),
        ({"after": "2024-01-07T10:00:00Z"}, "blank late"),
        ({"after": "2024-01-02T00:00:00Z", "before": "2024-01-04T00:00:00Z"}, "reply news"),
        ({"minSize": 5000}, "zebra"),
        ({"maxSize": 5000}, "plan reply news file rich blank late"),
        ({"hasKeyword": "$seen"}, "reply late"),
        ({"hasKeyword": "$SEEN"}, "reply late"),
        ({"hasKeyword": "Work"}, "zebra"),
        ({"notKeyword": "$seen"}, "plan news zebra file rich blank"),
        ({"hasAttachment": True}, "file"),
        ({"hasAttachment": False}, "plan reply news zebra rich blank late"),
        ({"someInThreadHaveKeyword": "$answered"}, "plan reply late"),
        ({"allInThreadHaveKeyword": "$seen"}, ""),
        ({"allInThreadHaveKeyword": "$flagged"}, "rich"),
        ({"noneInThreadHaveKeyword": "$seen"}, "news zebra file rich blank"),
        ({"from": "Ann"}, "plan late"),
        ({"from": "ann@example.com"}, "plan late"),
        ({"from": "zoe"}, "zebra"),
        ({"from": "example"}, "plan reply news zebra file rich blank late"),
        ({"to": "bob"}, "plan late"),
        ({"cc": "carl"}, "zebra"),
        ({"bcc": "hidden"}, "file"),
        ({"subject": "plan"}, "plan reply late"),
        ({"subject": "cafe"}, "rich"),
        ({"body": "xylophone"}, "plan"),
        ({"body": "xylo*"}, "plan"),
        ({"body": "xylo"}, ""),
        ({"body": '"xylophone concert"'}, "plan"),
        ({"body": '"concert xylophone"'}, ""),
        ({"body": "concert xylophone"}, "plan"),
        ({"body": "umbrella"}, "rich"),
        ({"body": "bring your umbrella"}, "rich"),
        ({"body": "trombone"}, ""),
        ({"text": "budget"}, "file"),
        ({"text": "plan xylophone"}, "plan"),
        ({"text": "hidden"}, "file"),
        ({"text": "nothing of the kind"}, ""),
        ({"header": ["List-ID"]}, "news"),
        ({"header": ["x-color", "black"]}, "zebra"),
        ({"header": ["X-Color", "green"]}, ""),
        ({"header": ["Subject"]}, "plan reply news zebra file rich late"),
        ({"subject": "plan", "hasKeyword": "$seen"}, "reply late"),
        ({}, "plan reply news zebra file rich blank late"),
        (None, "plan reply news zebra file rich blank late"),
    ],
)
def test_conditions(box: Box, condition: Any, found: str) -> None:
    assert box.find(condition, sort=[{"property": "receivedAt"}]) == found.split()


def test_mailboxes(box: Box) -> None:
    assert box.find({"inMailbox": box.work}) == ["file", "news"]
    # What is below a mailbox is not in it.
    assert box.find({"inMailbox": box.below}) == ["zebra"]
    others = {"inMailboxOtherThan": [box.role("inbox"), box.role("archive")]}
    assert set(box.find(others)) == {"file", "news", "zebra"}


@pytest.mark.parametrize(
    ("operator", "found"),
    [("AND", "reply late"), ("OR", "plan reply blank late"), ("NOT", "news zebra file rich")],
)
def test_operators(box: Box, operator: str, found: str) -> None:
    either = {"operator": "OR", "conditions": [{"hasKeyword": "$seen"}, {"from": "nobody"}]}
    filter = {"operator": operator, "conditions": [{"subject": "plan"}, either]}
    assert box.find(filter, sort=[{"property": "receivedAt"}]) == found.split()


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ([], "late blank rich file zebra news reply plan"),
        ([{"property": "receivedAt", "isAscending": False}], "late blank rich file zebra news reply plan"),
        ([{"property": "sentAt"}], "plan reply news zebra file rich blank late"),
        # RFC 8621 section 4.4.2: by the name, where there is one, and by the base subject.
        ([{"property": "from"}, {"property": "receivedAt"}], "plan late reply file rich news blank zebra"),
        ([{"property": "subject"}, {"property": "receivedAt"}], "blank file rich news plan reply late zebra"),
        (
            [{"property": "to", "isAscending": False}, {"property": "receivedAt"}],
            "plan late reply news zebra file rich blank",
        ),
        (
            [{"property": "hasKeyword", "keyword": "$Flagged", "isAscending": False}],
            "rich late blank file zebra news reply plan",
        ),
        (
            [{"property": "someInThreadHaveKeyword", "keyword": "$answered"}, {"property": "receivedAt"}],
            "news zebra file rich blank plan reply late",
        ),
        (
            [
                {"property": "allInThreadHaveKeyword", "keyword": "work", "isAscending": False},
                {"property": "receivedAt"},
            ],
            "zebra plan reply news file rich blank late",
        ),
    ],
)
def test_sorts(box: Box, sort: list[Any], order: str) -> None:
    assert box.find(sort=sort) == order.split()


def test_by_size(box: Box) -> None:
    sizes = {name: box.get(id, "size")["size"] for name, id in box.ids.items()}
    found = box.find(sort=[{"property": "size"}])
    assert [sizes[name] for name in found] == sorted(sizes.values())


def test_windows(box: Box) -> None:
    whole = box.find()

    def window(**more: Any) -> tuple[list[str], int]:
        answer = box.call("Email/query", **more)
        return box.names(answer["ids"]), answer["position"]

    assert window(limit=3) == (whole[:3], 0)
    assert window(position=2, limit=3) == (whole[2:5], 2)
    assert window(position=-2) == (whole[-2:], 6)
    assert window(anchor=box.ids["zebra"], limit=2) == (["zebra", "news"], 4)
    assert window(anchor=box.ids["zebra"], anchorOffset=-2, limit=2) == (["rich", "file"], 2)
    assert window(position=50)[0] == []
    assert box.call("Email/query", position=50, calculateTotal=True)["total"] == 8
    assert box.error("Email/query", anchor="nowhere") == "anchorNotFound"
    assert "total" not in box.call("Email/query")


def test_one_email_a_thread(box: Box) -> None:
    answer = box.call("Email/query", collapseThreads=True, calculateTotal=True)
    assert box.names(answer["ids"]) == ["late", "blank", "rich", "file", "zebra", "news"]
    assert answer["total"] == 6
    # The sort and the filter decide which one stands for its thread.
    oldest = box.find(sort=[{"property": "receivedAt"}], collapseThreads=True)
    assert oldest == ["plan", "news", "zebra", "file", "rich", "blank"]
    assert box.find({"inMailbox": box.role("inbox")}, collapseThreads=True) == ["rich", "zebra", "reply"]
    assert box.find({"hasKeyword": "$seen"}, collapseThreads=True, position=0, limit=5) == ["late"]


@pytest.mark.parametrize(
    ("arguments", "type"),
    [
        ({"filter": {"nothing": 1}}, "unsupportedFilter"),
        ({"filter": {"hasKeyword": "a b"}}, "invalidArguments"),
        ({"filter": {"before": "yesterday"}}, "invalidArguments"),
        ({"filter": {"header": []}}, "invalidArguments"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"sort": [{"property": "nothing"}]}, "unsupportedSort"),
        ({"sort": [{"property": "hasKeyword"}]}, "invalidArguments"),
        ({"sort": [{"property": "from", "collation": "i;nothing"}]}, "unsupportedSort"),
        ({"limit": -1}, "invalidArguments"),
    ],
)
def test_refused_queries(box: Box, arguments: dict[str, Any], type: str) -> None:
    assert box.error("Email/query", **arguments) == type


def test_changes_of_a_query(mail: Mail) -> None:
    filter, sort = {"notKeyword": "$seen"}, [{"property": "receivedAt", "isAscending": False}]
    first = mail.bring("From: a@b.example\n\none\n", receivedAt="2024-01-01T00:00:00Z")
    state = mail.call("Email/query", filter=filter, sort=sort)["queryState"]
    same = mail.call("Email/queryChanges", filter=filter, sort=sort, sinceQueryState=state)
    assert (same["added"], same["removed"], same["oldQueryState"]) == ([], [], state)
    second = mail.bring("From: a@b.example\n\ntwo\n", receivedAt="2024-01-02T00:00:00Z")
    mail.call("Email/set", update={first: {"keywords/$seen": True}})
    changes = mail.call("Email/queryChanges", filter=filter, sort=sort, sinceQueryState=state, calculateTotal=True)
    assert changes["added"] == [{"id": second, "index": 0}]
    assert first in changes["removed"]
    assert changes["total"] == 1
    mail.call("Email/set", destroy=[second])
    later = mail.call("Email/queryChanges", filter=filter, sort=sort, sinceQueryState=changes["newQueryState"])
    assert (later["added"], later["removed"]) == ([], [second])


def test_changes_of_emails(mail: Mail) -> None:
    old, gone = (mail.bring(f"From: a@b.example\n\n{n}\n") for n in range(2))
    since = mail.call("Email/get", ids=[])["state"]
    empty = mail.call("Email/changes", sinceState=since)
    assert empty == {
        "accountId": mail.id,
        "oldState": since,
        "newState": since,
        "hasMoreChanges": False,
        "created": [],
        "updated": [],
        "destroyed": [],
    }
    new = mail.bring("From: a@b.example\n\nnew\n")
    mail.call("Email/set", update={old: {"keywords/$seen": True}}, destroy=[gone])
    changes = mail.call("Email/changes", sinceState=since)
    assert (changes["created"], changes["updated"], changes["destroyed"]) == ([new], [old], [gone])
    assert mail.error("Email/changes", sinceState="nonsense") == "cannotCalculateChanges"


def test_destroyed_emails_leave_mailboxes_threads_and_searches(mail: Mail) -> None:
    boxes = [mail.role("inbox"), mail.role("archive")]
    id = mail.bring("From: a@b.example\nSubject: quagga\n\nx\n", mailboxIds=dict.fromkeys(boxes, True))
    thread = mail.get(id, "threadId")["threadId"]
    answer = mail.call("Email/set", destroy=[id, "nowhere"])
    assert answer["destroyed"] == [id]
    assert answer["notDestroyed"]["nowhere"]["type"] == "notFound"
    assert mail.call("Email/query", filter={"text": "quagga"})["ids"] == []
    assert [box["totalEmails"] for box in mail.call("Mailbox/get", ids=boxes)["list"]] == [0, 0]
    assert mail.call("Thread/get", ids=[thread])["notFound"] == [thread]
    assert mail.call("Email/get", ids=[id])["notFound"] == [id]
    mail.sound()
