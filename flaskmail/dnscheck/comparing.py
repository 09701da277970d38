"""What is published beside what should be: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from flaskmail.decisions.dnsrecords import Record

Status = Literal["ok", "missing", "different", "unknown"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS says under a name. found: the contents, as ``Record.content`` has them; failure: a sentence saying why nobody
    knows, or ""."""

    found: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """How one record is published. found: the contents in its place, of its kind; detail: a sentence, or ""."""

    record: Record
    status: Status
    found: tuple[str, ...] = ()
    detail: str = ""


def compare(record: Record, answer: Answer) -> Finding:
    """The verdict on a record of the type MX, TXT, SRV or CNAME."""
    if answer.failure:
        return Finding(record, "unknown", (), answer.failure)
    if record.type == "TXT":
        return _text(record, answer.found)
    found = tuple(sorted(answer.found))
    if not found:
        return Finding(record, "missing")
    return Finding(record, "ok" if _plain(record.content) in map(_plain, found) else "different", found)


def compare_addresses(record: Record, own: Answer, target: Answer) -> Finding:
    """The verdict on a CNAME in whose place there are addresses. target: those that its content has."""
    if own.failure:
        return Finding(record, "unknown", (), own.failure)
    if not own.found:
        return Finding(record, "missing")
    if target.failure:
        return Finding(record, "unknown", own.found, target.failure)
    if set(own.found) <= set(target.found):
        return Finding(record, "ok", own.found, "Addresses of the host stand in place of the alias.")
    return Finding(record, "different", own.found)


def compare_target(finding: Finding, addresses: Answer, alias: Answer) -> Finding:
    """A finding on an MX or SRV record, with what is wrong about the host that it leads to.

    addresses: those of the host; alias: the CNAME in its place."""
    host = finding.record.content.rpartition(" ")[2]
    detail = ""
    if alias.found:
        # RFC 2181 section 10.3, RFC 2782.
        detail = f"{host} is an alias of {alias.found[0]}: such a record must name the host itself."
    elif not addresses.found and not addresses.failure:
        detail = f"{host} has no address."
    return replace(finding, status="different", detail=detail) if detail else finding


def _plain(content: str) -> str:
    # RFC 4343: names are compared without regard to case.
    return " ".join(content.lower().split())


def _text(record: Record, published: tuple[str, ...]) -> Finding:
    version = _version(record.content)
    # RFC 7208 section 4.5, RFC 7489 section 6.6.3, RFC 8461 section 3.1: texts of other kinds may stand beside. A DKIM record
    # may come without its version (RFC 6376 section 3.6.1), and nothing else stands in its place.
    found = tuple(text for text in sorted(published) if record.purpose == "dkim" or _version(text) == version)
    if not found:
        return Finding(record, "missing")
    if len(found) > 1:
        return Finding(
            record, "different", found, "There must be only one such record: with more, all of them are void."
        )
    if record.purpose in ("spf", "spf-host"):
        same = _plain(found[0]) == _plain(record.content)
    elif record.purpose == "dkim":
        same = _key(tags(found[0])) == _key(tags(record.content))
    else:
        same = _says(tags(found[0]), tags(record.content))
    return Finding(record, "ok" if same else "different", found)


def _version(text: str) -> str:
    return text.strip().partition(";")[0].partition(" ")[0].replace(" ", "").lower()


def tags(text: str) -> Mapping[str, str]:
    """A list of tags (RFC 6376 section 3.2) as name -> value; the white space around values is gone."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def _says(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    # Further tags, and further addresses for reports, are the administrator's choice.
    def values(tag: str, value: str) -> set[str]:
        return {one.strip().lower() for one in value.split(",")} if tag == "rua" else {value.lower()}

    return all(values(tag, value) <= values(tag, found.get(tag, "")) for tag, value in wanted.items())


def _key(found: Mapping[str, str]) -> Mapping[str, str]:
    # RFC 6376 section 3.6.1: what tags mean that are left out, and white space within values.
    key = {"v": "DKIM1", "k": "rsa", "h": "sha256", **{name: "".join(value.split()) for name, value in found.items()}}
    if "sha256" in key["h"].split(":"):
        key["h"] = "sha256"
    # Notes, and that no subdomain may use the key, change nothing for the domain itself.
    key.pop("n", None)
    if key.get("t") == "s":
        del key["t"]
    return key
