"""The texts that a server publishes: mail programs' settings, security.txt, MTA-STS, figures."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from xml.etree import ElementTree

import pytest

from flaskmail.formats.autoconfig import Jmap, OAuth, Socket, document
from flaskmail.formats.exposition import Family, Sample, exposition, histogram
from flaskmail.formats.wellknown import mta_sts, security_txt

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)


def test_what_mail_programs_read() -> None:
    servers = [
        Jmap("https://m.example/jmap/session", ("OAuth2", "Basic")),
        Socket("imap", "i.example"),
        Socket("smtp", "s.example", None, True),
    ]
    oauth = OAuth("https://m.example", "https://m.example/authorize", "https://m.example/auth/token", "a b")
    root = ElementTree.fromstring(document("example.org", "Example", servers, oauth))
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    [provider] = root.findall("emailProvider")
    assert (provider.get("id"), provider.findtext("domain")) == ("example.org", "example.org")
    jmap, imap = provider.findall("incomingServer")
    assert (jmap.get("type"), jmap.findtext("url")) == ("jmap", "https://m.example/jmap/session")
    methods = [(one.text, one.get("system")) for one in jmap.findall("authentication")]
    assert methods == [("OAuth2", None), ("Basic", "http")]
    assert {jmap.findtext("username"), imap.findtext("username")} == {"%EMAILADDRESS%"}
    assert [imap.findtext(name) for name in ("hostname", "port", "socketType")] == ["i.example", "993", "SSL"]
    [smtp] = provider.findall("outgoingServer")
    assert [smtp.findtext(name) for name in ("hostname", "port", "socketType")] == ["s.example", "587", "STARTTLS"]
    assert root.findtext("oAuth2/issuer") == "https://m.example"
    assert root.findtext("oAuth2/tokenURL") == "https://m.example/auth/token"


@pytest.mark.parametrize(
    "text", ['<a href="x">&amp;\'', "</domain><domain>evil.example", "]]>", "\0\x01\x1b\ufffe\ud800 é\u2028"]
)
def test_nothing_escapes_from_the_xml(text: str) -> None:
    octets = document(text, text, [Jmap(text, (text,)), Socket("imap", text)], OAuth(text, text, text, text))
    root = ElementTree.fromstring(octets)
    assert len(list(root.iter("domain"))) == 1
    clean = "".join(c for c in text if c not in "\0\x01\x1b\ufffe\ud800")
    assert root.findtext("emailProvider/domain") == clean
    assert root.find("emailProvider").get("id") == clean


def test_names_are_cut_to_what_the_format_allows() -> None:
    root = ElementTree.fromstring(document("example.org", "n" * 100, []))
    assert len(root.findtext("emailProvider/displayName")) == 60
    assert len(root.findtext("emailProvider/displayShortName")) == 20


def fields(octets: bytes) -> list[tuple[str, str]]:
    assert octets.endswith(b"\r\n")
    return [tuple(one.split(": ", 1)) for one in octets.decode().split("\r\n")[:-1]]


def test_security_txt_has_what_it_must_have() -> None:
    found = fields(security_txt(["mailto:a@example.org", "https://example.org/s"], now=NOW))
    assert found == [
        ("Contact", "mailto:a@example.org"),
        ("Contact", "https://example.org/s"),
        ("Expires", "2027-03-01T00:00:00Z"),
    ]
    elsewhere = NOW.astimezone(timezone(timedelta(hours=14)))
    assert fields(security_txt(["tel:1"], now=elsewhere))[1] == ("Expires", "2027-03-01T00:00:00Z")


def test_security_txt_has_what_it_may_have() -> None:
    found = dict(
        fields(
            security_txt(
                ["mailto:a@example.org"],
                now=NOW,
                expires="2027-01-01T00:00:00Z",
                canonical="https://m.example/.well-known/security.txt",
                policy="https://p.example",
                acknowledgments="https://t.example",
                encryption=["https://k.example"],
                hiring="https://j.example",
                languages=["en", "de"],
            )
        )
    )
    assert found["Expires"] == "2027-01-01T00:00:00Z"
    assert found["Preferred-Languages"] == "en, de"
    assert set(found) == {
        *("Contact", "Expires", "Encryption", "Acknowledgments", "Preferred-Languages", "Canonical", "Policy", "Hiring")
    }


def test_mta_sts() -> None:
    assert mta_sts("enforce", 604800, ["mx.example.org", "*.mx.example.org"]) == (
        b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmx: *.mx.example.org\r\nmax_age: 604800\r\n"
    )


def test_figures() -> None:
    text = exposition(
        [
            Family("a_total", "counter", "How\nmany \\", [Sample(3, {"x": 'q"\\\n'}), Sample(2.5)]),
            Family("b", "histogram", "Times.", histogram([0.1, 1.0], [1, 2, 4], 12.25, {"area": "api"})),
            Family("c", "gauge", "Big.", [Sample(math.inf), Sample(-math.inf), Sample(1e300)]),
        ]
    ).decode()
    assert text == (
        "# HELP a_total How\\nmany \\\\\n# TYPE a_total counter\n"
        'a_total{x="q\\"\\\\\\n"} 3\na_total 2.5\n'
        "# HELP b Times.\n# TYPE b histogram\n"
        'b_bucket{area="api",le="0.1"} 1\nb_bucket{area="api",le="1"} 3\nb_bucket{area="api",le="+Inf"} 7\n'
        'b_sum{area="api"} 12.25\nb_count{area="api"} 7\n'
        "# HELP c Big.\n# TYPE c gauge\nc +Inf\nc -Inf\nc 1e+300\n"
    )
