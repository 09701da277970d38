"""Names of domains and accounts: pure functions from what a person typed to what is stored."""

from __future__ import annotations

import re

from flaskmail.accounts.faults import BadName

ADMIN = "admin"
"""The one account name without a domain; it has no mailbox."""

# RFC 1123 section 2.1: letters, digits and inner hyphens.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# RFC 5322 section 3.2.3: dot-atom-text.
_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def domain_name(text: str) -> str:
    """The domain in lower case, without a final dot. Raises BadName with the reason."""
    name = text.strip().lower()
    name = name.removesuffix(".")
    shown = repr(text[:80])
    if not name:
        raise BadName("a domain name is empty")
    if not name.isascii():
        raise BadName(f"{shown} is not a domain name: write an international name in its ASCII form (xn--...)")
    if len(name) > 253:
        raise BadName(f"{shown} is not a domain name: it has {len(name)} characters, at most 253 are possible")
    for label in name.split("."):
        if not _LABEL.fullmatch(label):
            raise BadName(
                f"{shown} is not a domain name: {label[:80]!r} should be 1 to 63 letters, digits and inner hyphens"
            )
    if name.rsplit(".", 1)[-1].isdigit():
        raise BadName(f"{shown} is not a domain name: it ends like an IP address")
    return name


def account_name(text: str) -> tuple[str, str | None]:
    """(the account's name in lower case, its domain); (``admin``, None) for the administrator. Raises BadName."""
    name = text.strip().lower()
    if name == ADMIN:
        return ADMIN, None
    local, at, domain = name.rpartition("@")
    shown = repr(text[:80])
    if not at:
        raise BadName(f"{shown} is not an address: write it as name@domain (only {ADMIN!r} has no domain)")
    if not local:
        raise BadName(f"{shown} is not an address: there is nothing before the @")
    # RFC 5321 section 4.5.3.1.1: 64 octets.
    if len(local) > 64:
        raise BadName(f"{shown} is not an address: the part before the @ has more than 64 characters")
    if not _LOCAL.fullmatch(local):
        raise BadName(
            f"{shown} is not an address: before the @ there may be letters, digits, !#$%&'*+/=?^_`{{|}}~- and single dots"
        )
    domain = domain_name(domain)
    # RFC 5321 section 4.5.3.1.3: a path has 256 octets, with its angle brackets.
    if len(local) + 1 + len(domain) > 254:
        raise BadName(f"{shown} is not an address: it has more than 254 characters")
    return f"{local}@{domain}", domain
