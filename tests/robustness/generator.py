"""Makes JMAP method calls, right and wrong ones, from what the data types declare.

Ids stand in them as tokens, which are Ids themselves ("T-Email-1"), so that a run can be repeated: ``resolved`` puts the ids of
an account in their place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.storage import Json
from flaskmail.server import Server
from flaskmail.values.checks import Check

TOKEN = re.compile(r"T-(Mailbox|Thread|Email|Note|Label|blob|account|state)-(\d)")

SHARP = [
    "", " ", "\0", "a\r\nB: c", "\u0085", "\u2028", "\U0001f600", "e\u0301", "é" * 50, "x" * 300, "'", "'; DROP TABLE meta; --",
    "%", "_%", "*", "a*", '"', '"a b', "'a b'", "NEAR(a, b)", "a OR", "-a", "subject:x", "(", "..",
    "../../etc/passwd", "a/b", "~0~1",
    "#", "#k0", "#nobody", "null", "__class__", "NaN", "\ufeff", "\uffff", "0", "00", "-1", "9" * 30, "i;octet",
    "i;ascii-numeric",
    "header:", "header:X", "header:Subject:asText", "header:From:asDate", "header:Date:asDate:all", "header:X-Y:asURLs:all",
    "*/get",
    "1", "2", "id", "text/plain", "multipart/mixed", "message/rfc822", "$seen", "$draft", "$SEEN", "urn:x",
]  # fmt: skip
"""Texts on which something may break."""

NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    500,
    501,
    2**31,
    2**53 - 1,
    2**53,
    -(2**53),
    2**63,
    -(2**63) - 1,
    2**64,
    0.5,
    -0.0,
    1e308,
    -1e-308,
]
DATES = ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2024-06-30T23:59:60Z",
         "2024-01-01T10:00:00+02:00", "2024-01-01T00:00:00.5Z", "2024-13-01T00:00:00Z", "2024-01-01"]  # fmt: skip

tokens = st.builds(
    "T-{}-{}".format,
    st.sampled_from(["Mailbox", "Thread", "Email", "Note", "Label", "blob", "account", "state"]),
    st.integers(0, 9),
)
texts = st.sampled_from(SHARP) | tokens | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(DATES) | texts
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
"""Any JSON value, of few members."""


def _one(kind: str) -> st.SearchStrategy[str]:
    return st.builds(f"T-{kind}-{{}}".format, st.integers(0, 9))


_part = st.fixed_dictionaries(
    {},
    optional={
        "partId": st.sampled_from(["1", "2", "x", None]),
        "blobId": _one("blob"),
        "type": st.sampled_from(
            [
                "text/plain",
                "text/html",
                "multipart/mixed",
                "multipart/alternative",
                "image/png",
                "message/rfc822",
                "nonsense",
            ]
        ),
        "charset": st.sampled_from(["utf-8", "latin1", None, "x"]),
        "disposition": st.sampled_from(["inline", "attachment", None, "x\r\ny"]),
        "cid": st.sampled_from(["a@b", None, "<a>"]),
        "language": st.sampled_from([["en"], None, []]),
        "location": st.sampled_from(["http://x", None]),
        "name": st.sampled_from(["a.txt", "é", 'x"y', None]),
        "size": st.sampled_from([0, 5]),
        "headers": st.just([]),
        "header:X-A:asText": st.sampled_from(["v", "a\r\nB: c", None]),
        "header:Content-Type": st.just(" text/plain"),
    },
)
_structure = st.recursive(
    _part,
    lambda inner: st.builds(lambda part, below: {**part, "subParts": below}, _part, st.lists(inner, max_size=3)),
    max_leaves=4,
)
_address = st.fixed_dictionaries(
    {"email": st.sampled_from(["a@example.org", "not an address", "", "ü@ü.example", "a@b\r\nBcc: c@d"])},
    optional={"name": st.none() | texts},
)
likely = st.one_of(
    scalars,
    tokens,
    st.sampled_from(DATES),
    st.dictionaries(tokens, st.just(True), max_size=3),
    st.dictionaries(st.sampled_from(["$seen", "$Flagged", "junk", "", "a b", "x" * 256]), st.just(True), max_size=3),
    st.lists(tokens, max_size=4),
    st.lists(texts, max_size=3),
    st.lists(_address, max_size=3),
    st.lists(_part, max_size=2),
    _structure,
    st.dictionaries(
        st.sampled_from(["1", "2", "x"]),
        st.fixed_dictionaries(
            {"value": texts}, optional={"isTruncated": st.booleans(), "isEncodingProblem": st.booleans()}
        ),
        max_size=2,
    ),
)
"""Values such as properties and arguments of JMAP have."""


def fitting(check: Check, strict: bool = True) -> st.SearchStrategy[Json]:
    """Values that a check takes; unless ``strict`` often any other."""
    pool = [*SAMPLES, *SHARP, *DATES, *NUMBERS, True, False, None]
    right = [value for value in pool if check(value) is None]
    if strict and right:
        return st.sampled_from(right)
    return st.sampled_from(right) | likely | junk if right else likely | junk


SAMPLES: list[Json] = [
    *(f"T-{kind}-{n}" for kind in ("Mailbox", "Thread", "Email", "Note", "Label", "blob", "account") for n in (0, 1)),
    {"T-Mailbox-0": True}, {"T-Mailbox-1": True, "T-Mailbox-2": True}, {}, [], ["T-Mailbox-0"], ["T-Mailbox-0", "T-Mailbox-6"],
    {"$seen": True},
    {"$seen": True, "$flagged": True, "x": True},
    [{"email": "a@example.org", "name": "A"}], ["a@b"],
    ["Subject"], ["Subject", "lunch"], ["X-None", ""],
    {"partId": "1", "type": "text/plain"},
    [{"partId": "1", "type": "text/plain"}],
    [{"partId": "2", "type": "text/html"}], [{"blobId": "T-blob-0", "type": "image/png"}],
    {"1": {"value": "text"}, "2": {"value": "<p>"}},
    ["partId", "type", "size", "header:X-A"], "inbox", "trash", "sent", "scheduled",
]  # fmt: skip


def _ids(kind: str, strict: bool = True, *, most: int = 5) -> st.SearchStrategy[Json]:
    return st.lists(_one(kind) if strict else _one(kind) | tokens | texts, max_size=most)


def _some(of: Mapping[str, st.SearchStrategy[Json]]) -> st.SearchStrategy[dict[str, Json]]:
    return st.fixed_dictionaries({}, optional=dict(of))


class _Maker:
    """Strategies for one server. strict: arguments have the right form, so that what lies behind the checks is reached."""

    def __init__(self, server: Server, strict: bool) -> None:
        self.server, self.strict = server, strict

    def fitting(self, check: Check) -> st.SearchStrategy[Json]:
        return fitting(check, self.strict)

    def or_junk(self, right: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
        return right if self.strict else right | junk

    def declared(self, checks: Mapping[str, Check]) -> dict[str, st.SearchStrategy[Json]]:
        return {name: self.fitting(check) for name, check in checks.items()}

    def properties(self, kind: DataType) -> st.SearchStrategy[Json]:
        names = [*(n for n, p in kind.props.items() if not p.internal), "id", *(n for n in SHARP if kind.accepts(n))]
        return st.none() | st.lists(st.sampled_from(names if self.strict else [*names, *SHARP, "_head"]), max_size=6)

    def record(self, kind: DataType) -> st.SearchStrategy[dict[str, Json]]:
        """What a create sends."""
        if self.strict and kind.name == "Email":
            return _email
        own = {
            n: self.fitting(p.check) for n, p in kind.props.items() if not (p.server_set or p.internal or p.computed)
        }
        needed = {name: own.pop(name) for name in ("name", "title", "mailboxIds") if name in own}
        usual = st.fixed_dictionaries(needed, optional=own)
        if self.strict:
            return usual
        others = {name: junk for name in (*kind.props, "id", "nothing", "header:X-A:asText") if name not in own}
        return usual | st.builds(lambda a, b: {**a, **b}, usual, _some(others))

    def patch(self, kind: DataType) -> st.SearchStrategy[dict[str, Json]]:
        """What an update sends."""
        paths: dict[str, st.SearchStrategy[Json]] = {}
        for name, prop in kind.props.items():
            if not self.strict or not (prop.server_set or prop.internal or prop.computed or prop.immutable):
                paths[name] = self.fitting(prop.check)
            if prop.members:
                for member in ("T-Mailbox-1", "T-Mailbox-6", "$seen", "$Flagged", "a~1b"):
                    paths[f"{name}/{member}"] = st.sampled_from([True, None])
                if not self.strict:
                    for member in ("#k0", "#nobody", "", "x/y", "T-Mailbox-1"):
                        paths[f"{name}/{member}"] = st.sampled_from([True, None, False, 1])
        if not self.strict:
            for name in ("", "/", "id", "nothing", "name/0", "keywords", "parentId/x", "bodyStructure/subParts/0", "~"):
                paths[name] = paths.get(name, junk)
        pairs = st.sampled_from(sorted(paths)).flatmap(lambda path: st.tuples(st.just(path), paths[path]))
        return st.lists(pairs, min_size=1, max_size=3).map(dict)

    def filter(self, kind: DataType) -> st.SearchStrategy[Json]:
        """A filter; trees of all three operators."""
        pairs = [
            self.fitting(declared.check).map(lambda value, name=name: (name, value))
            for name, declared in kind.filters.items()
        ]
        leaf = st.lists(st.one_of(pairs), max_size=2).map(dict) if pairs else st.just({})
        operator = st.sampled_from(["AND", "OR", "NOT"] if self.strict else ["AND", "NOT", "XOR"])
        tree = st.recursive(
            leaf,
            lambda inner: st.builds(
                lambda o, c: {"operator": o, "conditions": c}, operator, st.lists(inner, max_size=3)
            ),
            max_leaves=5,
        )
        return self.or_junk(st.none() | tree)

    def sort(self, kind: DataType) -> st.SearchStrategy[Json]:
        """Comparators with everything that any of them takes."""
        further = {name: self.fitting(check) for term in kind.sorts.values() for name, check in term.arguments.items()}
        collation = st.sampled_from(
            ["i;ascii-casemap", "i;unicode-casemap", "i;ascii-numeric", *([] if self.strict else ["", "x"])]
        )
        names = [*kind.sorts] if self.strict else [*kind.sorts, "nothing", ""]
        comparator = st.builds(
            lambda name, rest, needed: {"property": name, **rest, **needed},
            st.sampled_from(names or ["nothing"]),
            _some({"isAscending": st.booleans(), "collation": collation}),
            st.fixed_dictionaries(further),
        )
        return self.or_junk(st.none() | st.lists(comparator, max_size=3))

    def standard(self, kind: DataType, method: str) -> dict[str, st.SearchStrategy[Json]]:
        """The arguments of a standard method (RFC 8620 section 5)."""
        small = st.sampled_from(
            [0, 1, 2, 5, 2**53 - 1] if self.strict else [0, 1, -1, -2, 2**53 - 1, 10**30, None, True]
        )
        position = st.sampled_from([0, 1, -1, -3, 100])
        state = self.or_junk(_one("state"))
        maybe_state = st.none() if self.strict else st.none() | state
        creates = st.dictionaries(
            st.sampled_from(["k0", "k1", "k2"] if self.strict else ["k0", "bad id", ""]), self.record(kind), max_size=3
        )
        query = {
            "filter": self.filter(kind),
            "sort": self.sort(kind),
            "calculateTotal": st.booleans(),
            **self.declared(kind.query_arguments),
        }
        updated = _one(kind.name) if self.strict else _one(kind.name) | st.sampled_from(["#k0", "#nobody", ""])
        copies = st.builds(lambda id, more: {**more, "id": id}, self.or_junk(_one(kind.name)), self.record(kind))
        if self.strict and kind.name == "Email":
            copies = st.builds(lambda id: {"id": id, "mailboxIds": {"T-Mailbox-0": True}}, _one("Email"))
        return {
            "get": {
                "ids": st.none() | _ids(kind.name, self.strict),
                "properties": self.properties(kind),
                **self.declared(kind.get_arguments),
            },
            "changes": {"sinceState": state, "maxChanges": small},
            "set": {
                "ifInState": maybe_state,
                "create": creates,
                "update": st.dictionaries(updated, self.patch(kind), max_size=3),
                "destroy": _ids(kind.name, self.strict, most=2),
                **self.declared(kind.set_arguments),
            },
            "copy": {
                "fromAccountId": self.or_junk(st.sampled_from(["T-account-0", "T-account-1"])),
                "create": st.dictionaries(st.sampled_from(["k0", "k1"]), copies, max_size=2),
                "onSuccessDestroyOriginal": st.booleans(),
                "ifInState": maybe_state,
                "ifFromInState": maybe_state,
                "destroyFromIfInState": maybe_state,
            },
            "query": {
                **query,
                "position": position,
                "limit": small,
                "anchor": st.none() | _one(kind.name),
                "anchorOffset": position,
            },
            "queryChanges": {
                **query,
                "sinceQueryState": state,
                "maxChanges": small,
                "upToId": st.none() | _one(kind.name),
            },
        }[method]

    def special(self, name: str) -> dict[str, st.SearchStrategy[Json]]:
        """The arguments of a method of its own."""
        email = self.server.types["Email"]
        metadata = {
            "keywords": self.fitting(email.props["keywords"].check),
            "receivedAt": self.fitting(email.props["receivedAt"].check),
        }
        if not self.strict:
            metadata["nothing"] = junk
        needed = {"blobId": self.or_junk(_one("blob")), "mailboxIds": self.or_junk(st.just({"T-Mailbox-0": True}))}
        return {
            "Core/echo": {"a": junk, "b": junk},
            "Blob/copy": {"fromAccountId": _one("account"), "blobIds": _ids("blob", self.strict)},
            "Email/import": {
                "emails": st.dictionaries(
                    st.sampled_from(["k0", "k1"]), st.fixed_dictionaries(needed, optional=metadata), max_size=2
                ),
                "ifInState": st.none(),
            },
            "Email/parse": {
                "blobIds": _ids("blob", self.strict),
                "properties": self.properties(email),
                **self.declared(email.get_arguments),
            },
            "SearchSnippet/get": {"filter": self.filter(email), "emailIds": _ids("Email", self.strict)},
        }[name]

    def calls(self) -> st.SearchStrategy[list[Json]]:
        """[name, arguments, call id] of any method."""
        return st.one_of([self.call(name) for name in self.server.engine.methods])

    def call(self, name: str) -> st.SearchStrategy[list[Json]]:
        """The same of one method."""
        kind, _, method = name.partition("/")
        types = self.server.types
        standard = kind in types and method in types[kind].methods
        known = dict(self.standard(types[kind], method) if standard else self.special(name))
        accounts = ["T-account-0"] * 4 + ["T-account-1"] + ([] if self.strict else ["nobodys", "", 1, None])
        needed = {argument: known.pop(argument) for argument in NEEDED if argument in known}
        if self.strict and method == "copy":
            accounts = ["T-account-1"] * 4 + ["T-account-0"]
            if "fromAccountId" in needed:
                needed["fromAccountId"] = st.sampled_from(accounts[::-1] + ["T-account-0"] * 3)
        needed["accountId"] = st.sampled_from(accounts)
        right = st.fixed_dictionaries(needed, optional=known)
        arguments = right
        if not self.strict:
            names = sorted([*known, *needed, "#ids", "nothing"])
            arguments = right | st.builds(
                lambda a, name, value: {**a, name: value}, right, st.sampled_from(names), junk
            )
        return st.tuples(st.just(name), arguments, st.sampled_from(["c0", "c1"])).map(list)


NEEDED = ("sinceState", "sinceQueryState", "fromAccountId", "create", "emails", "blobIds", "emailIds")

_values = {"1": {"value": "text"}, "2": {"value": "<p>html</p>"}}
_bodies = st.sampled_from(
    [
        {},
        {"textBody": [{"partId": "1", "type": "text/plain"}], "bodyValues": _values},
        {"htmlBody": [{"partId": "2", "type": "text/html"}], "bodyValues": _values},
        {"attachments": [{"blobId": "T-blob-0", "type": "image/png", "name": "é.png", "disposition": "attachment"}]},
        {
            "bodyStructure": {"type": "multipart/mixed", "subParts": [{"partId": "1"}, {"blobId": "T-blob-4"}]},
            "bodyValues": _values,
        },
    ]
)
_heads = st.fixed_dictionaries(
    {},
    optional={
        "subject": texts,
        "from": st.lists(_address, max_size=2),
        "messageId": st.sampled_from([["a@b"], ["x y"], [], None]),
        "inReplyTo": st.sampled_from([["1@example.org"], None]),
        "sentAt": st.sampled_from(DATES),
        "header:X-A:asText": texts,
        "keywords": st.sampled_from([{}, {"$draft": True, "$seen": True}, {"A": True}]),
        "receivedAt": st.sampled_from(DATES[:3]),
    },
)
_email = st.builds(
    lambda head, body, boxes: {**head, **body, "mailboxIds": boxes},
    _heads,
    _bodies | st.builds(lambda s: {"bodyStructure": s, "bodyValues": _values}, _structure),
    st.sampled_from([{"T-Mailbox-0": True}, {"T-Mailbox-1": True, "T-Mailbox-6": True}]),
)
"""Emails that clients write."""


PATHS = ["/ids", "/list/*/id", "/list/*/threadId", "/ids/0", "/created", "", "/list/*", "/*/*", "/list/-", "x",
         "/list/*/mailboxIds", "/a"]  # fmt: skip


def reference() -> st.SearchStrategy[Json]:
    """A ResultReference to what may have been answered before."""
    return st.fixed_dictionaries(
        {
            "resultOf": st.sampled_from(["c0", "c1", "cx"]),
            "name": st.sampled_from(["Email/get", "Email/query", "Mailbox/get", "Email/changes", "Note/query", "Core/echo", "x"]),
            "path": st.sampled_from(PATHS),
        }
    )  # fmt: skip


def requests_of(server: Server) -> st.SearchStrategy[list[list[Json]]]:
    """Some method calls of one request, a few of them with a result reference."""
    strict = _Maker(server, True).calls()
    calls = strict | strict | _Maker(server, False).calls()
    names = st.sampled_from(["#ids", "#properties", "#filter", "#create", "#destroy", "#blobIds", "#emailIds", "#a"])
    referring = st.builds(
        lambda call, name, to: [call[0], {k: v for k, v in call[1].items() if k != name[1:]} | {name: to}, call[2]],
        strict,
        names,
        reference(),
    )
    return st.lists(calls | calls | calls | referring, min_size=1, max_size=4)


def resolved(value: Json, ids: Mapping[str, Sequence[str]]) -> Json:
    """The value with ids in the place of tokens; those of a kind are counted around."""

    def one(text: str) -> str:
        return TOKEN.sub(lambda m: ids[m[1]][int(m[2]) % len(ids[m[1]])] if ids[m[1]] else m[0], text)

    if isinstance(value, str):
        return one(value)
    if isinstance(value, list):
        return [resolved(item, ids) for item in value]
    if isinstance(value, dict):
        return {one(name): resolved(item, ids) for name, item in value.items()}
    return value
