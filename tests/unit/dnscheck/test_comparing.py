from __future__ import annotations

import pytest

from flaskmail.decisions.dnsrecords import Record
from flaskmail.dnscheck.comparing import Answer, Finding, compare, compare_addresses, compare_target

SPF = Record("TXT", "example.org.", "v=spf1 mx -all", "spf")
DKIM = Record("TXT", "s._domainkey.example.org.", "v=DKIM1; k=rsa; h=sha256; p=QUJDREVG", "dkim")
ED = Record("TXT", "s._domainkey.example.org.", "v=DKIM1; k=ed25519; h=sha256; p=QUJDREVG", "dkim")
DMARC = Record("TXT", "_dmarc.example.org.", "v=DMARC1; p=none; rua=mailto:p@example.org", "dmarc")
STS = Record("TXT", "_mta-sts.example.org.", "v=STSv1; id=abc", "mta-sts")
MX = Record("MX", "example.org.", "10 mail.example.org.", "mx")
SRV = Record("SRV", "_jmap._tcp.example.org.", "0 1 443 mail.example.org.", "service")


@pytest.mark.parametrize(
    ("record", "published", "status"),
    [
        (SPF, [], "missing"),
        (SPF, ["google-site-verification=x"], "missing"),
        (SPF, ["v=spf10 mx -all"], "missing"),
        (SPF, ["v=spf1 mx -all", "google-site-verification=x"], "ok"),
        (SPF, ["V=SPF1  MX  -all"], "ok"),
        (SPF, ["v=spf1 mx ~all"], "different"),
        (SPF, ["v=spf1 mx -all", "v=spf1 a -all"], "different"),
        (DKIM, ["v=DKIM1; k=rsa; h=sha256; p=QUJDREVG"], "ok"),
        (DKIM, ["p=QUJD REVG"], "ok"),
        (DKIM, ["v=DKIM1;k=rsa;t=s;n=note;p=QUJDREVG;"], "ok"),
        (DKIM, ["v=DKIM1; p=qujdrevg"], "different"),
        (DKIM, ["v=DKIM1; p="], "different"),
        (DKIM, ["v=DKIM1; h=sha1; p=QUJDREVG"], "different"),
        (DKIM, ["v=DKIM1; t=y; p=QUJDREVG"], "different"),
        (DKIM, ["v=DKIM1; k=ed25519; p=QUJDREVG"], "different"),
        (DKIM, ["p=QUJDREVG", "p=QUJDREVG2"], "different"),
        (DKIM, [""], "different"),
        (ED, ["p=QUJDREVG"], "different"),
        (DMARC, ["v=DMARC1; p=none; rua=mailto:p@example.org; pct=50"], "ok"),
        (DMARC, ["v=DMARC1;p=none;rua=mailto:x@example.org, mailto:p@example.org"], "ok"),
        (DMARC, ["v=DMARC1; p=reject; rua=mailto:p@example.org"], "different"),
        (DMARC, ["v=DMARC1; p=none"], "different"),
        (DMARC, ["v=DMARC1; p=none; rua=mailto:pp@example.org"], "different"),
        (DMARC, ["v=spf1 -all"], "missing"),
        (STS, ["v=STSv1; id=abc;"], "ok"),
        (STS, ["v=STSv1; id=other"], "different"),
        (MX, ["10 MAIL.example.org."], "ok"),
        (MX, ["10 mail.example.org.", "20 backup.example.org."], "ok"),
        (MX, ["20 mail.example.org."], "different"),
        (MX, ["0 ."], "different"),
        (MX, [], "missing"),
        (SRV, ["0 1 443 mail.example.org."], "ok"),
        (SRV, ["0 1 8443 mail.example.org."], "different"),
    ],
)
def test_what_is_published_beside_what_should_be(record, published, status):
    assert compare(record, Answer(tuple(published))).status == status


def test_only_what_is_of_the_kind_is_shown():
    finding = compare(SPF, Answer(("v=spf1 a -all", "secret=1")))
    assert finding.found == ("v=spf1 a -all",)


def test_without_an_answer_nothing_is_known():
    for record in (SPF, MX):
        assert compare(record, Answer(failure="No.")) == Finding(record, "unknown", (), "No.")


def test_addresses_may_stand_for_an_alias():
    alias = Record("CNAME", "mta-sts.example.org.", "mail.example.org.", "mta-sts-host")
    one, both, other = Answer(("192.0.2.1",)), Answer(("192.0.2.1", "2001:db8::1")), Answer(("192.0.2.9",))
    assert compare_addresses(alias, one, both).status == "ok"
    assert compare_addresses(alias, both, one).status == "different"
    assert compare_addresses(alias, other, both).status == "different"
    assert compare_addresses(alias, Answer(), both).status == "missing"
    assert compare_addresses(alias, one, Answer(failure="No.")).status == "unknown"
    assert compare_addresses(alias, Answer(failure="No."), one).status == "unknown"


def test_the_host_behind_a_record_must_be_one():
    fine = Finding(MX, "ok", (MX.content,))
    one = Answer(("192.0.2.1",))
    assert compare_target(fine, one, Answer()) == fine
    assert compare_target(fine, Answer(failure="No."), Answer(failure="No.")) == fine
    assert compare_target(fine, Answer(), Answer()).detail == "mail.example.org. has no address."
    alias = compare_target(fine, one, Answer(("other.example.org.",)))
    assert (alias.status, "alias of other.example.org." in alias.detail) == ("different", True)
