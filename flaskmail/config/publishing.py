"""The settings of what the server publishes for everybody: where clients and other servers look first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flaskmail.config import kinds
from flaskmail.config.declaring import setting
from flaskmail.config.dns import Dns, read_exchanger
from flaskmail.config.kinds import Kind, quote

_URI = re.compile(r"(https|mailto|tel|openpgp4fpr|dns):[!-~]+", re.ASCII)
_WEB = re.compile(r"https://[^/\s]+[!-~]*", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
_MX = re.compile(r"(\*\.)?((?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+[A-Za-z][A-Za-z0-9-]*", re.ASCII)
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def _list_of(pattern: re.Pattern[str], expected: str) -> Kind[tuple[str, ...]]:
    def parse(value: object, folder: Path) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(one, str) and pattern.fullmatch(one) for one in value):
            raise ValueError
        return tuple(value)

    return Kind(expected, parse, lambda values: f"[{', '.join(quote(value) for value in values)}]")


def _text_of(pattern: re.Pattern[str], expected: str) -> Kind[str]:
    def parse(value: object, folder: Path) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError
        return value

    return Kind(expected, parse, quote)


def _parse_date(value: object, folder: Path) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        # TOML has dates of its own.
        return value.isoformat().replace("+00:00", "Z")
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError
    datetime.fromisoformat(value)
    return value


CONTACTS = _list_of(_URI, "a list of addresses like 'mailto:security@example.org' or 'https://example.org/security'")
WEB_ADDRESS = _text_of(_WEB, "an https address")
WEB_ADDRESSES = _list_of(_WEB, "a list of https addresses")
LANGUAGES = _list_of(_LANGUAGE, "a list of languages, like 'en' or 'pt-BR'")
MX = _list_of(_MX, "a list of host names, like 'mx.example.org' or '*.example.org'")
HOST = _text_of(re.compile(_MX.pattern.removeprefix(r"(\*\.)?"), re.ASCII), "a host name, like 'mail.example.org'")
DATE = Kind("a date and time with its zone, like '2027-06-30T00:00:00Z'", _parse_date, quote)


@dataclass(frozen=True, slots=True)
class SecurityTxt:
    """/.well-known/security.txt (RFC 9116): where to report a weakness. Without a contact there is nothing at this address."""

    contact: tuple[str, ...] = setting(
        CONTACTS,
        (),
        "Where to write to, the best first: mailto:, https: or tel: addresses.",
        example='["mailto:security@example.org"]',
    )
    expires: str | None = setting(
        kinds.optional(DATE),
        None,
        "When what stands there is to be looked over. Unset: a hundred days from today on, always.",
        example='"2027-06-30T00:00:00Z"',
    )
    policy: str | None = setting(
        kinds.optional(WEB_ADDRESS), None, "Your rules for reports.", example='"https://example.org/disclosure"'
    )
    acknowledgments: str | None = setting(
        kinds.optional(WEB_ADDRESS),
        None,
        "Where those who reported are thanked.",
        example='"https://example.org/thanks"',
    )
    encryption: tuple[str, ...] = setting(
        CONTACTS, (), "Keys to encrypt reports with.", example='["https://example.org/pgp-key.txt"]'
    )
    hiring: str | None = setting(
        kinds.optional(WEB_ADDRESS), None, "Your vacancies in security.", example='"https://example.org/jobs"'
    )
    preferred_languages: tuple[str, ...] = setting(LANGUAGES, (), "Languages of reports.", example='["en", "de"]')


@dataclass(frozen=True, slots=True)
class AutoconfigServer:
    """A mail server beside this one, that programs without JMAP use. Without a host name it is not mentioned."""

    hostname: str | None = setting(kinds.optional(HOST), None, "Its name.", example='"mail.example.org"')
    port: int | None = setting(
        kinds.optional(kinds.integer(1, 65535)), None, "Its port. Unset: the usual one.", example="993"
    )
    tls: str = setting(
        kinds.choice("implicit", "starttls"), "implicit", "How TLS begins: with the connection, or by STARTTLS."
    )


@dataclass(frozen=True, slots=True)
class Autoconfig:
    """What mail programs (Thunderbird and others) are told when somebody types an address: JMAP at this server, and other servers
    where they are named here."""

    enable: bool = setting(kinds.BOOLEAN, True, "Answer at /mail/config-v1.1.xml and /.well-known/autoconfig/mail/.")
    display_name: str | None = setting(
        kinds.optional(kinds.TEXT), None, "What the service is called. Unset: the domain.", example='"Example Mail"'
    )
    imap: AutoconfigServer = AutoconfigServer()
    pop3: AutoconfigServer = AutoconfigServer()
    smtp: AutoconfigServer = AutoconfigServer()


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the server publishes about itself. docs/discovery.md shows each document."""

    security_txt: SecurityTxt = SecurityTxt()
    autoconfig: Autoconfig = Autoconfig()


@dataclass(frozen=True, slots=True)
class MtaSts:
    """/.well-known/mta-sts.txt (RFC 8461): whether other servers must reach the MX hosts over TLS. It is served to every name, so
    https://mta-sts.<domain>/ has to lead here. Without a mode there is nothing at this address."""

    mode: str | None = setting(
        kinds.optional(kinds.choice("enforce", "testing", "none")),
        None,
        "enforce: not without TLS; testing: mistakes are only reported; none: the policy is withdrawn. The first two need mx, or "
        "dns.mx.",
        example='"none"',
    )
    max_age: int = setting(
        kinds.duration(0, 31_557_600), 7 * 86400, "How long others remember the policy.", example='"30d"'
    )
    mx: tuple[str, ...] = setting(
        MX,
        (),
        "The MX hosts, as their certificates name them; those of dns.mx have to be among them. Unset: those of dns.mx.",
        example='["mx.example.org", "*.mx.example.org"]',
    )


@dataclass(frozen=True, slots=True)
class Session:
    """What holds for mail from other servers."""

    mta_sts: MtaSts = MtaSts()


def policy_hosts(policy: MtaSts, dns: Dns) -> tuple[str, ...]:
    """The MX hosts that the policy names."""
    if policy.mx or policy.mode == "none":
        return policy.mx
    return tuple(dict.fromkeys(read_exchanger(one)[1] for one in dns.mx))


def is_named(host: str, patterns: Iterable[str]) -> bool:
    """Whether hosts of a policy (names, or ``*.`` and a domain) cover this MX host."""
    # RFC 8461 section 4.1: the wildcard is one whole label, the leftmost.
    wanted = (host.lower(), f"*.{host.partition('.')[2]}".lower())
    return any(pattern.lower() in wanted for pattern in patterns)


def mistakes(session: Session, dns: Dns) -> Iterator[tuple[str, str, str]]:
    """What is wrong between settings that are each right by themselves: the key, what was found, what was expected."""
    policy = session.mta_sts
    if policy.mode not in ("enforce", "testing"):
        return
    hosts = policy_hosts(policy, dns)
    # RFC 8461 section 3.2: at least one mx, unless the mode is "none".
    if not hosts:
        yield "session.mta-sts.mx", "no host", f"at least one host beside the mode {policy.mode!r}, here or in dns.mx"
    for exchanger in dns.mx:
        # RFC 8461 section 5: with "enforce" no mail is sent to a host that the policy does not name.
        host = read_exchanger(exchanger)[1]
        if not is_named(host, hosts):
            yield "session.mta-sts.mx", ", ".join(hosts), f"{host} among them too, as dns.mx has it"
