"""Domains, their DKIM keys and their records in the DNS."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from nameserver import name_server

from flaskmail.testing import PASSWORD, MadeServer, basic, make_server

from .conftest import Manager

UNLIMITED = "[server.http.rate-limit]\nanonymous = false\naccount = false\n"


@pytest.fixture
def domains(made: MadeServer):
    for name in ("example.org", "example.com"):
        made.server.directory.domains.create(name)
    return made.server.directory.domains


@pytest.fixture
def own(made: MadeServer, domains) -> Manager:
    """The administrator of example.org alone."""
    made.account("boss@example.org")
    with made.server.directory._database.write() as execute:
        execute("UPDATE principal SET roles='[\"domain-admin\"]' WHERE name='boss@example.org'")
    return Manager(made, basic("boss@example.org"))


def refused(said, status, **members):
    assert said.status == status, (said.status, said.json)
    assert said.json["status"] == status
    for name, value in members.items():
        assert said.json[name] == value, said.json
    return said.json


# ---- domains
def test_a_domain_is_made_listed_changed_and_deleted(admin):
    made = admin("POST", "/domain", {"name": "Example.ORG", "description": "Main"}).data
    assert (made["name"], made["description"], made["accounts"]) == ("example.org", "Main", 0)
    assert admin("POST", "/domain/second.example").data is None
    assert admin("GET", "/domain").data == {"items": ["example.org", "second.example"], "total": 2}
    assert admin("GET", "/domain", limit=1, page=2).data == {"items": ["second.example"], "total": 2}
    assert admin("GET", "/domain", filter="MAIN", details="true").data == {"items": [made], "total": 1}
    assert admin("PATCH", "/domain/example.org", {"description": "Other"}).data == {**made, "description": "Other"}
    assert admin("GET", "/domain/example.org").data["description"] == "Other"
    assert admin("DELETE", "/domain/example.org").data is None
    refused(admin("GET", "/domain/example.org"), 404, error="notFound", item="example.org")


def test_international_names_have_their_ascii_form(admin):
    assert admin("POST", "/domain/Bücher.example").data is None
    assert admin("GET", "/domain/bücher.example").data["name"] == "xn--bcher-kva.example"


def test_what_is_wrong_with_a_domain_is_named(admin, made, domains):
    refused(admin("POST", "/domain", {"name": "EXAMPLE.org"}), 409, error="fieldAlreadyExists", field="name")
    refused(admin("POST", "/domain", {"name": "a b"}), 400, member="name")
    refused(admin("POST", "/domain", {"name": "192.0.2.1"}), 400, member="name")
    for name in (" a.example", "a.example.", "a.example\n", "bücher.example", "a" * 300):
        refused(admin("POST", "/domain", {"name": name}), 400, member="name")
    assert "xn--" in refused(admin("POST", "/domain", {"name": "bücher.example"}), 400)["detail"]
    refused(admin("POST", "/domain/192.0.2.1"), 404, item="192.0.2.1")
    for method, body in (("GET", None), ("PATCH", {"description": ""}), ("DELETE", None)):
        refused(admin(method, "/domain/192.0.2.1", body), 404, item="192.0.2.1")
    refused(admin("POST", "/domain", {}), 400, error="fieldMissing", field="name")
    refused(admin("POST", "/domain", {"name": "x.example", "disabled": True}), 400, member="disabled")
    refused(admin("PATCH", "/domain/example.org", {"name": "x.example"}), 400, member="name")
    for given in ("two\nlines", "\x1b[31m"):
        refused(admin("PATCH", "/domain/example.org", {"description": given}), 400, member="description")
        for path, kind in (("/domain", {}), ("/principal", {"type": "domain"})):
            refused(admin("POST", path, {"name": "x.example", "description": given} | kind), 400, member="description")
    refused(admin("DELETE", "/domain/exampel.org"), 404)
    made.account("alice@example.org")
    assert "1 account" in refused(admin("DELETE", "/domain/example.org"), 409)["detail"]
    assert domains.get("example.org").accounts == 1


def test_a_domain_administrator_sees_his_own_only(own, domains):
    assert own("GET", "/domain").data == {"items": ["example.org"], "total": 1}
    assert own("GET", "/domain", filter="com").data == {"items": [], "total": 0}
    assert own("PATCH", "/domain/example.org", {"description": "Mine"}).data["description"] == "Mine"
    foreign = refused(own("GET", "/domain/example.com"), 404)
    missing = refused(own("GET", "/domain/example.net"), 404)
    assert foreign["detail"].replace("example.com", "") == missing["detail"].replace("example.net", "")
    refused(own("PATCH", "/domain/example.com", {"description": "Mine"}), 404)
    refused(own("DELETE", "/domain/example.com"), 403, permission="domain-delete")
    refused(own("POST", "/domain", {"name": "example.com"}), 403, permission="domain-create")
    refused(own("POST", "/domain/new.example"), 403, permission="domain-create")
    assert {one.name: one.description for one in domains.all()} == {"example.com": "", "example.org": "Mine"}


def test_making_domains_takes_reach_over_all_of_them(own, made):
    with made.server.directory._database.write() as execute:
        execute("UPDATE principal SET enabled_permissions='[\"domain-create\"]' WHERE name='boss@example.org'")
    for name in ("example.com", "new.example"):
        refused(own("POST", "/domain", {"name": name}), 403, permission="all-domains")
        refused(own("POST", f"/domain/{name}"), 403, permission="all-domains")


def test_nobody_else_gets_in(made, domains, anybody):
    made.account("alice@example.org")
    alice = Manager(made, basic("alice@example.org"))
    for method, path, body in (
        ("GET", "/domain", None),
        ("GET", "/domain/example.org", None),
        ("GET", "/dns/records/example.org", None),
        ("GET", "/dns/zone/example.org", None),
        ("GET", "/dns/check/example.org", None),
        ("GET", "/dkim", None),
        ("POST", "/dkim", {"domain": "example.org"}),
    ):
        assert anybody(method, path, body).status == 401
        assert "permission" in refused(alice(method, path, body), 403)
    assert made.server.directory.dkim.page() == ([], 0)


# ---- DKIM
def test_keys_are_made_as_the_old_api_made_them(admin, domains):
    assert (
        admin("POST", "/dkim", {"id": None, "algorithm": "Rsa", "domain": "example.org", "selector": None}).data is None
    )
    assert admin("POST", "/dkim", {"algorithm": "Ed25519", "domain": "example.org"}).data is None
    rsa = admin("GET", "/dkim/rsa-example.org").data
    assert load_der_public_key(base64.b64decode(rsa)).key_size == 2048
    assert len(base64.b64decode(admin("GET", "/dkim/ed25519-example.org").data)) == 32
    listed = admin("GET", "/dkim", domain="example.org").data
    assert [(one["id"], one["algorithm"]) for one in listed["items"]] == [
        ("ed25519-example.org", "Ed25519"), ("rsa-example.org", "Rsa"),
    ]  # fmt: skip
    assert listed["items"][1]["publicKey"] == rsa
    assert admin("GET", "/dkim", domain="example.com").data == {"items": [], "total": 0}
    assert admin("GET", "/dkim", limit=1).data["total"] == 2
    assert admin("DELETE", "/dkim/rsa-example.org").data is None
    refused(admin("GET", "/dkim/rsa-example.org"), 404, item="rsa-example.org")


def test_a_conflict_tells_nothing_of_the_key(admin, made, domains):
    new = {"algorithm": "Ed25519", "domain": "example.org", "id": "mine", "selector": "s"}
    admin("POST", "/dkim", new)
    public = admin("GET", "/dkim/mine").data
    private = made.server.directory.dkim.sign_key("mine").private.private_bytes_raw()
    said = [
        refused(admin("POST", "/dkim", new), 409, error="fieldAlreadyExists", field="id", value="mine"),
        refused(admin("POST", "/dkim", {**new, "id": "other"}), 409, field="selector", value="s"),
    ]
    told = repr(said) + repr(admin("GET", "/dkim").json) + repr(admin("GET", "/audit").json)
    for secret in (base64.b64encode(private).decode(), private.hex()):
        assert secret not in told
    assert public not in repr(said)
    assert admin("GET", "/dkim/mine").data == public


def test_what_is_wrong_with_a_key_is_named(admin, domains):
    new = {"algorithm": "Ed25519", "domain": "example.org"}
    refused(admin("POST", "/dkim", {**new, "algorithm": "Dsa"}), 400, member="algorithm")
    refused(admin("POST", "/dkim", {**new, "id": "a/b"}), 400, member="id")
    refused(admin("POST", "/dkim", {**new, "id": "a\n"}), 400, member="id")
    refused(admin("POST", "/dkim", {**new, "selector": "a_b"}), 400, member="selector")
    refused(admin("POST", "/dkim", {**new, "domain": "a b"}), 400, member="domain")
    refused(admin("POST", "/dkim", {**new, "private": "x"}), 400, member="private")
    refused(admin("POST", "/dkim", {**new, "domain": "missing.example"}), 404, item="missing.example")
    refused(admin("POST", "/dkim", {**new, "selector": "x." * 119 + "x"}), 409)
    assert admin("GET", "/dkim", domain="a b").data == {"items": [], "total": 0}
    refused(admin("DELETE", "/dkim/missing"), 404, item="missing")


def test_a_domain_administrator_has_the_keys_of_his_own_only(own, admin):
    for name in ("example.org", "example.com"):
        admin("POST", "/dkim", {"algorithm": "Ed25519", "domain": name})
    listed = own("GET", "/dkim").data
    assert [one["domain"] for one in listed["items"]] == ["example.org"]
    assert own("GET", "/dkim", domain="example.com").data == {"items": [], "total": 0}
    foreign = refused(own("GET", "/dkim/ed25519-example.com"), 404)
    missing = refused(own("GET", "/dkim/ed25519-example.net"), 404)
    assert foreign["detail"].replace("example.com", "x") == missing["detail"].replace("example.net", "x")
    refused(own("DELETE", "/dkim/ed25519-example.com"), 404)
    refused(own("POST", "/dkim", {"algorithm": "Ed25519", "domain": "example.com"}), 404)
    # An id that is taken elsewhere is refused as any other that is not the domain's own.
    taken = refused(own("POST", "/dkim", {"domain": "example.org", "id": "ed25519-example.com"}), 403)
    free = refused(own("POST", "/dkim", {"domain": "example.org", "id": "ed25519-example.net"}), 403)
    assert (taken, taken["permission"]) == (free, "all-domains")
    assert own("POST", "/dkim", {"domain": "example.org", "id": "second-example.org", "selector": "x"}).data is None
    assert own("DELETE", "/dkim/ed25519-example.org").data is None
    assert admin("GET", "/dkim/ed25519-example.com").data


# ---- the DNS
def test_records_of_a_server_that_nobody_can_find(admin, domains):
    detail = refused(admin("GET", "/dns/records/example.org"), 409, error="assertFailed")["detail"]
    assert "server.http.url" in detail
    refused(admin("GET", "/dns/zone/example.org"), 409)
    refused(admin("GET", "/dns/check/example.org"), 409)
    refused(admin("GET", "/dns/records/missing.example"), 404)


def managed(config: str):
    return make_server(config=config)


def as_admin(made: MadeServer) -> Manager:
    made.server.ensure_admin()
    made.server.directory.principals.set_password("admin", made.server.directory.passwords.hash(PASSWORD))
    made.server.directory.domains.create("example.org")
    return Manager(made, basic("admin"))


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ('[server.http]\nurl = "https://mail.example.org:8443"\n', 8443),
        (
            "[server.http]\nurl = \"'https://' + key_get('default', 'hostname')\"\n"
            '[lookup.default]\nhostname = "mail.example.org"\n',
            443,
        ),
        ("[server.http]\nurl = \"protocol + '://mail.example.org'\"\n", 443),
        ('[lookup.default]\nhostname = "Mail.Example.org"\n', 443),
    ],
)
def test_records_lead_to_the_public_name(config, port):
    with managed(config) as made:
        found = as_admin(made)("GET", "/dns/records/example.org").data
        assert {"type": "MX", "name": "example.org.", "content": "10 mail.example.org."} in found
        assert {"type": "SRV", "name": "_jmap._tcp.example.org.", "content": f"0 1 {port} mail.example.org."} in found


SETTINGS = """
[lookup.default]
hostname = "mail.example.org"
[dns]
mx = ["mx1.example.net", "5 mx2.example.net"]
spf = "v=spf1 include:relay.example.net -all"
dmarc-policy = "reject"
reports = "reports@example.com"
resolver = ["127.0.0.1:%d"]
timeout = "30s"
[session.mta-sts]
mode = "enforce"
[discovery.autoconfig.imap]
hostname = "imap.example.org"
[discovery.autoconfig.smtp]
hostname = "smtp.example.org"
port = 2587
tls = "starttls"
"""


def test_records_follow_the_settings_and_are_found_where_they_are_published():
    with name_server() as server, managed(SETTINGS % server.address[1]) as made:
        admin = as_admin(made)
        admin("POST", "/dkim", {"domain": "example.org", "selector": "s"})
        found = {(one["type"], one["name"]): one["content"] for one in admin("GET", "/dns/records/example.org").data}
        assert found[("TXT", "example.org.")] == "v=spf1 include:relay.example.net -all"
        assert found[("TXT", "_dmarc.example.org.")] == "v=DMARC1; p=reject; rua=mailto:reports@example.com"
        assert found[("TXT", "example.org._report._dmarc.example.com.")] == "v=DMARC1"
        assert found[("TXT", "_mta-sts.example.org.")].startswith("v=STSv1; id=")
        assert found[("CNAME", "autoconfig.example.org.")] == "mail.example.org."
        assert found[("SRV", "_imaps._tcp.example.org.")] == "0 1 993 imap.example.org."
        assert found[("SRV", "_submission._tcp.example.org.")] == "0 1 2587 smtp.example.org."
        assert found[("TXT", "s._domainkey.example.org.")].endswith(admin("GET", "/dkim/rsa-example.org").data)

        missing = admin("GET", "/dns/check/example.org").data
        assert (missing["complete"], {one["status"] for one in missing["items"]}) == (False, {"missing"})

        reply = made.client.get("/api/dns/zone/example.org", headers={"Authorization": basic("admin")})
        assert reply.content_type == "text/dns; charset=us-ascii"
        hosts = ("mx1.example.net", "mx2.example.net", "mail.example.org", "imap.example.org", "smtp.example.org")
        addresses = "".join(f"{host}. 60 IN A 192.0.2.1\n" for host in hosts)
        server.serve(reply.text.replace("; In the zone of another domain: ", "") + addresses)
        published = admin("GET", "/dns/check/example.org").data
        assert {one["status"] for one in published["items"]} == {"ok"}
        assert (published["complete"], published["domain"], published["total"]) == (True, "example.org", len(found) + 1)

        server.serve(server.text.replace("p=reject", "p=none"))
        different = admin("GET", "/dns/check/example.org").data
        (one,) = [one for one in different["items"] if one["status"] != "ok"]
        assert (one["purpose"], one["status"]) == ("dmarc", "different")
        assert one["found"] == ["v=DMARC1; p=none; rua=mailto:reports@example.com"]


def test_another_policy_of_mta_sts_has_another_id():
    ids = set()
    for mode in ("testing", "enforce"):
        config = SETTINGS.replace("enforce", mode) % 5353
        with managed(config) as made:
            found = as_admin(made)("GET", "/dns/records/example.org").data
            ids |= {one["content"] for one in found if one["name"] == "_mta-sts.example.org."}
    assert len(ids) == 2


def test_records_that_contradict_the_policy_of_mta_sts_are_not_told():
    named = '[lookup.default]\nhostname = "mail.example.org"\n[session.mta-sts]\nmode = "enforce"\nmx = ["{}"]\n'
    for host, status in (("mx.example.net", 409), ("*.example.org", 200)):
        with managed(named.format(host)) as made:
            assert as_admin(made)("GET", "/dns/records/example.org").status == status, host


def test_a_domain_administrator_reads_the_records_of_his_own_only(own):
    for what in ("records", "zone", "check"):
        refused(own("GET", f"/dns/{what}/example.com"), 404)
        refused(own("GET", f"/dns/{what}/example.org"), 409)
