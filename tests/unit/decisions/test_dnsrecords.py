from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.decisions.dnsrecords import (
    PURPOSES,
    Exchanger,
    Facts,
    PublicKey,
    Record,
    Service,
    dns_records,
    in_order,
    no_public_name,
    quoted,
    zone_text,
)

HOST = "mail.example.org"
FACTS = Facts("example.org", HOST, in_order([(None, HOST)]), services=(Service("jmap", 443, HOST),))


def contents(facts, purpose):
    return [(one.type, one.name, one.content) for one in dns_records(facts) if one.purpose == purpose]


def test_the_plain_case():
    found = [(one.type, one.name, one.content) for one in dns_records(FACTS)]
    assert found == [
        ("MX", "example.org.", "10 mail.example.org."),
        ("TXT", "example.org.", "v=spf1 mx -all"),
        ("TXT", "mail.example.org.", "v=spf1 a -all"),
        ("TXT", "_dmarc.example.org.", "v=DMARC1; p=none; rua=mailto:postmaster@example.org"),
        ("TXT", "_smtp._tls.example.org.", "v=TLSRPTv1; rua=mailto:postmaster@example.org"),
        ("SRV", "_jmap._tcp.example.org.", "0 1 443 mail.example.org."),
    ]


def test_keys_have_records_of_their_own():
    facts = replace(FACTS, keys=(PublicKey("a", "rsa", "QUJD"), PublicKey("b.c", "ed25519", "REVG")))
    assert contents(facts, "dkim") == [
        ("TXT", "a._domainkey.example.org.", "v=DKIM1; k=rsa; h=sha256; p=QUJD"),
        ("TXT", "b.c._domainkey.example.org.", "v=DKIM1; k=ed25519; h=sha256; p=REVG"),
    ]


def test_mta_sts_and_autoconfig_stand_where_they_are_served():
    facts = replace(FACTS, mta_sts="abc1", autoconfig=True)
    assert contents(facts, "mta-sts") == [("TXT", "_mta-sts.example.org.", "v=STSv1; id=abc1")]
    assert contents(facts, "mta-sts-host") == [("CNAME", "mta-sts.example.org.", "mail.example.org.")]
    assert contents(facts, "autoconfig") == [("CNAME", "autoconfig.example.org.", "mail.example.org.")]
    # A name cannot be its own alias.
    assert contents(replace(facts, host="autoconfig.example.org"), "autoconfig") == []


def test_a_host_of_another_domain_is_not_ours_to_describe():
    facts = replace(FACTS, host="mail.provider.example")
    assert contents(facts, "spf-host") == []
    assert contents(replace(FACTS, host="example.org"), "spf-host") == []
    # The end of a name is not its parent.
    assert contents(replace(FACTS, host="notexample.org"), "spf-host") == []


@pytest.mark.parametrize(
    ("reports", "agreed"),
    [
        ("", []),
        ("a@example.org", []),
        ("a@dmarc.example.org", []),
        ("a@provider.example", [("TXT", "example.org._report._dmarc.provider.example.", "v=DMARC1")]),
        ("a@notexample.org", [("TXT", "example.org._report._dmarc.notexample.org.", "v=DMARC1")]),
    ],
)
def test_another_domain_agrees_to_take_reports(reports, agreed):
    assert contents(replace(FACTS, reports=reports), "dmarc-reports") == agreed


def test_the_address_of_reports_is_a_uri():
    facts = replace(FACTS, reports="a!b;c/d%e@example.org")
    (record,) = contents(facts, "dmarc")
    assert record[2] == "v=DMARC1; p=none; rua=mailto:a%21b%3Bc%2Fd%25e@example.org"


def test_exchangers_without_preference_go_by_their_place():
    assert in_order([(None, "a"), (5, "b"), (None, "c"), (0, "d")]) == (
        Exchanger(10, "a"), Exchanger(5, "b"), Exchanger(30, "c"), Exchanger(0, "d"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("box", True), ("a.local", True), ("x.localhost", True), ("", True), ("a.org", False)],
)
def test_names_that_only_this_machine_knows(host, expected):
    assert no_public_name(host) is expected


def everything():
    public = base64.b64encode(bytes(range(256)) + bytes(38)).decode()
    return replace(
        FACTS,
        exchangers=in_order([(None, "mx1.example.org"), (None, "mx2.provider.example")]),
        keys=(PublicKey("202604r", "rsa", public), PublicKey("202604e", "ed25519", "REVG")),
        spf='v=spf1 exp="\\quote" -all',
        reports="a@provider.example",
        mta_sts="abc",
        autoconfig=True,
    )


def test_every_purpose_is_explained_and_used():
    assert {one.purpose for one in dns_records(everything())} == set(PURPOSES)


def read_zone(text):
    """(type, name, content) of each record, as a reader of zone files that is not ours has them."""
    zone = dns.zone.from_text(
        "example.org. 1 IN SOA . . 1 1 1 1 1\nexample.org. 1 IN NS ns.example.net.\n" + text,
        "example.org.",
        relativize=False,
        check_origin=False,
    )
    found = set()
    for name, _, rdata in zone.iterate_rdatas():
        kind = dns.rdatatype.to_text(rdata.rdtype)
        if kind not in ("SOA", "NS"):
            content = b"".join(rdata.strings).decode() if kind == "TXT" else rdata.to_text()
            found.add((kind, name.to_text(), content))
            assert kind != "TXT" or all(len(one) <= 255 for one in rdata.strings)
    return found


def test_a_zone_file_says_the_same():
    records = dns_records(everything())
    text = zone_text("example.org", records)
    own = {(one.type, one.name, one.content) for one in records if one.purpose != "dmarc-reports"}
    assert read_zone(text) == own
    assert "; In the zone of another domain: example.org._report._dmarc.provider.example. 3600 IN TXT" in text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=700))
def test_any_text_comes_back_from_a_zone_file(content):
    text = zone_text("example.org", [Record("TXT", "a.example.org.", content, "spf")])
    assert read_zone(text) == {("TXT", "a.example.org.", content)}


def test_texts_are_split_by_octets():
    assert quoted("") == '""'
    assert quoted("a" * 255) == '"' + "a" * 255 + '"'
    assert quoted("a" * 256) == '"' + "a" * 255 + '" "a"'
    assert quoted('"\\\x07ü') == '"\\"\\\\\\007\\195\\188"'


def test_the_page_explains_every_purpose():
    page = (Path(__file__).parents[3] / "docs" / "dns.md").read_text()
    named = re.findall(r"^\| `([a-z-]+)` \| ([A-Z]+) `", page, re.MULTILINE)
    records = {one.purpose: one.type for one in dns_records(everything())}
    assert dict(named) == records
    assert [purpose for purpose, _ in named] == list(PURPOSES)
