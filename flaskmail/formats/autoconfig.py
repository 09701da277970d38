"""What mail programs are told about an address: the XML of Thunderbird's autoconfiguration, with the protocols of HTTP that
draft-ietf-mailmaint-autoconfig adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

USERNAME = "%EMAILADDRESS%"
"""What the program puts in: the whole address, which is the name of every account."""

LONGEST_NAME, LONGEST_SHORT_NAME = 60, 20
_PORTS = {"imap": (993, 143), "pop3": (995, 110), "smtp": (465, 587)}


@dataclass(frozen=True, slots=True)
class Jmap:
    """JMAP at a URL, that of the session. authentication: "OAuth2" and schemes of HTTP like "Basic", the better one first."""

    url: str
    authentication: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Socket:
    """A server of the older protocols. port: None for the usual one; starttls: TLS begins by a command."""

    kind: Literal["imap", "pop3", "smtp"]
    hostname: str
    port: int | None = None
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class OAuth:
    """Where programs sign in. scope: what they need, separated by blanks."""

    issuer: str
    authorization: str
    token: str
    scope: str


def document(domain: str, name: str, servers: Sequence[Jmap | Socket], oauth: OAuth | None = None) -> bytes:
    """The document for the addresses of a domain. name: of the service, as people know it; servers: the preferred ones first.

    Characters that XML does not have are left out, all others are escaped."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=_clean(domain))
    _text(provider, "domain", domain)
    _text(provider, "displayName", name[:LONGEST_NAME])
    _text(provider, "displayShortName", name[:LONGEST_SHORT_NAME])
    for server in servers:
        if isinstance(server, Jmap):
            _jmap(provider, server)
        else:
            _socket(provider, server)
    if oauth is not None:
        place = SubElement(root, "oAuth2")
        for tag, text in (
            ("issuer", oauth.issuer),
            ("scope", oauth.scope),
            ("authURL", oauth.authorization),
            ("tokenURL", oauth.token),
        ):
            _text(place, tag, text)
    ElementTree.indent(root)
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    body: bytes = ElementTree.tostring(root, encoding="utf-8")
    return head + body + b"\n"


def _jmap(provider: Element, server: Jmap) -> None:
    place = SubElement(provider, "incomingServer", type="jmap")
    _text(place, "url", server.url)
    for method in server.authentication:
        # draft-ietf-mailmaint-autoconfig, "URL-based protocols": what WWW-Authenticate calls it, but for OAuth2.
        system = {} if method == "OAuth2" else {"system": "http"}
        SubElement(place, "authentication", system).text = _clean(method)
    _text(place, "username", USERNAME)


def _socket(provider: Element, server: Socket) -> None:
    place = SubElement(provider, "outgoingServer" if server.kind == "smtp" else "incomingServer", type=server.kind)
    _text(place, "hostname", server.hostname)
    _text(place, "port", str(server.port or _PORTS[server.kind][server.starttls]))
    _text(place, "socketType", "STARTTLS" if server.starttls else "SSL")
    _text(place, "authentication", "password-cleartext")
    _text(place, "username", USERNAME)


def _text(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = _clean(text)


def _clean(text: str) -> str:
    return "".join(_allowed(text))


def _allowed(text: str) -> Iterator[str]:
    # XML 1.0 section 2.2.
    for character in text:
        code = ord(character)
        if code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000:
            yield character
