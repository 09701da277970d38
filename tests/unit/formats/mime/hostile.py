"""Messages made to be expensive, by name; each is built when asked for."""

from __future__ import annotations

from collections.abc import Callable


def _many_parts() -> bytes:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 10_000 + b"--b--\r\n"


def _many_header_blocks() -> bytes:
    part = b"--b\n" + b"a:\n" * 400 + b"\nx\n"
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + part * 5_000 + b"--b--\n"


def _deep() -> bytes:
    opening = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1_000)]
    closing = [b"\r\n--b%d--\r\n" % n for n in reversed(range(1_000))]
    return b"".join(opening) + b"\r\nleaf" + b"".join(closing)


def _deep_and_long() -> bytes:
    opening = [b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(60)]
    return b"".join(opening) + b"\n" + b"\n--b" * 2_000_000


def _cyclic() -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=b\n\n"
        + b"--b\nContent-Type: multipart/mixed; boundary=b\n\n" * 20_000
    )


def _overlapping() -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=a\n\n"
    return (
        head
        + b"--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--a\n\ny\n--b\n\nz\n--b--\n" * 20_000
        + b"--a--\n"
    )


def _words(separator: bytes) -> bytes:
    return b"Subject: " + separator.join([b"=?utf-8?q?=C3=A4b?="] * 20_000) + b"\n\n"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "10,000 parts": _many_parts,
    "5,000 parts of 400 fields": _many_header_blocks,
    "1,000 deep": _deep,
    "60 deep over 8 MB of almost delimiters": _deep_and_long,
    "cyclic boundaries": _cyclic,
    "overlapping boundaries": _overlapping,
    "50,000 fields": lambda: b"".join(b"X-%d: y\r\n" % n for n in range(50_000)) + b"\r\n",
    "500,000 lines that are no fields": lambda: b"a\nb:\n" * 250_000 + b"\n",
    "10 MB line in the body": lambda: b"Subject: x\n\n" + b"x" * 10_000_000,
    "10 MB line in the header": lambda: b"Subject: " + b"x" * 10_000_000 + b"\n\n",
    "10 MB field name": lambda: b"x" * 10_000_000,
    "10 MB of CR": lambda: b"\r" * 10_000_000,
    "10 MB of LF": lambda: b"\n" * 10_000_000,
    "10 MB of CRLF and CR": lambda: b"\r\n\r\r\n" * 2_000_000,
    "10 MB of NUL": lambda: b"\0" * 10_000_000,
    "10 MB of delimiters": lambda: b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 2_500_000,
    "10 MB of false delimiters": lambda: b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--bb\n" * 2_000_000,
    "10 MB folded field": lambda: b"Subject: x" + b"\n x" * 3_300_000 + b"\n\n",
    "20,000 encoded words": lambda: _words(b" "),
    "20,000 encoded words in folds": lambda: _words(b"\n "),
    "20,000 encoded words without space": lambda: _words(b""),
    "encoded words that do not end": lambda: b"Subject: " + b"=?utf-8?q?x" * 90_000 + b"\n\n",
    "20,000 addresses": lambda: b"To: " + b", ".join(b"U %d <u%d@e.org>" % (n, n) for n in range(20_000)) + b"\n\n",
    "500,000 empty addresses": lambda: b"To: " + b"a," * 500_000 + b"\n\n",
    "100,000 groups": lambda: b"To: " + b"g:a@b;" * 100_000 + b"\n\n",
    "quotation marks and backslashes": lambda: b'To: "' + b'\\"' * 450_000 + b"\n\n",
    "open angle brackets": lambda: b"To: " + b"<" * 900_000 + b"\n\n",
    "open angle brackets and strings": lambda: b"To: " + b'<"a' * 300_000 + b"\n\n",
    "open brackets": lambda: b"To: " + b"[" * 900_000 + b"\n\n",
    "900,000 open comments": lambda: b"To: " + b"(" * 900_000 + b"\n\n",
    "300,000 comments": lambda: b"To: a" + b"(b)" * 300_000 + b"\n\n",
    "at signs": lambda: b"To: " + b"a @ " * 250_000 + b"\n\n",
    "dots": lambda: b"To: a@" + b" . " * 300_000 + b"\n\n",
    "combining marks": lambda: b"Subject: a" + "\u0345\u0300".encode() * 250_000 + b"\n\n",
    "5,000 parameters": lambda: b"Content-Type: text/plain" + b"".join(b"; p%d=v" % n for n in range(5_000)) + b"\n\n",
    "5,000 pieces of a parameter": lambda: (
        b"Content-Type: text/plain" + b"".join(b"; name*%d*=%%41" % n for n in range(5_000)) + b"\n\n"
    ),
    "parameters that never are": lambda: b"Content-Type: text/plain;" + b"a " * 500_000 + b"\n\n",
    "quotation marks in parameters": lambda: b'Content-Type: text/plain; a="' + b'\\"' * 450_000 + b"\n\n",
    "10,000 message ids": lambda: b"References: " + b"<a@b> " * 160_000 + b"\n\n",
    "a date of spaces": lambda: b"Date: " + b" " * 900_000 + b"1\n\n",
    "a date of comments": lambda: b"Date: " + b"(" * 900_000 + b"\n\n",
    "base64 rubbish": lambda: b"Content-Transfer-Encoding: base64\n\n" + b"=A" * 2_500_000,
    "quoted-printable rubbish": lambda: b"Content-Transfer-Encoding: quoted-printable\n\n" + b"= " * 2_500_000,
    "soft breaks of bare CR": lambda: b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=\r" * 2_500_000,
    "uuencode rubbish": lambda: b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + b"M!\n" * 300_000,
    "utf-7": lambda: b"Content-Type: text/plain; charset=utf-7\n\n" + b"+2AA-" * 400_000,
    "iso-2022-jp": lambda: b"Content-Type: text/plain; charset=iso-2022-jp\n\n" + b"\x1b$B\xff" * 400_000,
}
