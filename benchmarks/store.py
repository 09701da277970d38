"""What the SQLite store costs, as CPU microseconds and ratios measured in one run.

    python benchmarks/store.py [messages]

A type shaped like Email, ``messages`` records (5,000 unless told), 1 kB of text each in the search index.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from flaskmail.jmap.conditions import And, HasMember, Matches, Not, Query
from flaskmail.jmap.datatype import DataType, Prop
from flaskmail.store.sqlite import SqliteStore, grouping
from flaskmail.values.dates import from_milliseconds, to_milliseconds


def _any(value: object) -> str | None:
    return None


class Message(DataType):
    """Email's shape."""

    name = "Message"
    capability = "urn:example:bench"
    id_prefix = "e"
    order = "receivedAt"
    group = "threadId"
    search = ("from", "to", "subject", "body")
    props: ClassVar[Mapping[str, Prop]] = {
        "blobId": Prop(_any, immutable=True, blob_ref=lambda v: (v,)),
        "threadId": Prop(_any, immutable=True, indexed=True),
        "mailboxIds": Prop(_any, members=True),
        "keywords": Prop(_any, members=True),
        "size": Prop(_any, immutable=True, indexed=True),
        "receivedAt": Prop(_any, immutable=True, indexed=to_milliseconds),
        **{n: Prop(_any, immutable=True, segment="list") for n in ("messageId", "inReplyTo", "references", "sender")},
        **{n: Prop(_any, immutable=True, segment="list") for n in ("from", "to", "cc", "bcc", "replyTo", "sentAt")},
        "subject": Prop(_any, immutable=True, segment="list", indexed=True),
        "preview": Prop(_any, immutable=True, segment="list"),
        "hasAttachment": Prop(_any, immutable=True, segment="list", indexed=True),
        "bodyStructure": Prop(_any, immutable=True, segment="body"),
    }


LIST = ["threadId", "mailboxIds", "keywords", "from", "to", "subject", "receivedAt", "preview", "hasAttachment", "size"]


def cpu(work: Callable[[], object], times: int, rounds: int = 5) -> float:
    """The least microseconds of this thread's CPU that one call took."""
    best = float("inf")
    for _ in range(rounds):
        began = time.thread_time()
        for _ in range(times):
            work()
        best = min(best, (time.thread_time() - began) / times)
    return best * 1e6


def fill(store: SqliteStore, account: str, count: int, start: int, words: list[str]) -> None:
    """Creates messages, a hundred a transaction."""
    rng = random.Random(1)
    for batch in range(start, start + count, 100):
        with store.write(account) as txn:
            for n in range(batch, min(batch + 100, start + count)):
                body = " ".join(rng.choices(words, k=150)) + f" marker{n}"
                blob = txn.put_blob(body.encode())
                txn.create(
                    "Message",
                    {
                        "id": txn.new_id("Message"),
                        "blobId": blob,
                        "threadId": f"t{n // 3}",
                        "mailboxIds": {"inbox": True},
                        "keywords": {"$seen": True} if n % 2 else {},
                        "size": len(body),
                        "receivedAt": from_milliseconds(1_600_000_000_000 + n * 1000 + rng.randrange(10**7)),
                        "messageId": [f"{n}@example.com"],
                        "inReplyTo": None,
                        "references": None,
                        "sender": None,
                        "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
                        "to": [{"name": "Jane Doe", "email": "jane@example.com"}],
                        "cc": None,
                        "bcc": None,
                        "replyTo": None,
                        "sentAt": "2020-01-01T00:00:00Z",
                        "subject": body[:40],
                        "preview": body[:200],
                        "hasAttachment": False,
                        "bodyStructure": {"partId": "1", "type": "text/plain", "size": len(body)},
                    },
                    {
                        "from": "Joe Bloggs joe@example.com",
                        "to": "jane@example.com",
                        "subject": body[:40],
                        "body": body,
                    },
                )


def writers(store: SqliteStore, account: str, ids: list[str], members: int, threads: int = 8) -> tuple[float, float]:
    """Transactions a second of many threads, each flipping a flag, and the microseconds of CPU of one; ``members`` of them may
    share a commit."""
    grouping.MEMBERS = members
    done = [0] * threads
    end = time.monotonic() + 1.5

    def work(number: int) -> None:
        while time.monotonic() < end:
            value: dict[str, bool] = {"$seen": True} if done[number] // len(ids) % 2 else {}
            with store.write(account) as txn:
                txn.update("Message", ids[(done[number] * threads + number) % len(ids)], {"keywords": value})
            done[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    cpu, wall = time.process_time(), time.monotonic()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(done) / (time.monotonic() - wall), (time.process_time() - cpu) / sum(done) * 1e6


def main() -> None:
    """Prints the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(3, 9))) for _ in range(20_000)]
    words += words[:50] * 60
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), [Message()])
        store.create_account("small")
        store.create_account("large")
        fill(store, "small", 2000, 0, words)
        began, wall = time.thread_time(), time.monotonic()
        fill(store, "large", count, 0, words)
        spent = (time.thread_time() - began) / count * 1e6
        print(f"create, batches of 100: {spent:.0f} us CPU each, {count / (time.monotonic() - wall):.0f} a second")
        query = Query(HasMember("mailboxIds", "inbox"), limit=50)
        text = words[-1]

        def reading(account: str, what: Callable[..., object]) -> float:
            def work() -> None:
                with store.read(account) as reader:
                    what(reader)

            return cpu(work, 200)

        empty = reading("large", lambda r: None)
        with store.read("large") as reader:
            ids = reader.query("Message", query).ids
            state = reader.state("Message")
        rows: list[tuple[str, float]] = [
            ("a snapshot, nothing read", empty),
            ("get_json of 50, list view", reading("large", lambda r: r.get_json("Message", ids, LIST))),
            ("get_json of 1, list view", reading("large", lambda r: r.get_json("Message", ids[:1], LIST))),
            ("changes, nothing new", reading("large", lambda r: r.changes("Message", state, 500))),
            ("query newest 50 of the inbox", reading("large", lambda r: r.query("Message", query))),
            (
                "the same with a total",
                reading("large", lambda r: r.query("Message", Query(query.condition, limit=50, total=True))),
            ),
            (
                "the same, collapsed, total",
                reading(
                    "large", lambda r: r.query("Message", Query(query.condition, limit=50, collapse=True, total=True))
                ),
            ),
            (
                "the same, unread only",
                reading(
                    "large",
                    lambda r: r.query(
                        "Message", Query(And((query.condition, Not(HasMember("keywords", "$seen")))), limit=50)
                    ),
                ),
            ),
            (
                "at the end of the inbox",
                reading("large", lambda r: r.query("Message", Query(query.condition, limit=50, position=count - 50))),
            ),
            ("a common word", reading("large", lambda r: r.query("Message", Query(Matches((), text), limit=50)))),
            (
                "a common word in the inbox",
                reading(
                    "large", lambda r: r.query("Message", Query(And((query.condition, Matches((), text))), limit=50))
                ),
            ),
            ("a rare word", reading("large", lambda r: r.query("Message", Query(Matches((), "marker77"), limit=50)))),
        ]
        for label, spent in rows:
            print(f"{label:32} {spent:8.1f} us   x{spent / empty:.1f} of an empty snapshot")

        def opened(account: str) -> float:
            def work() -> None:
                with store.read(account) as reader:
                    found = reader.query("Message", Query(query.condition, limit=50, total=True)).ids
                    reader.get_json("Message", found, LIST)

            return cpu(work, 200)

        small, large = opened("small"), opened("large")
        print(f"open the inbox: {small:.0f} us of 2,000, {large:.0f} us of {count}: ratio {large / small:.2f}")
        flags = [{"keywords": {"$seen": True}}, {"keywords": {}}]
        turn = iter(range(10**9))

        def flag() -> None:
            with store.write("large") as txn:
                txn.update("Message", ids[0], flags[next(turn) % 2])

        def flag_fifty() -> None:
            with store.write("large") as txn:
                value = flags[next(turn) % 2]
                for id in ids:
                    txn.update("Message", id, value)

        print(f"one flag, one transaction        {cpu(flag, 100):8.1f} us CPU")
        print(f"50 flags, one transaction        {cpu(flag_fifty, 20) / 50:8.1f} us CPU each")

        def flag_fifty_at_once() -> None:
            with store.write("large") as txn:
                txn.update_many("Message", dict.fromkeys(ids, flags[next(turn) % 2]))

        print(f"50 flags, update_many            {cpu(flag_fifty_at_once, 20) / 50:8.1f} us CPU each")
        alone, shared = ([writers(store, "large", ids, members) for _ in range(3)] for members in (1, 64))
        rates = [max(rate for rate, _ in found) for found in (alone, shared)]
        spent = [min(spent for _, spent in found) for found in (alone, shared)]
        print(f"8 threads, a commit each         {rates[0]:8.0f} a second, {spent[0]:.0f} us CPU each")
        print(
            f"8 threads, commits shared        {rates[1]:8.0f} a second, {spent[1]:.0f} us CPU each: "
            f"x{rates[1] / rates[0]:.1f} as many, x{spent[1] / spent[0]:.2f} of the CPU"
        )
        store.close()


if __name__ == "__main__":
    main()
