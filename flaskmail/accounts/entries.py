"""Principals of every type in ``control.db``: made, read, changed, deleted and listed; each change in one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import apsw

from flaskmail.accounts.authorization import Access, attainable_by
from flaskmail.accounts.database import Database, Row
from flaskmail.accounts.domains import now
from flaskmail.accounts.drafts import PLAIN, Absent, BadField, Change, Draft, Further, Unfit, applied, bounded, checked
from flaskmail.accounts.faults import DirectoryError, InUse, NameTaken, UnknownName
from flaskmail.accounts.names import ADMIN, account_name
from flaskmail.accounts.permissions import OWN, ROLES
from flaskmail.accounts.principals import COLUMNS, WIDTH, Principal, new_stamp, principal_of
from flaskmail.accounts.tokens import digest, insert, key_text, make_secret

Execute = Callable[..., list[Row]]


class Exceeds(DirectoryError):
    """It would give, or touch, more than the one who asks has. permission: one that he lacks."""

    def __init__(self, permission: str) -> None:
        self.permission = permission
        super().__init__(f"this concerns somebody with the permission {permission}, which is more than you have")


@dataclass(frozen=True, slots=True)
class Entry:
    """A principal with everything about it. id: of the principal; created: a UTCDate; used: the day a key was last used."""

    id: str
    created: str
    principal: Principal
    draft: Draft
    used: str | None = None


def beyond(access: Access, before: frozenset[str], after: frozenset[str]) -> frozenset[str]:
    """The permissions that stop somebody from changing a principal that can attain ``before`` into one that can attain
    ``after``: nobody gives more than he has, and nobody touches whoever has more. Everybody may give what is about oneself
    alone."""
    return (before | after) - OWN - access.permissions


class Entries:
    """Principals of every type. access: who asks; what lies outside of his domain does not exist for him."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str, access: Access) -> Entry:
        """By name or id. Raises UnknownName."""
        return _found(self._database.rows, name, access)

    def page(
        self,
        access: Access,
        types: Collection[str],
        text: str = "",
        *,
        start: int = 0,
        limit: int | None = None,
    ) -> tuple[list[Entry], int]:
        """(the principals of these types by name, how many there are without start and limit). text: only those with it in a
        name, an address or the description, whatever its case. limit: None for no limit."""
        values = (json.dumps(sorted(types)), access.domain, text.casefold())
        count = self._database.row(_COUNT, values)
        rows = self._database.rows(
            _ALL + _MATCHING + " ORDER BY COALESCE(p.label, p.name), p.id LIMIT ?4 OFFSET ?5",
            (*values, -1 if limit is None else limit, start),
        )
        return _entries(self._database.rows, rows, access.domain), 0 if count is None else count[0]

    def create(self, id: str, draft: Draft, password: str, access: Access) -> tuple[Entry, str | None]:
        """(the new principal, the API key, which nobody can read again, or None for other types).

        id: of the new principal; password: a PHC string, "" for none. Raises BadField, NameTaken, Exceeds, or UnknownName for a
        domain."""
        bounded(draft)
        draft, domain = checked(draft)
        if draft.name == ADMIN:
            raise BadField("name", "an address is wanted: name@domain")
        if not access.reaches(domain):
            raise UnknownName("domain", (domain or ""), ())
        secret = None
        with self._database.write() as execute:
            if domain is not None and not execute("SELECT 1 FROM domain WHERE name=?", (domain,)):
                raise UnknownName(
                    "domain",
                    domain,
                    (row[0] for row in execute("SELECT name FROM domain")) if access.domain is None else (),
                )
            plain = draft.type in PLAIN
            try:
                execute(
                    "INSERT INTO principal(id, name, label, type, domain, description, admin, disabled, created, password, stamp)"
                    " VALUES(?,?,?,?,?,'',0,0,?,?,?)",
                    (
                        id,
                        id if plain else draft.name,
                        draft.name if plain else None,
                        draft.type,
                        domain,
                        now(),
                        password,
                        new_stamp(),
                    ),
                )
            except apsw.ConstraintError:
                raise _taken(draft.name) from None
            _store(execute, id, draft, domain, access)
            self._judge(execute, id, frozenset(), access)
            if draft.type == "apiKey":
                _bound(draft, access)
                secret = make_secret("api-key")
                insert(
                    execute,
                    id,
                    digest(secret),
                    "api-key",
                    name=draft.name,
                    expires=draft.expires,
                    networks=draft.networks,
                )
            entry = _by_id(execute, id, access)
        return entry, None if secret is None else key_text(draft.name, secret)

    def update(
        self,
        name: str,
        changes: Sequence[Change],
        access: Access,
        *,
        password: str | None = None,
        type: str | None = None,
    ) -> tuple[Entry, Entry]:
        """(the principal before, the principal after). password: a PHC string in place of the present one.

        Raises UnknownName, BadField, NameTaken, Exceeds."""
        with self._database.write() as execute:
            before = _found(execute, name, access)
            id = before.id
            if type is not None and type != before.draft.type:
                raise UnknownName(type, name, ())
            held = attainable_by(execute, id)
            holders = _holders(execute, id) if before.draft.type == "role" else {}
            draft, domain = checked(applied(before.draft, changes))
            bounded(draft, before.draft)
            if before.principal.admin and draft.name != ADMIN:
                raise Unfit("name", f"{ADMIN!r} keeps its name")
            if not access.reaches(domain):
                raise Absent("name", "domain", domain or "")
            if draft.name == ADMIN and not before.principal.admin:
                raise NameTaken(f"{ADMIN!r} is the name of the administrator", ADMIN)
            if domain is not None and not execute("SELECT 1 FROM domain WHERE name=?", (domain,)):
                raise Absent("name", "domain", domain)
            plain = draft.type in PLAIN
            try:
                execute(
                    "UPDATE principal SET name=?, label=?, domain=? WHERE id=?",
                    (id if plain else draft.name, draft.name if plain else None, domain, id),
                )
            except apsw.ConstraintError:
                raise _taken(draft.name) from None
            _store(execute, id, draft, domain, access)
            if password is not None:
                execute("UPDATE principal SET password=?, stamp=? WHERE id=?", (password, new_stamp(), id))
            if draft.type == "apiKey":
                if (draft.expires, draft.networks) != (before.draft.expires, before.draft.networks):
                    _bound(draft, access)
                networks = None if draft.networks is None else json.dumps(draft.networks)
                kept = execute(
                    "UPDATE token SET name=?, expires=?, networks=? WHERE principal=? AND kind='api-key' RETURNING 1",
                    (draft.name, draft.expires, networks, id),
                )
                if not kept and (draft.expires, draft.networks) != (None, None):
                    raise Unfit(
                        "expires" if draft.expires is not None else "allowedNetworks",
                        "the secret of this key was ended for good, so it stays without use: make another key",
                    )
            self._judge(execute, id, held, access)
            for holder, had in holders.items():
                gained = attainable_by(execute, holder) - had - OWN - access.permissions
                if gained:
                    raise Exceeds(min(gained))
            after = _by_id(execute, id, access)
        return before, after

    def delete(self, name: str, access: Access, *, type: str | None = None) -> Entry:
        """Removes the principal with its credentials; mail is the store's. Raises UnknownName, Exceeds, or InUse for a role that
        somebody has and for ``admin``, which can only be disabled."""
        with self._database.write() as execute:
            entry = _found(execute, name, access)
            if type is not None and type != entry.draft.type:
                raise UnknownName(type, name, ())
            self._remove(execute, [entry], access)
        return entry

    def delete_all(self, ids: Iterable[str], access: Access) -> list[Entry]:
        """As ``delete`` for every one of these ids that is there, or for none of them; roles go together with those that have
        them. Raises Exceeds or InUse."""
        with self._database.write() as execute:
            rows = [row for id in ids for row in execute(_IDENTIFIED, (id, access.domain))]
            entries = _entries(execute, rows, access.domain)
            self._remove(execute, entries, access)
        return entries

    def _remove(self, execute: Execute, entries: Sequence[Entry], access: Access) -> None:
        going = {entry.id for entry in entries}
        for entry in entries:
            if entry.principal.admin:
                raise InUse(f"{ADMIN!r} cannot be deleted, only disabled")
            self._judge(execute, entry.id, frozenset(), access)
            # A look at everybody, which only roles need.
            holders = execute(_HAVING, (entry.id,)) if entry.draft.type == "role" else []
            users = [name for id, name in holders if id not in going]
            if users:
                who = f"{users[0]!r} has" if len(users) == 1 else f"{len(users)} have"
                among = "" if len(users) == 1 else f", {users[0]!r} among them"
                raise InUse(f"{who} the role {entry.draft.name!r}{among}: take it away first")
        for id in going:
            execute("DELETE FROM principal WHERE id=?", (id,))

    def _judge(self, execute: Execute, id: str, before: frozenset[str], access: Access) -> None:
        lacking = beyond(access, before, attainable_by(execute, id))
        if lacking:
            raise Exceeds(min(lacking))


_ALL = (
    "SELECT " + COLUMNS + ", p.enabled_permissions, p.disabled_permissions, p.urls,"  # noqa: S608 - columns of ours
    " p.external_members, t.expires, t.networks, t.used"
    " FROM principal p LEFT JOIN token t ON t.principal=p.id AND t.kind='api-key'"
)
_MATCHING = (
    " WHERE p.type IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR p.domain=?2) AND (?3='' OR"
    " instr(COALESCE(p.label, p.name), ?3) OR instr(folded(p.description), ?3)"
    " OR EXISTS(SELECT 1 FROM address a WHERE a.principal=p.id AND (?2 IS NULL OR a.domain=?2) AND instr(a.address, ?3)))"
)
_COUNT = "SELECT count(*) FROM principal p" + _MATCHING  # noqa: S608 - joined of constants
_NAMED = (
    _ALL + " WHERE ((p.label IS NULL AND p.name=?1) OR p.label=?1) AND (?2 IS NULL OR p.domain=?2)"
    " ORDER BY p.domain IS NOT NULL, p.domain LIMIT 2"
)
_IDENTIFIED = _ALL + " WHERE p.id=?1 AND (?2 IS NULL OR p.domain=?2)"
_HAVING = (
    "SELECT p.id, COALESCE(p.label, p.name) FROM principal p, json_each(p.roles) r WHERE r.value=? ORDER BY p.name"
)


def _taken(name: str, field: str = "name") -> NameTaken:
    return NameTaken(f"the name {name!r} is taken already", name, field)


def _bound(draft: Draft, access: Access) -> None:
    """Further for a key that would last longer, or count in more networks, than the credential of whoever asks."""
    short = access.principal.grant.falls_short(draft.expires, draft.networks)
    if short is not None:
        field = "expires" if short == "expires" else "allowedNetworks"
        raise Further(field, f"your own credential {'ends before' if short == 'expires' else 'does not count there'}")


def _found(rows: Execute, name: str, access: Access) -> Entry:
    wanted = name.strip().lower()
    # An id goes before a name: whoever makes a role or a key could call it by the id of somebody else, and have what is meant
    # for him.
    found = rows(_IDENTIFIED, (wanted, access.domain)) or rows(_NAMED, (wanted, access.domain))
    if len(found) > 1 and found[0][9] is None:
        # What is the server's own goes before what domains call by the same name.
        found = found[:1]
    if len(found) > 1:
        raise DirectoryError(f"several domains have a principal {wanted!r}: name it by its id")
    if not found:
        known = rows(
            "SELECT COALESCE(p.label, p.name) FROM principal p WHERE ?1 IS NULL OR p.domain=?1", (access.domain,)
        )
        raise UnknownName("principal", wanted[:300], (row[0] for row in known))
    return _entries(rows, found, access.domain)[0]


def _by_id(rows: Execute, id: str, access: Access) -> Entry:
    return _entries(rows, rows(_ALL + " WHERE p.id=?", (id,)), access.domain)[0]


def _entries(rows: Execute, found: Sequence[Row], domain: str | None) -> list[Entry]:
    """The entries of rows of ``_ALL``. domain: the only one whose groups, members and addresses are
    shown, None for all."""
    ids = json.dumps([row[0] for row in found])
    emails: dict[str, list[str]] = defaultdict(list)
    for id, address in rows(
        "SELECT principal, address FROM address WHERE position>0 AND principal IN (SELECT value FROM json_each(?1))"
        " AND (?2 IS NULL OR domain=?2) ORDER BY principal, position, address",
        (ids, domain),
    ):
        emails[id].append(address)
    groups: dict[str, list[str]] = defaultdict(list)
    lists: dict[str, list[str]] = defaultdict(list)
    for id, type, name in rows(
        "SELECT m.principal, g.type, g.name FROM member m JOIN principal g ON g.id=m.group_id"
        " WHERE m.principal IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR g.domain=?2) ORDER BY g.name",
        (ids, domain),
    ):
        (groups if type == "group" else lists)[id].append(name)
    members: dict[str, list[str]] = defaultdict(list)
    for id, name in rows(
        "SELECT m.group_id, p.name FROM member m JOIN principal p ON p.id=m.principal"
        " WHERE m.group_id IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR p.domain=?2) ORDER BY p.name",
        (ids, domain),
    ):
        members[id].append(name)
    called: dict[str, tuple[str, str | None]] = {
        id: (label, of) for id, label, of in rows("SELECT id, label, domain FROM principal WHERE type='role'")
    }
    out = []
    for row in found:
        principal = principal_of(row[:WIDTH])
        enabled, disabled, urls, external, expires, networks, used = row[WIDTH:]
        id = principal.id
        draft = Draft(
            type=principal.type,
            name=principal.name,
            description=principal.description,
            quota=principal.quota,
            emails=tuple(emails[id]),
            urls=tuple(json.loads(urls)),
            member_of=tuple(groups[id]),
            lists=tuple(lists[id]),
            members=tuple(members[id]),
            external_members=tuple(json.loads(external)),
            roles=tuple(_called(role, called, principal.domain) for role in principal.roles),
            enabled_permissions=tuple(json.loads(enabled)),
            disabled_permissions=tuple(json.loads(disabled)),
            disabled=principal.disabled,
            domain=principal.domain if principal.type in PLAIN else None,
            expires=expires,
            networks=None if networks is None else tuple(json.loads(networks)),
        )
        out.append(Entry(id, principal.created, principal, draft, used))
    return out


def _called(role: str, called: Mapping[str, tuple[str, str | None]], domain: str | None) -> str:
    """What a principal of this domain calls a role: by the name that leads back to it, or else by its id."""
    if role not in called:
        return role
    label, of = called[role]
    hidden = of is None and domain is not None and (label, domain) in called.values()
    return role if hidden else label


def _store(execute: Execute, id: str, draft: Draft, domain: str | None, access: Access) -> None:
    """Writes everything of the draft but the name."""
    execute(
        "UPDATE principal SET description=?, quota=?, disabled=?, roles=?, enabled_permissions=?, disabled_permissions=?, urls=?,"
        " external_members=? WHERE id=?",
        (
            draft.description,
            draft.quota,
            int(draft.disabled),
            json.dumps(_roles(execute, id, draft.roles, domain)),
            json.dumps(draft.enabled_permissions),
            json.dumps(draft.disabled_permissions),
            json.dumps(draft.urls),
            json.dumps(draft.external_members),
            id,
        ),
    )
    if draft.type in PLAIN:
        return
    _store_addresses(execute, id, draft, domain, access)
    groups = [
        *_ids(execute, draft.member_of, ("group",), access, "memberOf"),
        *_ids(execute, draft.lists, ("list",), access, "lists"),
    ]
    execute(
        "DELETE FROM member WHERE principal=?1 AND (?2 IS NULL OR group_id IN (SELECT id FROM principal WHERE domain=?2))",
        (id, access.domain),
    )
    for group in groups:
        execute("INSERT OR IGNORE INTO member(group_id, principal) VALUES(?,?)", (group, id))
    if draft.type in ("group", "list"):
        kinds = ("individual", "group") if draft.type == "group" else ("individual", "group", "list")
        members = _ids(execute, draft.members, kinds, access, "members")
        execute(
            "DELETE FROM member WHERE group_id=?1 AND (?2 IS NULL OR principal IN (SELECT id FROM principal WHERE domain=?2))",
            (id, access.domain),
        )
        for member in members:
            execute("INSERT OR IGNORE INTO member(group_id, principal) VALUES(?,?)", (id, member))
    if execute(_CYCLE, (id,)):
        raise Unfit(
            "members" if draft.members else "memberOf",
            "a group cannot be a member of itself, not through others either",
        )


_CYCLE = (
    "WITH RECURSIVE below(id) AS (SELECT principal FROM member WHERE group_id=?1"
    " UNION SELECT m.principal FROM member m JOIN below b ON m.group_id=b.id) SELECT 1 FROM below WHERE id=?1"
)


def _store_addresses(execute: Execute, id: str, draft: Draft, domain: str | None, access: Access) -> None:
    if domain is None:
        if draft.emails:
            raise Unfit("emails", f"{draft.name!r} has no mail, so no addresses either")
        return
    execute(
        "DELETE FROM address WHERE principal=?1 AND (?2 IS NULL OR domain=?2 OR position=0)",
        (id, access.domain),
    )
    for position, address in enumerate((draft.name, *draft.emails)):
        of = account_name(address)[1]
        if not access.reaches(of) or not execute("SELECT 1 FROM domain WHERE name=?", (of,)):
            raise Absent("emails", "domain", of or "")
        try:
            execute(
                "INSERT INTO address(address, principal, domain, position) VALUES(?,?,?,?)", (address, id, of, position)
            )
        except apsw.ConstraintError:
            raise _taken(address, "emails" if position else "name") from None


def _ids(execute: Execute, names: Iterable[str], types: Sequence[str], access: Access, field: str) -> list[str]:
    out = []
    for name in names:
        row = execute(
            "SELECT id FROM principal WHERE (name=?1 OR id=?1) AND type IN (SELECT value FROM json_each(?2))"
            " AND (?3 IS NULL OR domain=?3)",
            (name, json.dumps(types), access.domain),
        )
        if not row:
            raise Absent(field, " or ".join(types), name)
        out.append(row[0][0])
    return out


def _roles(execute: Execute, id: str, names: Iterable[str], domain: str | None) -> list[str]:
    """What is stored for these roles: built-in names, ids of others. An id goes before a name, and a role of the own
    domain before one of the server."""
    out = []
    for name in names:
        if name in ROLES:
            out.append(name)
            continue
        row = execute(
            "SELECT id FROM principal WHERE type='role' AND (label=?1 OR id=?1) AND (domain IS NULL OR domain=?2)"
            " ORDER BY id<>?1, domain IS NULL LIMIT 1",
            (name, domain),
        )
        if not row:
            raise Absent("roles", "role", name)
        if row[0][0] == id:
            raise Unfit("roles", "a role cannot contain itself")
        out.append(row[0][0])
    return list(dict.fromkeys(out))


def _holders(execute: Execute, role: str) -> dict[str, frozenset[str]]:
    """What each principal that has the role, through others too, may do or could do again."""
    above, left, seen = {}, [role], {role}
    while left:
        for id, _ in execute(_HAVING, (left.pop(),)):
            if id not in seen:
                seen.add(id)
                left.append(id)
                above[id] = attainable_by(execute, id)
    return above


__all__ = ["Entries", "Entry", "Exceeds", "beyond"]
