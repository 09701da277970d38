"""Random records and random queries: SQLite answers as the store that walks every record does."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from notes import Label, Note

from flaskmail.jmap.conditions import (
    And,
    Compare,
    Condition,
    Contains,
    HasMember,
    HasOtherMember,
    InGroup,
    Matches,
    Not,
    Or,
    Query,
    Scan,
    Sort,
    SortBy,
    SortByMember,
)
from flaskmail.jmap.storage import Store, Txn
from flaskmail.store.memory import MemoryStore
from flaskmail.store.sqlite import SqliteStore, querying
from flaskmail.values.dates import to_milliseconds

WORDS = ["red", "Red", "réd", "round", "apple", "zebra", "Äpfel", "10", "9", "a-b", "straße", "100%", "_"]
MEMBERS = ["x", "y", "z"]
DATES = [f"2024-01-{day:02d}T00:00:{second:02d}Z" for day in (1, 2, 3) for second in (0, 1)] + [
    "1969-12-31T23:59:59.5Z"
]
PROPS = ["title", "body", "categories", "topic", "code", "priority", "done", "createdAt", "views"]


def record(rng: random.Random, id: str) -> dict[str, Any]:
    return {
        "id": id,
        "title": " ".join(rng.choices(WORDS, k=rng.randrange(4))),
        "body": " ".join(rng.choices(WORDS, k=rng.randrange(8))),
        "categories": {member: True for member in MEMBERS if rng.random() < 0.4},
        "topic": rng.choice(["t1", "t2", "t3", "t4", None]),
        "code": rng.choice(["", "a", "b"]),
        "priority": rng.choice([None, -1, 0, 2, 3]),
        "done": rng.random() < 0.5,
        "createdAt": rng.choice(DATES),
        "views": rng.randrange(3),
        "attachment": None,
        "secret": "hidden",
    }


def condition(rng: random.Random, depth: int = 0) -> Condition:
    kind = rng.randrange(12 if depth < 3 else 9)
    if kind >= 9:
        operands = tuple(condition(rng, depth + 1) for _ in range(rng.randrange(4)))
        return [And(operands), Or(operands), Not(condition(rng, depth + 1))][kind - 9]
    member = HasMember("categories", rng.choice([*MEMBERS, "none"]))
    leaves: list[Condition] = [
        Compare("priority", rng.choice(["=", "!=", "<", "<=", ">", ">="]), rng.choice([None, -1, 0, 2])),
        Compare("createdAt", rng.choice(["=", "!=", "<", "<=", ">", ">="]), to_milliseconds(rng.choice(DATES))),
        Compare("title", rng.choice(["=", "!=", "<", ">="]), rng.choice(WORDS)),
        Contains("title", rng.choice(["e", "RED", "%", "ä", ""])),
        member,
        HasOtherMember("categories", frozenset(rng.sample(MEMBERS, rng.randrange(3)))),
        InGroup(rng.choice(["some", "all"]), member),
        Matches(
            rng.choice([(), ("title",), ("body",)]), rng.choice([*WORDS, "red round", '"red round"', "r*", "!", ""])
        ),
        Scan("longTitle", (rng.randrange(12),)),
    ]
    return leaves[kind]


def sort(rng: random.Random) -> tuple[Sort, ...]:
    choices: list[Sort] = []
    for _ in range(rng.choice([0, 1, 1, 2])):
        up = rng.random() < 0.5
        choices.append(
            rng.choice(
                [
                    SortBy("createdAt", up),
                    SortBy("priority", up),
                    SortBy("done", up),
                    SortBy("title", up, rng.choice([None, "i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"])),
                    SortByMember("categories", rng.choice(MEMBERS), rng.choice([None, "some", "all"]), up),
                ]
            )
        )
    return tuple(choices)


def both(stores: list[Store], seed: int, steps: int) -> None:
    """The same random changes to every store."""
    for store in stores:
        rng, ids = random.Random(seed), list[str]()
        count = 0
        while count < steps:
            with store.write("a1") as txn:
                for _ in range(rng.randrange(1, 6)):
                    count += 1
                    change(rng, txn, ids, count)


def change(rng: random.Random, txn: Txn, ids: list[str], count: int) -> None:
    what = rng.random()
    if what < 0.6 or not ids:
        made = record(rng, f"n{count}")
        txn.create("Note", made, {"title": made["title"], "body": made["body"]})
        ids.append(made["id"])
    elif what < 0.75:
        txn.destroy("Note", ids.pop(rng.randrange(len(ids))))
    elif what < 0.9:
        fresh = record(rng, "")
        txn.update(
            "Note", rng.choice(ids), {name: fresh[name] for name in rng.sample(["categories", "priority", "done"], 2)}
        )
    elif what < 0.95:
        txn.update("Note", rng.choice(ids), {"views": count})
    else:
        txn.touch("Note", rng.choice(ids))


@pytest.mark.parametrize("seed", range(4))
def test_the_same_answers(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # So few records would hardly ever be looked for in the search index first.
    monkeypatch.setattr(querying, "FEW", 200 if seed % 2 else -1)
    oracle, store = MemoryStore([Note(), Label()]), SqliteStore(tmp_path / "data", [Note(), Label()])
    stores: list[Store] = [oracle, store]
    for each in stores:
        each.create_account("a1")
    both(stores, seed, 150)
    assert store.verify("a1") == []
    rng = random.Random(seed)
    with oracle.read("a1") as right, store.read("a1") as mine:
        ids = right.ids("Note")
        assert mine.ids("Note") == ids
        assert mine.get("Note", None, PROPS) == right.get("Note", None, PROPS)
        for member in MEMBERS:
            assert mine.members("Note", "categories", member) == right.members("Note", "categories", member)
            assert mine.count_members("Note", "categories", member) == right.count_members("Note", "categories", member)
        state = right.state("Note")
        assert mine.state("Note") == state
        for since in range(state + 1):
            for limit in (None, 1, 7):
                assert mine.changes("Note", since, limit) == right.changes("Note", since, limit), (since, limit)
            for group in (False, True):
                asked, answered = (each.touched("Note", since, None, group=group) for each in (right, mine))
                assert asked is not None
                assert answered is not None
                assert sorted(answered) == sorted(asked), (since, group)
        for _ in range(500):
            query = Query(
                condition(rng),
                sort(rng),
                collapse=rng.random() < 0.3,
                position=rng.choice([0, 0, 3, -4, 1000]),
                anchor=rng.choice([None, None, None, rng.choice(ids)]),
                anchor_offset=rng.choice([0, 2, -3]),
                limit=rng.choice([None, 0, 1, 10]),
                total=rng.random() < 0.5,
            )
            answers: list[object] = []
            for reader in (right, mine):
                try:
                    answers.append(reader.query("Note", query))
                except KeyError as missing:
                    answers.append(missing.args)
            assert answers[1] == answers[0], query
    store.close()
