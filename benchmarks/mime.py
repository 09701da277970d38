"""How fast messages are parsed, against the standard library: ``python benchmarks/mime.py [ARCHIVE.tar.gz …]``.

Each variant takes its turn over the same messages, round after round, so that other load falls on all of them; the best round
counts. Without archives the messages are made here: 5 kB, 40 kB and 1 MB.
"""

from __future__ import annotations

import email
import email.policy
import sys
import tarfile
import time
from collections.abc import Callable

from flaskmail.formats.mime import forms, structure, transfer

ROUNDS = 7
LISTED = ("from", "to", "cc", "subject", "date", "message-id", "references")


def made(size: int) -> bytes:
    """One message of about ``size`` octets: alternative text and HTML, and an attachment."""
    text = b"The quick brown fox jumps over the lazy dog. =C3=A4=C3=B6=C3=BC\r\n" * (size // 260)
    data = (b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3" + b"\r\n") * (
        size // 164
    )
    head = b"".join(
        b"Received: from mx%d.example.org by mx.example.org; 1 Jan 2024 00:00:00 +0000\r\n" % n for n in range(12)
    )
    return head + (
        b'From: "Alice Sender" <alice@example.org>\r\nTo: Bob <bob@example.org>, carol@example.org\r\n'
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= and more\r\nDate: Mon, 1 Jan 2024 12:00:00 +0100\r\n"
        b"Message-ID: <1@example.org>\r\nReferences: <0@example.org>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="outer"\r\n\r\n--outer\r\n'
        b'Content-Type: multipart/alternative; boundary="inner"\r\n\r\n--inner\r\n'
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + text
        + b"\r\n--inner\r\n"
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + text
        + b"\r\n--inner--\r\n"
        b'--outer\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + data
        + b"\r\n--outer--\r\n"
    )


def ours(raw: bytes) -> None:
    """Structure and header fields."""
    structure.parse(raw)


def ours_listed(raw: bytes) -> None:
    """Structure and what a list of messages shows, in its forms."""
    fields = structure.parse(raw).root.headers
    for name in LISTED:
        value = fields.last(name)
        if value is not None:
            for form in forms.allowed_forms(name):
                forms.FORMS[form](value)


def ours_decoded(raw: bytes) -> None:
    """Structure and all bodies, decoded."""
    for part in structure.parse(raw).root.walk():
        if not part.parts:
            transfer.decode_body(raw[part.body_start : part.body_end], part.encoding)


def compat32(raw: bytes) -> None:
    """email, policy compat32."""
    email.message_from_bytes(raw)


def compat32_decoded(raw: bytes) -> None:
    """email, policy compat32, all bodies decoded."""
    for part in email.message_from_bytes(raw).walk():
        if not part.is_multipart():
            part.get_payload(decode=True)


def default(raw: bytes) -> None:
    """email, policy default."""
    email.message_from_bytes(raw, policy=email.policy.default)


def default_listed(raw: bytes) -> None:
    """email, policy default, and the fields that a list shows."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for name in LISTED:
        str(message[name])


VARIANTS = (ours, ours_listed, ours_decoded, compat32, compat32_decoded, default, default_listed)


def measure(title: str, messages: list[bytes]) -> None:
    """Prints microseconds of CPU a message for each variant, and its ratio to the first."""
    best = dict.fromkeys(VARIANTS, float("inf"))
    repeat = max(1, 2_000_000 // sum(map(len, messages)))
    for _ in range(ROUNDS):
        for variant in VARIANTS:
            best[variant] = min(best[variant], timed(variant, messages, repeat))
    print(f"{title}: {len(messages)} messages, {sum(map(len, messages)) // len(messages)} octets on average")
    for variant, seconds in best.items():
        print(f"  {variant.__doc__ or '':55}{seconds * 1e6:10.1f} us {seconds / best[ours]:8.1f} x")


def timed(variant: Callable[[bytes], None], messages: list[bytes], repeat: int) -> float:
    """Seconds of CPU that ``variant`` takes for one message."""
    started = time.process_time()
    for _ in range(repeat):
        for raw in messages:
            try:
                variant(raw)
            except (ValueError, LookupError, AttributeError, IndexError, TypeError):
                # The standard library raises for some messages; what it did until then counts.
                continue
    return (time.process_time() - started) / len(messages) / repeat


def archived(path: str) -> list[bytes]:
    """Every file of a tar archive, a leading mbox line removed."""
    with tarfile.open(path) as archive:
        files = [stream.read() for member in archive if member.isfile() and (stream := archive.extractfile(member))]
    return [raw.split(b"\n", 1)[-1] if raw.startswith(b"From ") else raw for raw in files]


if __name__ == "__main__":
    for size in (5_000, 40_000, 1_000_000):
        measure(f"made, {size // 1000} kB", [made(size)])
    for path in sys.argv[1:]:
        measure(path.rsplit("/", 1)[-1], archived(path))
