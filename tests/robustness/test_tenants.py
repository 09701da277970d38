"""What belongs to somebody else is as if it were not: no answer, no count, no id, no time tells that it is there."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flaskmail.jmap.storage import Json
from flaskmail.server import Server
from flaskmail.values.ids import random_id

from .conftest import MESSAGES, Tenant


@dataclass(frozen=True)
class Case:
    """A call that takes an id. call: the id under attack -> arguments (``accountId`` is added); kind: of what the id is."""

    method: str
    where: str
    kind: str
    call: Callable[[str], dict[str, Json]]


def cases(server: Server, own: Mapping[str, Any]) -> Iterator[Case]:
    """Every method with every argument, or place in an argument, that may hold an id. own: the attacker's ids by type."""
    for name, kind in server.types.items():
        created = {"Mailbox": {"name": "x"}, "Note": {"title": "x"}, "Label": {"name": "x"}}.get(name, {})
        if "get" in kind.methods:
            yield Case(f"{name}/get", "ids", name, lambda id: {"ids": [id]})
            yield Case(f"{name}/get", "ids beside an own one", name, lambda id, name=name: {"ids": [own[name][0], id]})
        if "set" in kind.methods:
            changes: dict[str, Json] = {"Mailbox": {"name": "y"}, "Note": {"title": "y"}, "Label": {"name": "y"}}.get(
                name, {"keywords/$seen": True}
            )
            yield Case(f"{name}/set", "update", name, lambda id, c=changes: {"update": {id: c}})
            yield Case(f"{name}/set", "destroy", name, lambda id: {"destroy": [id]})
            for prop, declared in kind.props.items():
                if (declared.xref is None and declared.blob_ref is None) or declared.server_set:
                    continue
                holder = declared.xref or "blob"
                values = (lambda id: {id: True}) if declared.members else (lambda id: id)
                yield Case(
                    f"{name}/set", f"create {prop}", holder,
                    lambda id, c=created, p=prop, v=values: {"create": {"k": {**c, p: v(id)}}},
                )  # fmt: skip
                yield Case(
                    f"{name}/set", f"update {prop}", holder,
                    lambda id, p=prop, v=values, n=name: {"update": {own[n][0]: {p: v(id)}}},
                )  # fmt: skip
                if declared.members:
                    yield Case(
                        f"{name}/set", f"update {prop}/x", holder,
                        lambda id, p=prop, n=name: {"update": {own[n][0]: {f"{p}/{id}": True}}},
                    )  # fmt: skip
        if "copy" in kind.methods:
            more: dict[str, Json] = {"mailboxIds": {own["Mailbox"][0]: True}} if name == "Email" else {}
            yield Case(
                f"{name}/copy", "create id", name,
                lambda id, m=more: {"fromAccountId": own["second"], "create": {"k": {"id": id, **m}}},
            )  # fmt: skip
        if "query" in kind.methods:
            yield Case(f"{name}/query", "anchor", name, lambda id: {"anchor": id})
        if "queryChanges" in kind.methods:
            yield Case(f"{name}/queryChanges", "upToId", name, lambda id: {"sinceQueryState": "0", "upToId": id})
    for filter in ("inMailbox", "inMailboxOtherThan"):
        value = (lambda id: [id]) if filter == "inMailboxOtherThan" else (lambda id: id)
        for method in ("Email/query", "Email/queryChanges", "SearchSnippet/get"):
            more = {"Email/query": {"calculateTotal": True}, "Email/queryChanges": {"sinceQueryState": "0"}}.get(
                method, {"emailIds": own["Email"]}
            )  # fmt: skip
            yield Case(method, filter, "Mailbox", lambda id, f=filter, v=value, m=more: {"filter": {f: v(id)}, **m})
    yield Case("Mailbox/query", "parentId", "Mailbox", lambda id: {"filter": {"parentId": id}})
    yield Case("SearchSnippet/get", "emailIds", "Email", lambda id: {"filter": {"text": "lunch"}, "emailIds": [id]})
    yield Case("Blob/copy", "blobIds", "blob", lambda id: {"fromAccountId": own["second"], "blobIds": [id]})
    boxes = {own["Mailbox"][0]: True}
    yield Case("Email/import", "blobId", "blob", lambda id: {"emails": {"k": {"blobId": id, "mailboxIds": boxes}}})
    yield Case(
        "Email/import", "mailboxIds", "Mailbox",
        lambda id: {"emails": {"k": {"blobId": own["blob"][0], "mailboxIds": {id: True}}}},
    )  # fmt: skip
    yield Case("Email/parse", "blobIds", "blob", lambda id: {"blobIds": [id]})
    yield Case(
        "Email/set", "create attachments", "blob",
        lambda id: {"create": {"k": {"mailboxIds": boxes, "attachments": [{"blobId": id, "type": "text/plain"}]}}},
    )  # fmt: skip
    yield Case(
        "Email/set", "create bodyStructure", "blob",
        lambda id: {"create": {"k": {"mailboxIds": boxes, "bodyStructure": {"blobId": id, "type": "image/png"}}}},
    )  # fmt: skip


class Attack:
    """Eve, who knows every id of Ann's, and what she is answered."""

    def __init__(self, ann: Tenant, eve: Tenant) -> None:
        self.ann, self.eve = ann, eve
        self.own = {**eve.ids, "second": eve.accounts[1]}

    def ask(self, case: Case, id: str, **more: Json) -> str:
        """The answer, as text in which the id that was asked for, and what any answer makes anew, stand as tokens."""
        arguments = {"accountId": self.eve.accounts[0], **case.call(id), **more}
        responses = self.eve.send([[case.method, arguments, "c"]])
        told = json.dumps(responses, sort_keys=True)
        return re.sub(
            r'"(newState|oldState|state|newQueryState|oldQueryState|queryState)": "\d+"',
            r'"\1": "N"',
            told.replace(id, "THE-ID"),
        )


def foreign(ann: Tenant, kind: str) -> list[str]:
    """Ids of Ann's: of the kind, and of others."""
    others = [ids[0] for other, ids in ann.ids.items() if other != kind]
    return [*ann.ids[kind], *others]


def test_ids_of_others_are_as_if_they_were_not(server: Server, fresh: Callable[..., Tenant]) -> None:
    ann, eve = fresh(), fresh()
    attack = Attack(ann, eve)
    before = ann.states()
    asked = 0
    for case in cases(server, attack.own):
        prefix = "g" if case.kind == "blob" else server.types[case.kind].id_prefix
        never = random_id(prefix)
        expected = attack.ask(case, never)
        assert "serverFail" not in expected, case
        for id in foreign(ann, case.kind):
            assert attack.ask(case, id) == expected, (case.method, case.where, id)
            asked += 1
        # A part of a message that is not there is no part of one that is another's.
        if case.kind == "blob":
            assert attack.ask(case, f"{ann.ids['blob'][1]}-1") == attack.ask(case, f"{never}-1")
            asked += 1
    assert asked >= 500
    assert ann.states() == before


def test_the_attack_would_be_seen(server: Server, fresh: Callable[..., Tenant]) -> None:
    """The same calls with an id that the account has are answered otherwise: no case is blind."""
    for number in range(sum(1 for _ in cases(server, {**fresh().ids, "second": ""}))):
        eve = fresh()
        attack = Attack(eve, eve)
        case = next(itertools.islice(cases(server, attack.own), number, None))
        if (case.method, case.kind) == ("SearchSnippet/get", "Mailbox"):
            # RFC 8621 section 5.1: nobody looks whether the Emails match.
            continue
        # What is copied must be in the account that it is copied from.
        copies = "fromAccountId" in case.call("x")
        more = {"fromAccountId": eve.accounts[0], "accountId": eve.accounts[1]} if copies else {}
        expected = attack.ask(case, random_id("x"), **more)
        assert any(attack.ask(case, id, **more) != expected for id in eve.ids[case.kind]), (case.method, case.where)


def test_accounts_of_others_are_as_if_they_were_not(server: Server, fresh: Callable[..., Tenant]) -> None:
    ann, eve = fresh(), fresh()
    attack = Attack(ann, eve)
    before = ann.states()
    asked = 0
    never = "a" + random_id("x")
    for case in cases(server, attack.own):
        own_id = ann.ids[case.kind][0]
        # Even with the right ids of that account.
        expected = attack.ask(case, own_id, accountId=never)
        assert '"accountNotFound"' in expected
        assert attack.ask(case, own_id, accountId=ann.accounts[0]) == expected, case
        asked += 1
        if "fromAccountId" in case.call("x"):
            expected = attack.ask(case, own_id, fromAccountId=never)
            assert '"fromAccountNotFound"' in expected
            assert attack.ask(case, own_id, fromAccountId=ann.accounts[0]) == expected, case
            asked += 1
    assert asked >= 50
    assert ann.states() == before


def test_what_was_destroyed_is_as_if_it_had_not_been(server: Server, fresh: Callable[..., Tenant]) -> None:
    eve = fresh()
    attack = Attack(eve, eve)
    gone = {"Mailbox": eve.ids["Mailbox"][-1], "Note": eve.ids["Note"][-1]}
    doomed = eve.call("Email/set", create={"k": {"mailboxIds": {eve.ids["Mailbox"][1]: True}}})["created"]["k"]["id"]
    eve.call("Email/set", destroy=[doomed])
    gone["Email"] = doomed
    asked = 0
    for case in cases(server, attack.own):
        if case.kind not in gone or "Changes" in case.method:
            continue
        expected = attack.ask(case, random_id(server.types[case.kind].id_prefix))
        assert attack.ask(case, gone[case.kind]) == expected, (case.method, case.where)
        asked += 1
    assert asked >= 25


def test_knowing_the_octets_gives_nothing(server: Server, fresh: Callable[..., Tenant]) -> None:
    """The same octets have another id in each account, and who uploads them learns nothing and takes nothing over."""
    ann, eve = fresh(), fresh(filled=False)
    for raw, theirs in zip(MESSAGES, ann.ids["blob"], strict=False):
        with server.store.read(ann.accounts[0]) as reader:
            assert reader.blob(theirs) is not None
        used = _used(server, eve)
        mine = server.store.put_blob(eve.accounts[0], raw, len(raw))
        assert mine != theirs
        # It counts in full, whether somebody has it already or not.
        assert _used(server, eve) - used == len(raw)
        with server.store.read(eve.accounts[0]) as reader:
            assert reader.blob(theirs) is None
        again = server.store.put_blob(eve.accounts[1], raw, len(raw))
        assert again not in (mine, theirs)
    large = b"\0" * 300_000
    ids = {server.store.put_blob(account, large, len(large)) for account in (*ann.accounts, *eve.accounts)}
    assert len(ids) == 4


def _used(server: Server, tenant: Tenant) -> int:
    with server.store.read(tenant.accounts[0]) as reader:
        return reader.used()


def _everything(tenant: Tenant) -> str:
    """What a user can read of everything, with ids as numbers in the order of their coming."""
    calls: list[list[Json]] = []
    for name, kind in tenant.server.types.items():
        arguments = {"accountId": tenant.accounts[0]}
        calls.append([f"{name}/changes", {**arguments, "sinceState": "0"}, "c"])
        calls.append([f"{name}/get", {**arguments, "ids": None}, "c"])
        if "query" in kind.methods:
            for sort in kind.sorts:
                terms = [{"property": sort, **_further(kind, sort)}]
                calls.append([f"{name}/query", {**arguments, "calculateTotal": True, "sort": terms}, "c"])
            calls.append([f"{name}/queryChanges", {**arguments, "sinceQueryState": "0", "calculateTotal": True}, "c"])
    text = json.dumps(tenant.send(calls))
    assert '"error"' not in text
    seen: dict[str, str] = {}
    # Ids are random and the moment of import is now; everything else has to be the same.
    text = re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "NOW", text)
    return re.sub(r"\b[a-z][a-z2-7]{24,32}\b|\bacc\d+\b", lambda m: seen.setdefault(m[0], f"#{len(seen)}"), text)


def _further(kind: Any, sort: str) -> dict[str, str]:
    return {name: "$seen" if name == "keyword" else "c" for name in kind.sorts[sort].arguments}


def test_nothing_tells_that_others_are_there(server: Server, fresh: Callable[..., Tenant]) -> None:
    alone = fresh()
    expected = _everything(alone)
    crowd = [fresh() for _ in range(3)]
    among = fresh()
    for other in crowd:
        box = {other.ids["Mailbox"][0]: True}
        other.call("Email/import", emails={"e": {"blobId": other.ids["blob"][3], "mailboxIds": box}})
    assert _everything(among) == expected
    assert _everything(alone) == expected
