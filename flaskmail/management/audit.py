"""Every change goes into the audit log: before it is made, and again when it is known how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import msgspec

from flaskmail.accounts.audit import Entry
from flaskmail.config.changing import located
from flaskmail.config.listing import declaration_of, is_secret
from flaskmail.errors import RequestError, StoreError
from flaskmail.management.operation import Call, Listing, Operation, Paged, Resource
from flaskmail.management.refusals import invalid

_SECRET = re.compile(r"passw|secret|token|private|credential|api-?_?key|^code$|otp|certs?$", re.IGNORECASE)
LONGEST = 4000
"""Characters of one text that are kept."""


def shown(value: Any) -> Any:
    """A value without what its names call a secret, as JSON."""
    plain = msgspec.to_builtins(value)
    return _without_secrets(plain)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        # {"action": "set", "field": "secrets", "value": …} names in one member what is in another.
        named = value.get("field", value.get("type"))
        hidden = {"value"} if isinstance(named, str) and _SECRET.search(named) else set()
        if str(named).lower() == "insert" and isinstance(value.get("values"), list):
            prefix = (value.get("prefix") or "").rstrip(".")
            value = value | {"values": [_setting(prefix, pair) for pair in value["values"]]}
        return {
            # Where an empty one was sent there is no secret.
            name: "(secret)"
            if (name in hidden or _SECRET.search(name)) and one not in _NOTHING
            else _without_secrets(one)
            for name, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_without_secrets(one) for one in value]
    if isinstance(value, str) and len(value) > LONGEST:
        return value[:LONGEST] + "…"
    return value


_NOTHING: tuple[Any, ...] = (None, [], "")


def _setting(prefix: str, pair: Any) -> Any:
    """A setting and its value, which is shown where the key is one whose values are no secrets: one that nobody knows may be that
    of a secret, misspelt."""
    key, value = pair
    whole = f"{prefix}.{key}" if prefix else key
    declared = declaration_of(located(whole)[0])
    if declared is None:
        known = whole.startswith(("lookup.", "plugins.")) and not _SECRET.search(whole)
        known = known and not (isinstance(value, str) and is_secret(whole, value))
    else:
        known = not declared.secret
    return [key, _without_secrets(value) if known else "(secret)"]


@contextmanager
def kept(operation: Operation, call: Call, path: str, body: Any) -> Iterator[None]:
    """Notes a change around the block that makes it. Raises StoreError when it cannot be noted: then nothing is changed."""
    log = call.server.directory.audit
    grant = call.principal.grant
    id = log.begin(
        actor=call.principal.name,
        actor_id=call.principal.id,
        # Whoever reaches every domain is nobody's subject: what he does elsewhere is no matter of those with whom he lives.
        domain=call.access.domain or None,
        via=f"{grant.kind} {grant.id}".strip(),
        address=call.address,
        operation=operation.name,
        object=path,
        change=shown(body),
        keep=call.server.settings.management.audit_keep,
    )
    status = 500
    try:
        yield
        status = operation.status
    except RequestError as error:
        status = error.status
        raise
    except StoreError:
        status = 503
        raise
    finally:
        log.end(id, status, None if call.changed is None else shown(call.changed))


MOMENT = {"format": "date-time"}
"""How JSON Schema calls a date and time of RFC 3339."""

resource = Resource("audit", "Who changed what, from where, and how it ended.")


class AuditQuery(Paged, kw_only=True):
    """Which entries."""

    filter: Annotated[str, msgspec.Meta(max_length=200, description="Stands in the path or in the change.")] = ""
    actor: Annotated[str, msgspec.Meta(max_length=320, description="The name of who asked.")] = ""
    operation: Annotated[str, msgspec.Meta(max_length=100, description="An operationId.")] = ""
    since: Annotated[str, msgspec.Meta(description="From this date and time on.", extra_json_schema=MOMENT)] | None = (
        None
    )
    before: Annotated[str, msgspec.Meta(description="Before this date and time.", extra_json_schema=MOMENT)] | None = (
        None
    )


def moment(member: str, text: str | None) -> float | None:
    """Seconds since 1970 of an RFC 3339 date and time; None for none. Raises RequestError 400."""
    if text is None:
        return None
    try:
        # RFC 3339 section 5.6: T and Z may be small, and a second may be a leap second.
        found = datetime.fromisoformat(text.upper().replace(":60", ":59", 1) if ":60" in text[16:] else text.upper())
        if found.tzinfo is None:
            raise ValueError
        # An offset may lead out of the years that can be written.
        return min(max(found.timestamp(), -62_135_596_800), 253_402_300_799)
    except (ValueError, OverflowError):
        raise invalid(member, "write a date and time as 2026-01-31T12:00:00Z", repr(text[:40])) from None


@resource.operation("GET", "/audit", "audit.list", permissions=("audit-list",), query=AuditQuery, answer=Listing[Entry])
def entries(call: Call, query: AuditQuery) -> Listing[Entry]:
    """List the changes that were made, newest first.

    Who acts in one domain sees what was done by those who act in that domain alone. ``status`` is that of the answer: a change
    with 4xx was refused, one without a status was cut short."""
    first, last = query.span
    found, total = call.server.directory.audit.find(
        text=query.filter,
        actor=query.actor,
        operation=query.operation,
        since=moment("since", query.since),
        before=moment("before", query.before),
        within=call.access.domain,
        first=first,
        count=None if last is None else last - first,
    )
    return Listing(items=found, total=total)
