"""Whatever happens between two looks, /changes and /queryChanges bring an old copy exactly to the present.

A state machine creates, changes and destroys notes at random and, now and then, writes down what a client has: every
record, and the results of some queries. From any such earlier moment the answers of the server, applied as RFC 8620
tells clients to, must rebuild the present records and lists.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from notes import Note
from stores import STORES

from flaskmail.errors import MethodError
from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.methods.changes import changes_method
from flaskmail.jmap.methods.get import wanted_properties
from flaskmail.jmap.methods.query import query_method
from flaskmail.jmap.methods.querychanges import query_changes_method
from flaskmail.jmap.methods.set import set_method
from flaskmail.jmap.storage import Record, Store

NOTE = Note()
STORED = wanted_properties(NOTE, [name for name, prop in NOTE.props.items() if not (prop.computed or prop.internal)])
SET, QUERY, QUERY_CHANGES, CHANGES = (
    make(NOTE) for make in (set_method, query_method, query_changes_method, changes_method)
)

FILTERS: list[Record | None] = [
    None,
    {"inCategory": "x"},
    {"notOnlyIn": ["x"]},
    {"minPriority": 2},
    {"priority": None},
    {"title": "a"},
    {"done": False},
    {"code": "k1"},
    {"before": "2024-01-03T00:00:00Z"},
    {"text": "red"},
    {"longTitle": 1},
    {"someOfTopicIn": "x"},
    {"allOfTopicIn": "x"},
    {"noneOfTopicIn": "y"},
    {"code": "k1", "after": "2024-01-02T00:00:00Z"},
    {"operator": "NOT", "conditions": [{"inCategory": "x"}, {"someOfTopicIn": "y"}]},
    {"operator": "OR", "conditions": [{"allOfTopicIn": "x"}, {"operator": "AND", "conditions": [{"done": True}]}]},
]
SORTS: list[list[Record] | None] = [
    None,
    [{"property": "createdAt"}],
    [{"property": "createdAt", "isAscending": False}],
    [{"property": "title"}],
    [{"property": "code", "isAscending": False}],
    [{"property": "priority", "isAscending": False}, {"property": "title", "isAscending": True}],
    [{"property": "inCategory", "category": "x"}],
    [{"property": "someOfTopicIn", "category": "y", "isAscending": False}, {"property": "createdAt"}],
    [{"property": "allOfTopicIn", "category": "x"}, {"property": "priority"}],
]
VARIANTS: list[Record] = [
    {"filter": filter, "sort": sort, "collapseTopics": collapse}
    for filter, sort, collapse in itertools.product(FILTERS, SORTS, [False, True])
]
ALWAYS: list[Record] = [
    {"filter": {"done": False}},
    {"sort": [{"property": "createdAt"}], "filter": {"after": "2024-01-02T00:00:00Z"}},
    {"sort": [{"property": "title"}]},
    {"filter": {"code": "k1"}, "sort": [{"property": "priority", "isAscending": False}]},
    {"filter": {"inCategory": "x"}, "collapseTopics": True},
]
STRIDE = 11
"""Every so manieth variant is looked at together; it shares no factor with the numbers of filters and sorts."""


@dataclass
class Look:
    """What a client got at some moment: the result of a query and its state."""

    variant: Record
    state: str
    ids: list[str]


@dataclass
class Copy:
    """A client's copy of all records, at a state that may lie in the middle of a cut /changes."""

    state: str
    records: dict[str, Record]


@dataclass
class Seen:
    """Everything that was written down so far."""

    looks: list[Look] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)


def spliced(ids: list[str | None], removed: list[str], added: list[Record], total: int) -> list[str | None]:
    """RFC 8620 section 5.6: splice out, splice in by rising index, then truncate or extend."""
    gone = set(removed)
    out = [id for id in ids if id not in gone]
    for item in added:
        out.extend([None] * (item["index"] - len(out)))
        out.insert(item["index"], item["id"])
    return out[:total] + [None] * (total - len(out))


topics = st.sampled_from(["t1", "t2", "t3"])
categories = st.sets(st.sampled_from(["x", "y", "z"])).map(lambda names: dict.fromkeys(sorted(names), True))
titles = st.sampled_from(["", "a", "B", "red", "Ä", "ba"])
priorities = st.sampled_from([None, 0, 1, 2, 3])
creates = st.fixed_dictionaries(
    {
        "title": titles,
        "body": st.sampled_from(["", "red house", "blue"]),
        "categories": categories,
        "topic": topics,
        "code": st.sampled_from(["k1", "k2", "K1"]),
        "priority": priorities,
        "createdAt": st.integers(1, 4).map(lambda day: f"2024-01-0{day}T00:00:00Z"),
    }
)
patches = st.one_of(
    st.fixed_dictionaries({"title": titles}),
    st.fixed_dictionaries({"categories": categories}),
    st.fixed_dictionaries({"priority": priorities}),
    st.fixed_dictionaries({"done": st.booleans()}),
    st.fixed_dictionaries({"categories/x": st.sampled_from([True, None])}),
    st.fixed_dictionaries({"title": titles, "priority": priorities, "categories/y": st.sampled_from([True, None])}),
)
chosen = st.integers(0, 10**6)


class SyncMachine(RuleBasedStateMachine):
    """Random writes, and looks at the past that must lead to the present."""

    store: ClassVar[Store]
    accounts: ClassVar[Iterator[int]] = itertools.count()

    @initialize(new=st.lists(creates, min_size=3, max_size=6))
    def start(self, new: list[Record]) -> None:
        self.account = f"m{next(self.accounts)}"
        self.store.create_account(self.account)
        access = AccountAccess(self.account, self.account)
        self.ctx = Context(self.store, {"Note": NOTE}, Limits(), {self.account: access}, "tester", access)
        self.live: list[str] = []
        self.seen = Seen()
        self.create(new)
        self.look(0)

    def teardown(self) -> None:
        if hasattr(self, "seen"):
            for look in self.seen.looks:
                self.check_look(look)
            self.store.delete_account(self.account)

    # ---- writes

    def call(self, method: Any, **arguments: Any) -> Record:
        answer: Record = method.call(self.ctx, {"accountId": self.account, **arguments})
        return answer

    def pick(self, number: int) -> str | None:
        return self.live[number % len(self.live)] if self.live else None

    @rule(new=st.lists(creates, min_size=1, max_size=4))
    def create(self, new: list[Record]) -> None:
        made = self.call(SET, create={f"k{n}": record for n, record in enumerate(new)})["created"]
        assert len(made) == len(new)
        self.live.extend(record["id"] for record in made.values())

    @rule(number=chosen, patch=patches)
    def update(self, number: int, patch: Record) -> None:
        if (id := self.pick(number)) is not None:
            assert id in self.call(SET, update={id: patch})["updated"]

    @rule(number=chosen)
    def destroy(self, number: int) -> None:
        if (id := self.pick(number)) is not None:
            assert self.call(SET, destroy=[id])["destroyed"] == [id]
            self.live.remove(id)

    @rule(new=creates, one=chosen, patch=patches, other=chosen)
    def all_at_once(self, new: Record, one: int, patch: Record, other: int) -> None:
        changed, gone = self.pick(one), self.pick(other)
        arguments: Record = {"create": {"k": new}}
        if changed is not None and changed != gone:
            arguments["update"] = {changed: patch}
        if gone is not None:
            arguments["destroy"] = [gone]
            self.live.remove(gone)
        answer = self.call(SET, **arguments)
        self.live.append(answer["created"]["k"]["id"])

    @rule(new=creates, patch=patches)
    def come_and_go(self, new: Record, patch: Record) -> None:
        id = self.call(SET, create={"k": new})["created"]["k"]["id"]
        self.call(SET, update={id: patch})
        self.call(SET, destroy=[id])

    @rule(number=chosen, views=st.integers(1, 5))
    def count_a_view(self, number: int, views: int) -> None:
        if (id := self.pick(number)) is not None:
            with self.store.write(self.account) as txn:
                txn.update("Note", id, {"views": views})

    @rule(number=chosen)
    def touch(self, number: int) -> None:
        if (id := self.pick(number)) is not None:
            with self.store.write(self.account) as txn:
                txn.touch("Note", id)

    @rule(new=creates)
    def change_one_s_mind(self, new: Record) -> None:
        try:
            with self.store.write(self.account) as txn:
                txn.create("Note", {**new, "id": txn.new_id("Note"), "done": False, "views": 0}, {})
                raise InterruptedError
        except InterruptedError:
            pass

    # ---- looks

    def records(self) -> dict[str, Record]:
        with self.store.read(self.account) as reader:
            return {record["id"]: record for record in reader.get("Note", None, STORED)}

    @rule(first=st.integers(0, STRIDE - 1))
    def look(self, first: int) -> None:
        for variant in ALWAYS + VARIANTS[first::STRIDE]:
            answer = self.call(QUERY, **variant)
            assert answer["canCalculateChanges"]
            self.seen.looks.append(Look(variant, answer["queryState"], answer["ids"]))
        self.seen.copies.append(Copy(self.seen.looks[-1].state, self.records()))

    # ---- from the past to the present

    @rule(number=chosen, most=st.sampled_from([None, 1, 2, 5]), new=st.booleans())
    def sync(self, number: int, most: int | None, new: bool) -> None:
        """One page of /changes for one client; the next page may come after further writes."""
        if new or not self.seen.copies:
            self.seen.copies.append(Copy("0", {}))
        copy = self.seen.copies[number % len(self.seen.copies)]
        answer = self.call(CHANGES, sinceState=copy.state, maxChanges=most)
        told = [*answer["created"], *answer["updated"], *answer["destroyed"]]
        assert len(told) == len(set(told))
        assert most is None or len(told) <= most
        assert answer["oldState"] == copy.state
        now = self.records()
        for id in answer["created"]:
            assert id not in copy.records
            # What was created may be gone again by now, if a later page is to tell that.
            assert id in now
            copy.records[id] = now[id]
        for id in answer["updated"]:
            assert id in copy.records
            copy.records[id] = now[id]
        for id in answer["destroyed"]:
            copy.records.pop(id, None)
        if answer["updatedProperties"] is not None:
            assert answer["updatedProperties"] == ["views"]
            assert answer["updated"]
        copy.state = answer["newState"]
        if answer["hasMoreChanges"]:
            assert int(answer["newState"]) > int(answer["oldState"])
        else:
            assert copy.records == now

    @rule(number=chosen)
    def refresh(self, number: int) -> None:
        for look in self.seen.looks[number % STRIDE :: STRIDE]:
            self.check_look(look)

    @invariant()
    def the_store_is_whole(self) -> None:
        if hasattr(self, "live"):
            with self.store.read(self.account) as reader:
                assert set(reader.ids("Note")) == set(self.live)
                for name in "xyz":
                    assert reader.count_members("Note", "categories", name) == len(
                        reader.members("Note", "categories", name)
                    )

    def check_look(self, look: Look) -> None:
        present = self.call(QUERY, **look.variant)["ids"]
        answer = self.call(QUERY_CHANGES, **look.variant, sinceQueryState=look.state, calculateTotal=True)
        removed, added = answer["removed"], answer["added"]
        assert answer["total"] == len(present)
        assert len(removed) == len(set(removed))
        assert [item["index"] for item in added] == sorted({item["index"] for item in added})
        assert spliced(list(look.ids), removed, added, len(present)) == present
        self.check_most(look, answer)
        if look.ids:
            self.check_up_to(look, present)

    def check_most(self, look: Look, answer: Record) -> None:
        """As many changes as allowed are answered, one more is an error."""
        count = len(answer["removed"]) + len(answer["added"])
        arguments = {**look.variant, "sinceQueryState": look.state}
        enough = self.call(QUERY_CHANGES, **arguments, maxChanges=count)
        assert (enough["removed"], enough["added"]) == (answer["removed"], answer["added"])
        if count:
            with pytest.raises(MethodError) as caught:
                self.call(QUERY_CHANGES, **arguments, maxChanges=count - 1)
            assert caught.value.type == "tooManyChanges"

    def check_up_to(self, look: Look, present: list[str]) -> None:
        """A client that knows only the beginning gets that right, whatever is left out behind it."""
        known = (len(look.ids) + 1) // 2
        up_to = look.ids[known - 1]
        answer = self.call(QUERY_CHANGES, **look.variant, sinceQueryState=look.state, upToId=up_to, calculateTotal=True)
        cached: list[str | None] = [*look.ids[:known], *[None] * (len(look.ids) - known)]
        got = spliced(cached, answer["removed"], answer["added"], answer["total"])
        sure = list(itertools.takewhile(lambda id: id is not None, got))
        assert sure == present[: len(sure)]
        # Unless the last known one itself moved, only known and added ones stand before it.
        if up_to in present and up_to not in answer["removed"]:
            assert len(sure) > present.index(up_to)


@pytest.fixture(params=list(STORES))
def machine(request: pytest.FixtureRequest) -> Iterator[type[SyncMachine]]:
    folder = Path(tempfile.mkdtemp(prefix="flaskmail-model-"))
    store = STORES[request.param](folder)

    class Machine(SyncMachine):
        pass

    Machine.store = store
    yield Machine
    store.close()
    shutil.rmtree(folder)


def profile(examples: int, steps: int) -> settings:
    """That many runs of that many steps; nothing depends on the clock or on earlier runs."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        # Shrinking a failure would take minutes; the falsifying steps are short enough to read.
        phases=[Phase.generate],
    )


def test_any_past_leads_to_the_present(machine: type[SyncMachine]) -> None:
    run_state_machine_as_test(machine, settings=profile(40, 40))


@pytest.mark.long
def test_any_past_leads_to_the_present_over_ten_thousand_steps(machine: type[SyncMachine]) -> None:
    run_state_machine_as_test(machine, settings=profile(100, 100))
