"""Settings over the API, in this process."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from flaskmail.accounts.storedsettings import read_state, stored_settings
from flaskmail.app import create_app
from flaskmail.cli import main
from flaskmail.config import Settings, load
from flaskmail.config.settings import Storage
from flaskmail.errors import ConfigError
from flaskmail.hookspecs import Leaving, hookimpl
from flaskmail.server import Server
from flaskmail.store.memory import MemoryStore
from flaskmail.testing import PASSWORD, MadeServer, basic, make_server
from flaskmail.upkeep import Tell
from flaskmail.web import jmap_blueprint

from .conftest import Manager, Said


def insert(**values: Any) -> list[dict[str, Any]]:
    pairs = [[key.replace("__", ".").replace("_", "-"), value] for key, value in values.items()]
    return [{"type": "insert", "prefix": None, "values": pairs}]


def one(admin: Manager, key: str) -> dict[str, Any]:
    [found] = [item for item in admin("GET", "/settings", prefix=key).data["items"] if item["key"] == key]
    return dict(found)


class TestReading:
    def test_every_setting_with_its_origin(self, admin: Manager) -> None:
        found = admin("GET", "/settings", limit=5)
        assert len(found.data["items"]) == 5
        assert found.data["total"] > 50
        assert one(admin, "server.workers") == {
            "key": "server.workers",
            "value": 2,
            "text": "2",
            "isSet": True,
            "default": "2",
            "origin": "default",
            "secret": False,
            "takes": "reload",
            "pending": None,
            "inForce": None,
            "storable": True,
        }

    def test_the_schema(self, admin: Manager) -> None:
        [found] = admin("GET", "/settings/schema", prefix="account.quota").data["items"]
        assert found["expected"].startswith("a size")
        assert found["default"] is None
        assert "Octets" in found["doc"]

    def test_the_shapes_of_the_old_api(self, admin: Manager) -> None:
        steps = insert(
            server__http__headers=["A: b", "C: d"],
            server__http__hsts=True,
            lookup__a__x="1",
            lookup__b__x=2,
            lookup__b__y="z",
        )
        assert admin("POST", "/settings", steps).data is None
        listed = admin("GET", "/settings/list", prefix="server.http").data
        assert listed["items"]["headers.0000"] == "A: b"
        assert listed["items"]["hsts"] == "true"
        assert listed["total"] == len(listed["items"])
        assert admin("GET", "/settings/keys", keys="server.http.hsts,account.quota", prefixes="lookup.b.").data == {
            "server.http.hsts": "true",
            "lookup.b.x": "2",
            "lookup.b.y": "z",
        }
        grouped = admin("GET", "/settings/group", prefix="lookup", suffix="y").data
        assert grouped == {"items": [{"_id": "b", "x": "2", "y": "z"}], "total": 1}
        assert admin("GET", "/settings/group", prefix="lookup.b", filter="Z").data["items"] == [
            {"_id": "y", "_value": "z"}
        ]
        assert admin("GET", "/settings/keys").data == {}

    def test_secrets_are_write_only(self, admin: Manager, made: MadeServer) -> None:
        assert admin("POST", "/settings", insert(lookup__a__api_key="hunter2")).data is None
        assert made.server.settings.lookup.tables["a"]["api-key"] == "hunter2"
        found = one(admin, "lookup.a.api-key")
        assert found["secret"]
        assert found["isSet"]
        assert found["value"] is None
        assert found["text"] is None
        texts = [
            admin("GET", path, **query).json
            for path, query in (
                ("/settings", {}),
                ("/settings/list", {}),
                ("/settings/keys", {"prefixes": "lookup."}),
                ("/settings/group", {"prefix": "lookup"}),
                ("/settings/history", {}),
                ("/audit", {}),
            )
        ]
        assert "hunter2" not in json.dumps(texts)
        # What stands for it is no value.
        assert admin("POST", "/settings", insert(lookup__a__api_key="(secret)")).status == 400


class TestChanging:
    def test_a_change_is_in_force_at_once(self, admin: Manager, made: MadeServer) -> None:
        found = admin("POST", "/settings", insert(server__http__headers=["X-A: b"], jmap__protocol__get__max_objects=7))
        assert found.data is None
        assert found.headers["ETag"] == admin("GET", "/settings").headers["ETag"]
        assert admin("GET", "/whoami").headers["X-A"] == "b"
        assert made.server.limits.maxObjectsInGet == 7
        assert one(admin, "server.http.headers")["origin"] == "the stored settings"
        assert admin("DELETE", "/settings/server.http.headers").data is None
        assert "X-A" not in admin("GET", "/whoami").headers

    def test_a_table_is_stored_setting_by_setting(self, admin: Manager, made: MadeServer) -> None:
        steps = [{"type": "insert", "values": [["account", {"quota": 5000}], ["lookup", {"a": {"x": 1, "y": [2]}}]]}]
        assert admin("POST", "/settings", steps).data is None
        assert admin("GET", "/settings/history").data["items"][0]["changes"] == [
            {"key": "account.quota", "old": None, "new": "5000"},
            {"key": "lookup.a.x", "old": None, "new": "1"},
            {"key": "lookup.a.y", "old": None, "new": "[2]"},
        ]
        # So what is removed is gone, and what is set is set.
        assert admin("DELETE", "/settings/account.quota").data is None
        assert made.server.settings.account.quota is None
        wrong = [{"type": "insert", "values": [["account", {"quota": "x", "quoat": 1}], ["nosuch", {}]]}]
        refused = admin("POST", "/settings", wrong)
        assert {one["member"] for one in refused.json["problems"]} == {"account.quota", "account.quoat", "nosuch"}

    def test_members_of_a_list_may_come_in_any_order(self, admin: Manager, made: MadeServer) -> None:
        key = "server.http.headers"
        values = [
            [f"{key}.0001", "X-B: 2"],
            ["account.quota", 5000],
            [f"{key}.0000", "X-A: 1"],
            [f"{key}.0002", "X-C: 3"],
        ]
        assert admin("POST", "/settings", [{"type": "insert", "values": values}]).data is None
        assert one(admin, key)["value"] == ["X-A: 1", "X-B: 2", "X-C: 3"]
        assert made.server.settings.account.quota == 5000

    def test_what_is_made_of_settings_follows(self, admin: Manager, made: MadeServer) -> None:
        alice = made.account("alice@example.org")
        before = alice.session
        assert (
            admin(
                "POST",
                "/settings",
                insert(account__quota="5 MB", authentication__basic=True, authentication__fail_rate="3/1m"),
            ).data
            is None
        )
        principal = made.server.directory.principals.get("alice@example.org")
        assert [access.quota for access in made.server.accounts_of(principal).values()] == [5_000_000]
        under_way = made.server.context_for(principal)
        assert admin("POST", "/settings", insert(jmap__protocol__request__max_calls=3)).data is None
        after = made.jmap("alice@example.org").session
        assert after["capabilities"]["urn:ietf:params:jmap:core"]["maxCallsInRequest"] == 3
        assert after["state"] != before["state"]
        assert (under_way.limits.maxCallsInRequest, made.server.limits.maxCallsInRequest) == (64, 3)
        assert admin("POST", "/settings", insert(authentication__basic=False)).data is None
        # What was remembered of passwords is not used any more.
        assert alice.http("GET", "/jmap/session").status == 401

    def test_everything_or_nothing_and_every_mistake(self, admin: Manager, made: MadeServer) -> None:
        steps = insert(
            account__quota="5 MB",
            server__http__headers=["no colon"],
            server__workers="many",
            server__http__header=[],
            storage__path="/tmp",
        )
        found = admin("POST", "/settings", steps)
        assert found.status == 400
        problems = {problem["member"]: problem for problem in found.json["problems"]}
        assert set(problems) == {"server.http.headers[0]", "server.workers", "server.http.header", "storage.path"}
        assert problems["server.http.header"]["nearest"] == "server.http.headers"
        assert problems["server.workers"]["expected"] == "a whole number from 1 to 256"
        assert made.server.directory.settings.state().texts == {}
        assert admin("GET", "/settings/history").data == {"items": [], "total": 0}

    def test_a_dry_run_stores_nothing(self, admin: Manager, made: MadeServer) -> None:
        wrong = insert(account__quota="5 MB", server__workers=0)
        found = admin("POST", "/settings", wrong, dry_run="").data
        assert list(found["errors"]) == ["server.workers"]
        assert found["errors"]["server.workers"]["type"] == "parse"
        right = admin("POST", "/settings", insert(account__quota="5 MB", server__workers=3), dry_run="").data
        assert right["errors"] == {}
        assert list(right["warnings"]) == ["server.workers"]
        assert right["changes"] == [
            {"key": "account.quota", "old": None, "new": '"5 MB"'},
            {"key": "server.workers", "old": None, "new": "3"},
        ]
        assert made.server.directory.settings.marks() == (0, 0)

    def test_the_old_tags_and_forms(self, admin: Manager, made: MadeServer) -> None:
        steps = [
            {"type": "Insert", "prefix": "server.http", "values": [["headers.0000", "A: b"], ["hsts", "true"]]},
            {"type": "Insert", "prefix": "lookup.a", "values": [["x", "1"]], "assert_empty": True},
        ]
        assert admin("POST", "/settings", steps).json == {"data": None}
        assert made.server.settings.server.http.headers == ("A: b",)
        assert made.server.settings.server.http.hsts is True
        again = admin("POST", "/settings", steps[1:])
        assert again.status == 409
        assert again.json["error"] == "assertFailed"
        assert (
            admin(
                "POST",
                "/settings",
                [{"type": "Delete", "keys": ["server.http.hsts"]}, {"type": "Clear", "prefix": "lookup."}],
            ).data
            is None
        )
        assert list(made.server.directory.settings.state().texts) == ["server.http.headers"]

    @pytest.mark.parametrize(
        ("body", "member"),
        [
            ([{"type": "insert", "values": [["a"]]}], "values"),
            ([{"type": "insert", "values": [["a", 1]], "more": 1}], "more"),
            ([{"type": "upsert", "values": []}], "type"),
            ([{"type": "delete"}], "keys"),
            ({"type": "delete", "keys": []}, "the body"),
        ],
    )
    def test_bodies_that_are_none(self, admin: Manager, body: Any, member: str) -> None:
        found = admin("POST", "/settings", body)
        assert found.status == 400
        assert member in json.dumps(found.json)

    def test_a_key_that_nobody_knows(self, admin: Manager) -> None:
        found = admin("DELETE", "/settings/server.thread")
        assert found.status == 404
        assert found.json["item"] == "server.thread"
        assert admin("DELETE", "/settings/server.threads").data is None

    def test_what_waits(self, admin: Manager, made: MadeServer) -> None:
        assert admin("POST", "/settings", insert(server__workers=5, server__bind=["127.0.0.1:1"])).data is None
        assert made.server.settings.server.workers == 2
        found = one(admin, "server.workers")
        assert (found["value"], found["pending"], found["inForce"]) == (5, "reload", "2")
        assert one(admin, "server.bind")["pending"] == "restart"

    def test_what_the_file_sets_is_changed_there(self) -> None:
        with make_server(config="[account]\nquota = '1 GB'\n[server.http]\nheaders = ['A: b']\n") as made:
            made.server.ensure_admin()
            made.server.directory.principals.set_password("admin", made.server.directory.passwords.hash(PASSWORD))
            admin = Manager(made, basic("admin"))
            found = admin("POST", "/settings", insert(account__quota="2 GB", jmap__protocol__get__max_objects=7))
            assert found.status == 409
            assert "config.toml" in found.json["detail"]
            assert "account.quota" in found.json["keys"]
            assert made.server.directory.settings.state().texts == {}
            assert admin("DELETE", "/settings/server.http.headers").status == 409
            assert not one(admin, "account.quota")["storable"]

    def test_plugins_are_known_by_their_names(self) -> None:
        class Stamp:
            __name__ = "stamp"

            @hookimpl
            def response_headers(self, policy: Any, request: Any, response: Leaving) -> list[tuple[str, str]]:
                return [("X-Stamp", str(policy.options.get("stamp", {}).get("text", "none")))]

        with make_server([Stamp()]) as made:
            made.server.ensure_admin()
            made.server.directory.principals.set_password("admin", made.server.directory.passwords.hash(PASSWORD))
            admin = Manager(made, basic("admin"))
            assert admin("GET", "/whoami").headers["X-Stamp"] == "none"
            assert admin("POST", "/settings", insert(plugins__stamp={"text": "new"})).data is None
            assert admin("GET", "/whoami").headers["X-Stamp"] == "new"
            found = admin("POST", "/settings", insert(plugins__stomp={"text": "new"}))
            assert found.status == 400
            assert found.json["problems"][0]["nearest"] == "stamp"
            assert admin("POST", "/settings", insert(plugins__disabled=["stomp"])).status == 400


def test_an_application_that_only_has_a_blueprint(tmp_path: Path) -> None:
    server = Server(
        dataclasses.replace(Settings(), storage=Storage(path=tmp_path)),
        store=lambda root, types: MemoryStore(types),
        installed=False,
    )
    app = Flask("somebody")
    app.register_blueprint(jmap_blueprint(server), url_prefix="/mail")
    try:
        server.create_account("jane@example.org", PASSWORD)

        def limit() -> int:
            found = app.test_client().get("/mail/jmap/session", headers={"Authorization": basic("jane@example.org")})
            return int(found.json["capabilities"]["urn:ietf:params:jmap:core"]["maxObjectsInGet"])

        assert limit() == 500
        with stored_settings(tmp_path) as other:
            other.change({"jmap.protocol.get.max-objects": "7"}, actor="")
        server._look_at = 0.0
        assert limit() == 7
    finally:
        server.close()


def test_what_is_wrong_all_the_same_changes_nothing(
    admin: Manager, made: MadeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As from another version that writes to the same folder."""
    assert admin("POST", "/settings", insert(account__quota="5 MB")).data is None
    stored = made.server.directory.settings
    stored.change({"server.gone": "1", "account.quota": '"6 MB"'}, actor="")
    for _ in range(2):
        made.server.refresh(now=True)
    assert made.server.settings.account.quota == 5_000_000
    # Said once, not at every look.
    assert caplog.text.count("the stored settings: server.gone: found an unknown key") == 1
    assert admin("DELETE", "/settings/server.gone").data is None
    assert made.server.settings.account.quota == 6_000_000


def test_a_change_of_too_many_keys_is_refused_before_any_is_looked_at(admin: Manager) -> None:
    keys = [f"account.quata{number}" for number in range(1000)]
    refused = admin("POST", "/settings", [{"type": "delete", "keys": keys}] * 3)
    assert (refused.status, refused.json["member"]) == (400, "values")
    assert "2000" in refused.json["detail"]


class TestConcurrency:
    def test_if_match(self, admin: Manager) -> None:
        tag = admin("GET", "/settings").headers["ETag"]
        unchanged = admin("GET", "/settings", headers={"If-None-Match": tag})
        assert (unchanged.status, unchanged.headers["ETag"]) == (304, tag)
        assert "Content-Type" not in unchanged.headers
        assert admin("POST", "/settings", insert(account__quota=5000), headers={"If-Match": tag}).status == 200
        late = admin("POST", "/settings", insert(account__quota=6000), headers={"If-Match": tag})
        assert late.status == 412
        assert one(admin, "account.quota")["text"] == '"5 kB"'
        assert admin("DELETE", "/settings/account.quota", headers={"If-Match": tag}).status == 412
        assert admin("POST", "/settings/rollback", {"revision": 0}, headers={"If-Match": tag}).status == 412
        assert admin("POST", "/settings", insert(account__quota=6000), headers={"If-Match": "*"}).status == 200

    def test_of_writers_who_race_one_wins(self, admin: Manager, made: MadeServer) -> None:
        tag = admin("GET", "/settings").headers["ETag"]
        found: list[Said] = []
        start = threading.Barrier(4)

        def write(number: int) -> None:
            start.wait(60)
            found.append(admin("POST", "/settings", insert(account__quota=5000 + number), headers={"If-Match": tag}))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(said.status for said in found) == [200, 412, 412, 412]
        assert made.server.directory.settings.marks()[0] == 1

    def test_without_if_match_all_changes_count(self, admin: Manager, made: MadeServer) -> None:
        start = threading.Barrier(4)

        def write(number: int) -> None:
            start.wait(60)
            assert (
                admin("POST", "/settings", [{"type": "insert", "values": [[f"lookup.a.k{number}", number]]}]).data
                is None
            )

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.server.settings.lookup.tables["a"] == {f"k{number}": number for number in range(4)}


class TestHistory:
    def test_the_way_there_and_back(self, admin: Manager, made: MadeServer) -> None:
        assert admin("POST", "/settings", insert(account__quota=5000)).data is None
        assert admin("POST", "/settings", insert(account__quota=6000, lookup__a__secret="x")).data is None
        found = admin("GET", "/settings/history", limit=1).data
        assert found["total"] == 2
        [last] = found["items"]
        assert (last["revision"], last["actor"]) == (2, "admin")
        assert last["changes"] == [
            {"key": "account.quota", "old": "5000", "new": "6000"},
            {"key": "lookup.a.secret", "old": None, "new": '"(secret)"'},
        ]
        dry = admin("POST", "/settings/rollback", {"revision": 1}, dry_run="").data
        assert [change["new"] for change in dry["changes"]] == ["5000", None]
        assert made.server.settings.account.quota == 6000
        assert admin("POST", "/settings/rollback", {"revision": 1}).status == 200
        assert made.server.settings.account.quota == 5000
        assert made.server.settings.lookup.tables == {}
        back = admin("POST", "/settings/rollback", {"revision": 2}).data
        assert back["kept"] == ["lookup.a.secret"]
        assert made.server.settings.account.quota == 6000
        assert admin("POST", "/settings/rollback", {"revision": 9}).status == 404
        assert admin("POST", "/settings/rollback", b'{"revision": 1.0}').status == 200
        assert admin("POST", "/settings/rollback", b'{"revision": 1.5}').status == 400
        assert admin("GET", "/settings/history").data["total"] == 5


class TestPermissions:
    def test_who_may_not(self, made: MadeServer) -> None:
        made.server.create_account("jane@example.org", PASSWORD)
        jane = Manager(made, basic("jane@example.org"))
        for method, path, body, permission in (
            ("GET", "/settings", None, "settings-list"),
            ("POST", "/settings", [], "settings-update"),
            ("DELETE", "/settings/account.quota", None, "settings-delete"),
            ("POST", "/reload", None, "settings-reload"),
        ):
            found = jane(method, path, body)
            assert found.status == 403
            assert found.json["permission"] == permission


class TestReload:
    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        return tmp_path / "config.toml"

    def test_the_file_is_read_again(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file.write_text("[account]\nquota = 5000\n")
        monkeypatch.setattr("flaskmail.config.reloading._current", load(environ={}))
        server = Server(installed=False)
        create_app(server=server, first_start=False)
        try:
            server.directory.settings.change({"jmap.protocol.get.max-objects": "7"}, actor="")
            server.refresh(now=True)
            assert (server.settings.account.quota, server.limits.maxObjectsInGet) == (5000, 7)
            file.write_text("[account]\nquota = 6000\n[server]\nworkers = 5\n")
            server.refresh(now=True)
            # Nobody has asked for it yet.
            assert server.settings.account.quota == 5000
            found = server.reload(dry_run=True)
            assert found.settings.account.quota == 6000
            assert server.settings.account.quota == 5000
            assert server.reload().pending == {"server.workers": "reload"}
            assert (server.settings.account.quota, server.limits.maxObjectsInGet) == (6000, 7)
        finally:
            server.close()

    def test_a_wrong_file_changes_nothing(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file.write_text("")
        monkeypatch.setattr("flaskmail.config.reloading._current", load(environ={}))
        server = Server(installed=False)
        app = create_app(server=server, first_start=False)
        try:
            server.ensure_admin()
            server.directory.principals.set_password("admin", server.directory.passwords.hash(PASSWORD))
            file.write_text("[account]\nquota = 6000\nquotas = 1\n[server.http]\nheaders = ['x']\n")
            said = app.test_client().post("/api/reload?dry-run", headers={"Authorization": basic("admin")}).json["data"]
            assert set(said["errors"]) == {"account.quotas", "server.http.headers[0]"}
            said = app.test_client().post("/api/reload", headers={"Authorization": basic("admin")}).json["data"]
            assert set(said["errors"]) == {"account.quotas", "server.http.headers[0]"}
            assert server.settings.account.quota is None
            assert server.directory.settings.marks() == (0, 0)
        finally:
            server.close()

    def test_stored_settings_that_are_wrong_stop_the_start(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with stored_settings(file.parent / "data") as stored:
            stored.change({"server.gone": "1", "account.quota": "5000"}, actor="")
        monkeypatch.setattr("flaskmail.config.reloading._current", load(environ={}))
        with pytest.raises(ConfigError, match=r"the stored settings: server\.gone"):
            Server(installed=False)


def test_the_administrator_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLASKMAIL_CONFIG", raising=False)
    monkeypatch.delenv("FLASKMAIL_DATA", raising=False)
    runner = CliRunner()

    def run(*words: str, code: int = 0, input: str = "") -> str:
        done = runner.invoke(main, ["config", *words], input=input)
        assert done.exit_code == code, done.output
        return done.output

    run("set", "account.quota", "5 GB")
    run("set", "server.http.headers", '["X-A: b"]')
    assert "whole number" in run("set", "server.workers", "many", code=1)
    run("set", "lookup.a.password", "-", input="hunter2\n")
    assert read_state(tmp_path / "data").texts == {
        "account.quota": '"5 GB"',
        "lookup.a.password": '"hunter2"',
        "server.http.headers": '["X-A: b"]',
    }
    assert "hunter2" not in run("show") + run("history")
    assert json.loads(run("show", "--json"))["settings"]["account.quota"] == {
        "value": '"5 GB"',
        "origin": "the stored settings",
    }
    run("unset", "server.http.headers")
    assert json.loads(run("rollback", "1", "--json"))["kept"] == []
    assert read_state(tmp_path / "data").texts == {"account.quota": '"5 GB"'}
    # What an older version does not know keeps nobody out for good.
    with stored_settings(tmp_path / "data") as stored:
        stored.change({"server.gone": "1"}, actor="")
    assert "server.gone" in run("check", code=1)
    assert "nothing is stored" in run("unset", "server.else", code=1)
    run("unset", "server.gone")
    run("check")


def test_work_in_the_background_ends_with_the_server_whatever_was_set_meanwhile(
    admin: Manager, made: MadeServer
) -> None:
    def forever(tell: Tell) -> None:
        while True:
            tell(0, 0, "")
            time.sleep(0.005)

    begun = made.server.jobs.start("wait", forever, by="admin")
    assert admin("POST", "/settings", insert(account__quota="5 MB")).data is None
    assert made.server.settings.account.quota == 5_000_000
    made.server.close()
    assert made.server.jobs.get(begun.id).state == "interrupted"
    assert f"job-{begun.id}" not in {thread.name for thread in threading.enumerate()}
