"""Names of hosts and domains as the DNS has them: in ASCII, in lower case, without a final dot."""

from __future__ import annotations

import re

# RFC 1123 section 2.1: letters, digits and inner hyphens.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def to_ascii(text: str) -> str:
    """The name in lower case, international labels as A-labels (RFC 5890 section 2.3.2.1).

    ValueError, with what was expected, when it is no name of a host: an address, a wildcard, too long."""
    name = text.strip().removesuffix(".")
    if not name.isascii():
        # Costs memory that few servers need.
        import idna

        try:
            # RFC 5895: what people type is mapped first, as by capital letters.
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise ValueError("a name that IDNA 2008 (RFC 5891) knows") from None
    name = name.lower()
    # RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters.
    if not name or len(name) > 253:
        raise ValueError("a name of 1 to 253 characters")
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("labels of 1 to 63 letters, digits and inner hyphens, joined by dots")
    if labels[-1].isdigit():
        raise ValueError("a name, no IP address")
    return name
