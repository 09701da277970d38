from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from guessing import Guesses
from workers import each_worker

from flaskmail.testing import PASSWORD, LiveServer, Reply, basic, live_server

from .conftest import ROOT, START


def statuses(live: LiveServer, header: str, path: str = "/jmap/session") -> set[int]:
    """What each worker answers."""
    return {live.send("GET", path, {"Authorization": header}, b"").status for _ in each_worker(live)}


def seen_from(live: LiveServer, address: str) -> LiveServer:
    """The server as it is asked from another address: what was tried from there does not count here."""
    return LiveServer(live.folder, live.process, live.port, None, address)


def test_an_account_made_while_the_server_runs_works_at_once(live: LiveServer) -> None:
    live = seen_from(live, "127.0.0.2")
    assert statuses(live, basic("alice@example.org")) == {401}
    done = live.cli("account", "create", "Alice@Example.org", "--password-stdin", input=PASSWORD + "\nmore\n")
    assert done.returncode == 0
    assert "Made the domain example.org." in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    alice = live.jmap("alice@example.org")
    assert alice.id is not None
    assert alice.session["accounts"][alice.id]["name"] == "alice@example.org"
    assert statuses(live, basic("alice@example.org")) == {200}
    assert alice.download(alice.upload(b"data")) == b"data"


def test_a_made_password_is_printed_once_and_works(live: LiveServer) -> None:
    done = live.cli("account", "create", "made@example.org")
    match = re.search(r"not shown again: (\S{20,})$", done.stdout.strip())
    assert match is not None, done
    assert live.jmap("made@example.org", match[1]).id
    told = json.loads(live.cli("account", "create", "two@example.org", "--json").stdout)
    assert live.jmap("two@example.org", told["password"]).id == told["id"]


def test_a_disabled_account_is_refused_at_once_by_every_worker(live: LiveServer) -> None:
    live = seen_from(live, "127.0.0.3")
    live.account("dora@example.org")
    token = json.loads(live.cli("token", "create", "dora@example.org", "--json").stdout)["token"]
    both = basic("dora@example.org"), f"Bearer {token}"
    for header in both:
        assert statuses(live, header) == {200}
    assert live.cli("account", "disable", "dora@example.org").returncode == 0
    # Here some tries with what was the right password count as wrong ones.
    assert statuses(live, both[1]) == {401}
    assert statuses(live, both[0]) <= {401, 429}
    assert live.cli("account", "enable", "dora@example.org").returncode == 0
    assert statuses(live, both[1]) == {200}


def test_a_revoked_token_ends_at_once(live: LiveServer) -> None:
    live.account("erin@example.org")
    made = json.loads(
        live.cli("token", "create", "erin@example.org", "--name", "phone", "--expires", "1d", "--json").stdout
    )
    assert made["expires"] is not None
    assert statuses(live, f"Bearer {made['token']}") == {200}
    listed = json.loads(live.cli("token", "list", "erin@example.org", "--json").stdout)
    assert [one["id"] for one in listed] == [made["id"]]
    assert made["token"] not in json.dumps(listed)
    assert live.cli("token", "revoke", made["id"]).returncode == 0
    assert statuses(live, f"Bearer {made['token']}") == {401}


def test_a_recreated_account_is_a_new_one_without_a_restart(live: LiveServer) -> None:
    before = live.account("frank@example.org")
    blob_id = before.upload(b"old mail")
    assert live.cli("account", "delete", "frank@example.org").returncode == 0
    assert live.cli("account", "show", "frank@example.org").returncode == 1
    after = live.account("frank@example.org")
    assert after.id != before.id
    for account in (before.id, after.id):
        assert after.http("GET", f"/jmap/download/{account}/{blob_id}/x").status == 404
    assert after.call("Mailbox/get", ids=None)["list"]


def test_the_commands_say_what_is_wrong(live: LiveServer) -> None:
    live.account("grace@example.org")
    for arguments, code, words in [
        (("account", "create", "nodomain"), 1, "name@domain"),
        (("account", "create", "grace@example.org"), 1, "taken already"),
        (("account", "show", "grase@example.org"), 1, "did you mean 'grace@example.org'"),
        (("account", "delete", "admin"), 1, "disable"),
        (("account", "create", "x@example.org", "--quota", "lots"), 2, "not a size"),
        (("domain", "delete", "example.org"), 1, "still has"),
        (("domain", "create", "exa mple"), 1, "not a domain name"),
        (("domain", "show", "exmaple.org"), 1, "did you mean 'example.org'"),
        (("token", "create", "nobody@example.org"), 1, "there is no account"),
        (("token", "create", "grace@example.org", "--expires", "2001-01-01"), 2, "in the past"),
        (("token", "create", "grace@example.org", "--expires", "soon"), 2, "such as 12h"),
        (("token", "revoke", "t123"), 1, "there is no token"),
    ]:
        done = live.cli(*arguments)
        assert done.returncode == code, done
        assert words in done.stderr, done
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
    for given in ("", "\n", "x" * 2000 + "\n", "tab\there\n"):
        done = live.cli("account", "create", "henry@example.org", "--password-stdin", input=given)
        assert done.returncode == 1, done
        assert "password" in done.stderr
    assert "henry" not in live.cli("account", "list").stdout


def test_a_quota_holds_at_once(live: LiveServer) -> None:
    judy = live.account("judy@example.org")
    judy.upload(b"x" * 2000)
    told = json.loads(live.cli("account", "set-quota", "judy@example.org", "3kB", "--json").stdout)
    assert told["quota"] == 3000
    codes = {judy.http("POST", f"/jmap/upload/{judy.id}/", bytes([i]) * 2000).status for i in range(8)}
    assert codes == {413}
    assert "no limit" in live.cli("account", "set-quota", "judy@example.org", "default").stdout
    judy.upload(b"y" * 2000)


def test_lists_are_json_where_a_script_reads_them(live: LiveServer) -> None:
    live.account("iris@list.example")
    accounts = json.loads(live.cli("account", "list", "--json").stdout)
    assert {one["name"] for one in accounts} >= {"admin", "iris@list.example"}
    domains = json.loads(live.cli("domain", "list", "--json").stdout)
    assert {"name": "list.example", "accounts": 1}.items() <= next(
        d for d in domains if d["name"] == "list.example"
    ).items()
    shown = json.loads(live.cli("account", "show", "iris@list.example", "--json").stdout)
    assert (shown["usedQuota"], shown["disabled"], shown["tokens"]) == (0, False, 0)
    assert "iris@list.example" in live.cli("account", "list").stdout


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LiveServer]:
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        yield server


def test_wrong_passwords_are_counted_by_all_workers_together_and_over_a_restart(
    own: LiveServer, tmp_path: Path
) -> None:
    own.account("alice@example.org")
    right = basic("alice@example.org")
    assert statuses(own, right) == {200}
    # From this address the account was used, so the tries are on a name that nobody has.
    wrong = {"Authorization": basic("x@example.org", "wrong")}
    guesses, got = Guesses(), list[Reply]()

    def tried(live: LiveServer) -> int:
        got.append(live.send("GET", "/jmap/session", wrong, b""))
        return got[-1].status

    guesses.use_up(lambda: tried(own))
    assert guesses.looked_at >= 10
    assert {reply.status for reply in got} == {401, 429}
    assert 1 <= int(got[-1].header("Retry-After") or "") <= 6
    assert statuses(own, right) == {200}
    own.stop()
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as again:
        guesses.use_up(lambda: tried(again))
        assert statuses(again, right) == {200}


def test_credentials_end_at_once_in_every_worker(live: LiveServer) -> None:
    live = seen_from(live, "127.0.0.4")
    live.account("kate@example.org")
    done = live.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
    assert done.returncode == 0, done
    admin = {"Authorization": basic("admin"), "Content-Type": "application/json"}

    def api(method: str, path: str, body: object = None, headers: dict[str, str] = admin) -> object:
        reply = live.send(method, f"/api{path}", headers, b"" if body is None else json.dumps(body).encode())
        assert reply.status == 200, reply.body
        return reply.json()["data"]

    def asked(header: str, path: str = "/api/whoami") -> set[int]:
        return statuses(live, header, path)

    made = api("POST", "/principal", {"type": "apiKey", "name": "watcher", "enabledPermissions": ["metrics-view"]})
    assert isinstance(made, dict)
    key = f"Bearer {made['secret']}"
    kate = {"Authorization": basic("kate@example.org"), "Content-Type": "application/json"}
    phone = api("POST", "/account/credentials", {"kind": "app-password", "name": "phone"}, kate)
    assert isinstance(phone, dict)
    by_phone = basic("kate@example.org", phone["secret"])
    assert asked(key) == {200}
    assert asked(by_phone, "/jmap/session") == {200}
    # From elsewhere, and then gone: no worker remembers what was right a moment ago.
    api("PATCH", "/principal/watcher", [{"action": "set", "field": "allowedNetworks", "value": ["192.0.2.0/24"]}])
    assert asked(key) == {401}
    api("PATCH", "/principal/watcher", [{"action": "set", "field": "allowedNetworks", "value": ["127.0.0.4"]}])
    assert asked(key) == {200}
    api("DELETE", "/principal/watcher")
    assert asked(key) == {401}
    script = api("POST", "/account/credentials", {"kind": "token", "name": "script"}, kate)
    assert isinstance(script, dict)
    token = script["secret"]
    api("DELETE", f"/account/credentials/{phone['id']}", None, kate)
    # These count as wrong passwords: from here she waits with any that a worker does not remember.
    assert asked(by_phone, "/jmap/session") <= {401, 429}
    # A right that is taken is gone as fast.
    assert asked(f"Bearer {token}") == {200}
    step = {"action": "addItem", "field": "disabledPermissions", "value": "authenticate"}
    api("PATCH", "/principal/kate@example.org", [step])
    assert asked(f"Bearer {token}") == {403}
