"""What the size of an account does to what clients ask all the time: CPU of whole requests in two accounts, and their ratio.

    python benchmarks/scale.py [small] [large]

The accounts hold 2,000 and 200,000 messages unless told otherwise; half of each is in the inbox. They are made in a temporary
folder with the store alone, which takes a minute or two. A ratio far above 1 means that something grew with the account.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from flaskmail.accounts.principals import Principal
from flaskmail.server import Server
from flaskmail.testing import MadeServer, make_server

BATCH = 2000
ROUNDS = 7
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
LIST = [
    "id",
    "threadId",
    "mailboxIds",
    "keywords",
    "from",
    "to",
    "subject",
    "receivedAt",
    "preview",
    "hasAttachment",
    "size",
]
WORDS = [f"w{n}x" for n in range(4000)]
NEWEST = {"sort": [{"property": "receivedAt", "isAscending": False}], "limit": 50}


def fill(server: Server, account: str, count: int, inbox: str, other: str) -> None:
    """Stores ``count`` Emails in threads of three, each with 60 words in the search index."""
    chance, began = random.Random(count), datetime(2024, 1, 1, tzinfo=UTC)
    sender = [{"name": "Ann Example", "email": "ann@example.org"}]
    for first in range(0, count, BATCH):
        with server.store.write(account) as txn:
            blob = txn.put_blob(b"From: ann@example.org\r\n\r\nhello")
            for n in range(first, min(first + BATCH, count)):
                if n % 3 == 0:
                    thread = txn.new_id("Thread")
                    txn.create("Thread", {"id": thread})
                text = " ".join(chance.choices(WORDS, k=60))
                record = {
                    **dict.fromkeys(("messageId", "inReplyTo", "references", "sender", "cc", "bcc", "replyTo")),
                    "id": txn.new_id("Email"),
                    "blobId": blob,
                    "threadId": thread,
                    "mailboxIds": {inbox if n % 2 else other: True},
                    "keywords": {"$seen": True},
                    "size": 2000 + n % 1000,
                    "receivedAt": (began + timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "from": sender,
                    "to": sender,
                    "subject": f"Message {n}: {text[:40]}",
                    "sentAt": "2024-01-01T00:00:00Z",
                    "hasAttachment": False,
                    "preview": text[:200],
                    "bodyStructure": {"type": "text/plain", "partId": "1"},
                    **{name: [] for name in ("textBody", "htmlBody", "attachments")},
                    "_parts": {},
                    "_head": 24,
                }
                txn.create("Email", record, {"body": text + (" often" if n % 2 else ""), "subject": f"Message {n}"})


class Account:
    """One filled account, and its requests."""

    def __init__(self, made: MadeServer, name: str, count: int) -> None:
        self.server, self.principal = made.server, self._principal(made, name)
        self.inbox, self.other = (self._mailbox(made.server, name) for name in ("inbox", "archive"))
        began = time.monotonic()
        fill(made.server, self.principal.id, count, self.inbox, self.other)
        print(f"{name}: {count} messages, {time.monotonic() - began:.0f} s")

    def _principal(self, made: MadeServer, name: str) -> Principal:
        return made.server.create_account(name, "correct horse battery").principal

    def _mailbox(self, server: Server, role: str) -> str:
        found = self.answers(["Mailbox/get", {"properties": ["role"]}])[0]["list"]
        return next((one["id"] for one in found if one["role"] == role), found[-1]["id"])

    def request(self, *calls: list[object]) -> bytes:
        """The octets of a Request object; each call is a name and its arguments."""
        id = self.principal.id
        return json.dumps(
            {
                "using": USING,
                "methodCalls": [[name, {"accountId": id, **more}, str(n)] for n, (name, more) in enumerate(calls)],
            }
        ).encode()

    def send(self, body: bytes) -> bytes:
        """The answer's octets."""
        return self.server.handle(self.principal, body, "http://localhost")

    def answers(self, *calls: list[object]) -> list[dict]:
        """The arguments of the answers."""
        return [answer for _, answer, _ in json.loads(self.send(self.request(*calls)))["methodResponses"]]

    def requests(self) -> Iterator[tuple[str, bytes]]:
        """Names of workloads and their requests."""
        inbox = {"filter": {"inMailbox": self.inbox}, **NEWEST}

        def referred(path: str, name: str, call: str) -> dict[str, object]:
            return {"resultOf": call, "name": name, "path": path}

        get = ["Email/get", {"#ids": referred("/ids", "Email/query", "0"), "properties": LIST}]
        yield "open the inbox", self.request(["Email/query", inbox], get)
        yield "open the inbox, with a total", self.request(["Email/query", inbox | {"calculateTotal": True}], get)
        yield (
            "open the inbox, by thread",
            self.request(
                ["Email/query", inbox | {"collapseThreads": True}],
                get,
                ["Thread/get", {"#ids": referred("/list/*/threadId", "Email/get", "1")}],
            ),
        )
        yield "all mailboxes", self.request(["Mailbox/get", {}])
        state = self.answers(["Email/get", {"ids": []}])[0]["state"]
        yield "changes, none", self.request(["Email/changes", {"sinceState": state}])
        yield "changes, 20", self.request(["Email/changes", {"sinceState": str(int(state) - 20)}])
        ids = self.answers(["Email/query", inbox])[0]["ids"]
        yield "get one", self.request(["Email/get", {"ids": ids[:1], "properties": LIST}])
        common = {"inMailbox": self.inbox, "text": "often"}
        yield "search a word of the whole inbox", self.request(["Email/query", inbox | {"filter": common}])


def cpu(work: Callable[[], object], times: int = 50) -> float:
    """The least microseconds of this thread's CPU that one call took."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        for _ in range(times):
            work()
        best = min(best, (time.thread_time() - began) / times * 1e6)
    return best


def main() -> None:
    """Prints one line a workload."""
    small, large = (int(sys.argv[n]) if len(sys.argv) > n else size for n, size in ((1, 2000), (2, 200_000)))
    with make_server(store="sqlite") as made:
        few, many = Account(made, "few@example.org", small), Account(made, "many@example.org", large)
        for (label, one), (_, other) in zip(few.requests(), many.requests(), strict=True):
            little, much = cpu(lambda one=one: few.send(one)), cpu(lambda other=other: many.send(other))
            print(f"{label:34} {little:8.0f} us {much:8.0f} us   ratio {much / little:.2f}")


if __name__ == "__main__":
    main()
