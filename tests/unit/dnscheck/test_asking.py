"""Against a real name server: datagrams and connections on the loopback interface."""

from __future__ import annotations

import dns.resolver
import pytest
from nameserver import name_server

from flaskmail.decisions.dnsrecords import Facts, PublicKey, Record, Service, dns_records, in_order, zone_text
from flaskmail.dnscheck import asking
from flaskmail.dnscheck.asking import check_records

HOST = "mail.example.org"
FACTS = Facts(
    "example.org",
    HOST,
    in_order([(None, HOST)]),
    # Too long for one datagram without EDNS, and for one string.
    keys=(PublicKey("s", "rsa", "A" * 1400),),
    services=(Service("jmap", 443, HOST),),
    mta_sts="abc",
    autoconfig=True,
)
RECORDS = dns_records(FACTS)
ZONE = zone_text("example.org", RECORDS) + f"{HOST}. 60 IN A 192.0.2.1\n"


@pytest.fixture
def server():
    with name_server(ZONE) as server:
        yield server


def statuses(server, records=RECORDS, seconds=60):
    return {one.record.name: (one.status, one.detail) for one in check_records(records, [server.address], seconds)}


def test_what_the_zone_file_says_is_found(server):
    findings = check_records(RECORDS, [server.address], 60)
    assert [one.record for one in findings] == RECORDS
    assert {one.status for one in findings} == {"ok"}
    assert [one.found for one in findings] == [(one.content,) for one in RECORDS]


def test_an_empty_zone_misses_everything(server):
    server.serve("")
    assert {status for status, _ in statuses(server).values()} == {"missing"}


def test_what_differs_is_shown(server):
    server.serve(ZONE.replace("0 1 443", "0 1 444").replace("-all", "~all"))
    found = statuses(server)
    different = {name for name, (status, _) in found.items() if status == "different"}
    assert different == {"_jmap._tcp.example.org.", "example.org.", "mail.example.org."}


def test_a_host_without_addresses_is_found_out(server):
    server.serve(ZONE.replace(f"{HOST}. 60 IN A 192.0.2.1", ""))
    found = statuses(server, [RECORDS[0]])
    assert found == {"example.org.": ("different", "mail.example.org. has no address.")}


def test_addresses_in_place_of_an_alias(server):
    server.serve(
        f"{HOST}. 60 IN A 192.0.2.1\n{HOST}. 60 IN AAAA 2001:db8::1\nautoconfig.example.org. 60 IN A 192.0.2.1\n"
    )
    (record,) = [one for one in RECORDS if one.purpose == "autoconfig"]
    assert statuses(server, [record])[record.name][0] == "ok"
    server.serve(f"{HOST}. 60 IN A 192.0.2.1\nautoconfig.example.org. 60 IN A 192.0.2.2\n")
    assert statuses(server, [record])[record.name][0] == "different"


def test_names_that_nobody_answers_are_unknown_and_the_others_known(server):
    silent, failing, rubbish = "_dmarc.example.org.", "_smtp._tls.example.org.", "_mta-sts.example.org."
    server.silent, server.failing, server.rubbish = {silent}, {failing}, {rubbish}
    # The silent one takes all the time that there is, in which a slow machine has to ask for the others.
    for seconds in (1, 10, 60):
        found = statuses(server, seconds=seconds)
        others = {status for name, (status, _) in found.items() if name not in (silent, failing, rubbish)}
        if others == {"ok"} and "time" not in found[failing][1]:
            break
    assert found[silent] == ("unknown", "No resolver answered in time.")
    assert found[failing] == ("unknown", "No resolver gave a usable answer.")
    assert found[rubbish][0] == "unknown"
    assert others == {"ok"}


def test_a_server_that_says_nothing_at_all_ends_the_check(server):
    server.silent = {one.name for one in RECORDS}
    assert {status for status, _ in statuses(server, RECORDS * 3, seconds=0.5).values()} == {"unknown"}


def test_a_resolver_that_is_not_there_is_unknown(server, monkeypatch):
    monkeypatch.setattr(asking, "TRY", 0.2)
    # Nothing listens on the port of a socket that is closed.
    with name_server() as gone:
        pass
    assert {one.status for one in check_records(RECORDS[:2], [gone.address], 0.5)} == {"unknown"}
    # The next one is asked.
    found = check_records(RECORDS[:2], [gone.address, server.address], 60)
    assert {one.status for one in found} == {"ok"}


def test_long_answers_come_over_a_connection(server):
    (record,) = [one for one in RECORDS if one.purpose == "dkim"]
    server.asked.clear()
    assert statuses(server, [record])[record.name][0] == "ok"
    assert server.asked.count((record.name, "TXT")) == 2


def test_octets_that_are_no_text_are_shown(server):
    server.serve('example.org. 60 IN TXT "v=spf1 \\255\\000"\n')
    finding = check_records([RECORDS[1]], [server.address], 60)[0]
    assert (finding.status, finding.found) == ("different", ("v=spf1 \\xff\x00",))


def test_a_name_that_cannot_be_asked_is_unknown(server):
    record = Record("TXT", "a" * 64 + ".example.org.", "v=spf1 -all", "spf")
    assert check_records([record], [server.address], 60)[0].status == "unknown"


def test_a_machine_without_resolvers_is_told_to_name_one(monkeypatch, tmp_path):
    read = dns.resolver.Resolver.read_resolv_conf
    monkeypatch.setattr(
        dns.resolver.Resolver, "read_resolv_conf", lambda self, f: read(self, str(tmp_path / "missing"))
    )
    finding = check_records(RECORDS[:1], [], 1)[0]
    assert (finding.status, "dns.resolver" in finding.detail) == ("unknown", True)


def test_the_resolvers_of_the_machine_are_asked_by_default(server, monkeypatch, tmp_path):
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch example.org\n")
    read = dns.resolver.Resolver.read_resolv_conf

    def read_own(self, f):
        read(self, str(tmp_path / "resolv.conf"))
        self.port = server.address[1]

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", read_own)
    assert check_records(RECORDS[:1], [], 5)[0].status == "ok"
