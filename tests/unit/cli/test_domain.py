from __future__ import annotations

import json

import pytest
from nameserver import name_server


@pytest.fixture
def names(tmp_path, flaskmail, monkeypatch):
    with name_server() as server:
        config = f"""
[lookup.default]
hostname = "mail.example.org"
[dns]
resolver = ["127.0.0.1:{server.address[1]}"]
timeout = "30s"
reports = "reports@example.net"
"""
        (tmp_path / "config.toml").write_text(config)
        yield server


def test_domains(flaskmail, told):
    assert told("domain", "create", "Bücher.example", "--description", "Books")["name"] == "xn--bcher-kva.example"
    assert flaskmail("domain", "create", "bücher.example").exit_code == 1
    assert flaskmail("domain", "describe", "bücher.example", "More books").exit_code == 0
    assert [(one["name"], one["accounts"], one["description"]) for one in told("domain", "list")] == [
        ("example.org", 1, ""),
        ("xn--bcher-kva.example", 0, "More books"),
    ]
    assert [one["name"] for one in told("domain", "list", "books")] == ["xn--bcher-kva.example"]
    assert "More books" in flaskmail("domain", "show", "bücher.example").stdout
    assert flaskmail("domain", "delete", "bücher.example").exit_code == 0
    kept = flaskmail("domain", "delete", "example.org")
    assert (kept.exit_code, "still has 1 account" in kept.stderr) == (1, True)
    assert [one["name"] for one in told("domain", "list")] == ["example.org"]


def test_keys(flaskmail, told):
    made = told("dkim", "create", "Example.org", "--algorithm", "ed25519", "--selector", "s")
    assert (made["id"], made["domain"], made["algorithm"]) == ("ed25519-example.org", "example.org", "Ed25519")
    assert made["record"]["content"] == f"v=DKIM1; k=ed25519; h=sha256; p={made['publicKey']}"
    again = flaskmail("dkim", "create", "example.org", "--algorithm", "ed25519")
    assert (again.exit_code, again.stdout, "already" in again.stderr) == (1, "", True)
    second = flaskmail("dkim", "create", "example.org", "--id", "second")
    assert "second" in second.stdout
    assert "TXT\nv=DKIM1; k=rsa;" in second.stdout
    assert [one["id"] for one in told("dkim", "list", "--domain", "example.org")] == [made["id"], "second"]
    assert told("dkim", "show", made["id"]) == made
    assert flaskmail("dkim", "delete", made["id"]).exit_code == 0
    gone = flaskmail("dkim", "show", made["id"])
    assert (gone.exit_code, "no DKIM key" in gone.stderr) == (1, True)


def test_records_and_their_check(flaskmail, told, names):
    flaskmail("dkim", "create", "example.org", "--algorithm", "ed25519")
    records = told("domain", "dns", "example.org")
    assert "_jmap._tcp.example.org." in flaskmail("domain", "dns", "example.org").stdout
    zone = flaskmail("domain", "dns", "example.org", "--zone").stdout
    zone = zone.replace("; In the zone of another domain: ", "")
    assert sum(not line.startswith(";") for line in zone.splitlines()) == len(records)

    names.serve(zone + "mail.example.org. 60 IN A 192.0.2.1\n")
    done = flaskmail("domain", "check", "example.org")
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ok"] * len(records)

    names.serve(names.text.replace("v=DMARC1; p=none", "v=DMARC1; p=\\027[2Jnone"))
    spoiled = flaskmail("domain", "check", "example.org")
    assert spoiled.exit_code == 1
    assert "different  TXT    _dmarc.example.org." in spoiled.stdout
    assert "\\x1b[2J" in spoiled.stdout
    assert "\x1b" not in spoiled.stdout
    found = flaskmail("domain", "check", "example.org", "--json")
    assert (found.exit_code, json.loads(found.stdout)["complete"]) == (1, False)


def test_records_need_a_public_name(flaskmail):
    done = flaskmail("domain", "dns", "example.org")
    assert (done.exit_code, "server.http.url" in done.stderr) == (1, True)
