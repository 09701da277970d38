"""Settings that are stored: below the file and the environment, read by the same code, and what waits for a restart."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.config import Settings, load
from flaskmail.config.changing import AssertEmpty, Clear, Delete, Insert, Plan, Step, planned, text_of
from flaskmail.config.documents import in_force
from flaskmail.config.kinds import Rate
from flaskmail.config.listing import declaration_of, flat, is_secret, listed, schema
from flaskmail.config.loading import APPLICATION, DATA_VARIABLE, STORED, overlay
from flaskmail.config.reloading import merge, pending
from flaskmail.errors import ConfigError, Problem
from flaskmail.policy import plan  # noqa: F401 - adds its checks to the loader's


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text("")
    return path


def wrong(stored: dict[str, str], settings: Settings | None = None) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        overlay(settings or Settings(), stored)
    return list(caught.value.problems)


class TestPrecedence:
    def test_stored_lies_between_the_defaults_and_the_file(self, file: Path) -> None:
        file.write_text("[server]\nworkers = 3\n[lookup.a]\nx = 1\n")
        stored = {"server.workers": "5", "server.threads": "6", "lookup.a.x": "2", "lookup.a.y": "3"}
        found = load(environ={}, stored=stored)
        assert (found.server.workers, found.server.threads, found.server.timeout) == (3, 6, 60)
        assert found.lookup.tables == {"a": {"x": 1, "y": 3}}
        origins = [found.origin(key) for key in ("server.workers", "server.threads", "server.timeout", "lookup.a.y")]
        assert origins == [str(file), STORED, "default", STORED]

    def test_the_stored_are_read_where_the_data_is(self, file: Path) -> None:
        asked: list[Path] = []

        def read(data: Path) -> dict[str, str]:
            asked.append(data)
            return {"account.quota": '"1 GB"'}

        file.write_text('[storage]\npath = "mail"\n')
        assert load(environ={}, stored=read).account.quota == 10**9
        load(environ={DATA_VARIABLE: "/elsewhere"}, stored=read)
        assert asked == [file.parent / "mail", Path("/elsewhere")]

    def test_where_the_data_is_may_be_what_is_wrong(self, file: Path) -> None:
        file.write_text("[storage]\npath = 7\n[server]\nworkers = 0\n")
        with pytest.raises(ConfigError) as caught:
            load(environ={}, stored=lambda data: pytest.fail("nobody knows where the data is"))
        assert [problem.key for problem in caught.value.problems] == ["storage.path", "server.workers"]

    def test_a_listener_may_be_stored(self, file: Path) -> None:
        stored = {"server.listener.a.bind": '"127.0.0.1:1"', "server.listener.a.routes": '["jmap"]'}
        found = load(environ={}, stored=stored)
        assert found.server.listener["a"].routes == ("jmap",)
        # What is taken away again is gone, and no half listener stays.
        assert overlay(found, {}).server.listener == {}
        assert [problem.key for problem in wrong({"server.listener.a.routes": '["jmap"]'})] == [
            "server.listener.a.bind"
        ]

    def test_tables_of_plugins_are_stored_whole(self) -> None:
        found = overlay(Settings(), {"plugins.note": '{ limit = 3, names = ["a"] }'}, checks=())
        assert found.plugins.options == {"note": {"limit": 3, "names": ["a"]}}
        assert overlay(found, {}, checks=()).plugins.options == {}


class TestOverlay:
    def test_what_code_has_set_counts_like_a_file(self) -> None:
        given = dataclasses.replace(Settings(), account=dataclasses.replace(Settings().account, quota=5000))
        found = overlay(given, {"account.quota": "7000", "server.http.hsts": "true"}, checks=())
        assert found.account.quota == 5000
        assert found.origin("account.quota") == APPLICATION
        assert found.server.http.hsts is True

    def test_new_stored_ones_take_the_place_of_the_old(self, file: Path) -> None:
        file.write_text("[server]\nworkers = 3\n")
        first = load(environ={}, stored={"server.threads": "6", "account.quota": "5000", "lookup.a.x": "1"})
        second = overlay(first, {"account.quota": "6000"})
        assert (second.server.workers, second.server.threads, second.account.quota) == (3, 64, 6000)
        assert second.lookup.tables == {}
        assert second == load(environ={}, stored={"account.quota": "6000"})

    @given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3))
    def test_whatever_is_stored_is_right_or_a_problem(self, stored: dict[str, str]) -> None:
        problems: tuple[Problem, ...] = ()
        try:
            overlay(Settings(), stored, checks=())
        except ConfigError as error:
            problems = error.problems
        assert {problem.where for problem in problems} <= {STORED}


class TestProblems:
    def test_all_at_once_by_the_name_of_the_stored_settings(self, file: Path) -> None:
        file.write_text("[server]\nworkers = 0\n")
        stored = {
            "server.threads": '"x"',
            "server.http.header": "[]",
            "server.http.headers": '["no colon"]',
            "account.quota": "5 GB",
            "lookup.a b.c": "1",
        }
        with pytest.raises(ConfigError) as caught:
            load(environ={}, stored=stored)
        found = {problem.key: problem for problem in caught.value.problems}
        assert found["server.workers"].where == str(file)
        assert {key for key, one in found.items() if one.where == STORED} == {
            "server.threads",
            "server.http.header",
            "server.http.headers[0]",
            "account.quota",
            'lookup."a b"',
        }
        assert found["server.http.header"].hint == "server.http.headers"

    def test_values_that_are_more_than_a_value(self) -> None:
        for text in ("", "1\nserver.workers = 2", "1 2", "[", "{}\n[server]"):
            [problem] = wrong({"account.quota": text})
            assert (problem.where, problem.key) == (STORED, "account.quota")

    def test_nothing_of_the_machine_is_read_for_who_may_change_settings(self, file: Path) -> None:
        secret = file.parent / "secret"
        secret.write_text("hunter2")
        for text in ("%{env:PATH}%", f"%{{file:{secret}}}%", "a %{cfg:x}% b"):
            [problem] = wrong({"lookup.a.b": f'"{text}"'})
            assert "hunter2" not in str(problem)
            assert problem.key == "lookup.a.b"

    @pytest.mark.parametrize("key", ["storage.path", "plugins.paths", "server.access-log"])
    def test_what_would_run_code_or_write_files_stands_in_the_file(self, key: str) -> None:
        text = '["x.py"]' if key == "plugins.paths" else '"x"'
        [problem] = wrong({key: text})
        assert "file" in problem.expected

    def test_settings_that_do_not_fit_each_other(self) -> None:
        stored = {"server.listener.a.bind": '"127.0.0.1:1"', "server.bind": '"127.0.0.1:1"'}
        [problem] = wrong(stored)
        assert (problem.where, problem.key) == (STORED, "server.bind")


class TestPending:
    def test_what_waits_and_for_what(self) -> None:
        stored = {
            "server.workers": "5",
            "server.bind": '"127.0.0.1:1"',
            "account.quota": "5000",
            "server.http.hsts": "true",
            "authentication.fail-rate": '"3/1m"',
        }
        old, new = Settings(), overlay(Settings(), stored)
        assert pending(old, new) == {"server.workers": "reload", "server.bind": "restart"}
        live = merge(old, new, live=True)
        assert (live.server.workers, live.server.bind) == (old.server.workers, old.server.bind)
        assert live.account.quota == 5000
        assert live.authentication.fail_rate == Rate(3, 60)
        reloaded = merge(old, new)
        assert (reloaded.server.workers, reloaded.server.bind) == (5, old.server.bind)

    def test_every_setting_that_takes_a_restart_is_not_live(self) -> None:
        assert all(one.reloadable or not one.live for one in schema())


class TestListing:
    def test_every_setting_is_listed_with_where_it_comes_from(self) -> None:
        wanted = overlay(Settings(), {"server.workers": "5", "server.http.hsts": "{ max-age = 5 }"}, checks=())
        settings = merge(Settings(), wanted, live=True)
        found = {one.key: one for one in listed(wanted, settings, pending(settings, wanted))}
        assert list(found) == [one["key"] for one in in_force(wanted)]
        workers = found["server.workers"]
        assert (workers.value, workers.text, workers.default, workers.pending, workers.in_force) == (
            5,
            "5",
            "2",
            "reload",
            "2",
        )
        assert found["server.http.hsts"].value == {"max-age": 5}
        assert found["server.http.hsts"].origin == STORED
        assert found["account.quota"].value is None
        assert not found["account.quota"].is_set
        assert not found["storage.path"].storable
        assert found["server.http.url"].storable

    def test_secrets_are_named_only(self, tmp_path: Path) -> None:
        (tmp_path / "key.pem").touch()
        stored = {
            "server.tls.private-key": f'"{tmp_path}/key.pem"',
            "lookup.a.api-key": '"hunter2"',
            "plugins.x": '{ password = "hunter2", other = 1 }',
        }
        wanted = overlay(Settings(), stored | {"server.tls.certificate": stored["server.tls.private-key"]}, checks=())
        found = {one.key: one for one in listed(wanted, wanted, {})}
        assert "hunter2" not in repr(found)
        for key in ("server.tls.private-key", "lookup.a.api-key"):
            assert found[key].secret
            assert found[key].is_set
            assert found[key].value is None
            assert found[key].text is None
        assert found["plugins.x"].value == {"password": "(secret)", "other": 1}
        assert all(is_secret(key, text) for key, text in stored.items())
        assert not is_secret("server.http.headers", '["X-Api-Key: x"]')

    def test_declarations_in_tables_with_ids(self) -> None:
        found = declaration_of("server.listener.some-id.tls.private-key")
        assert found is not None
        assert found.secret
        assert declaration_of("server.listener.a.b.bind") is None
        assert declaration_of("lookup.a.b") is None
        assert "server.listener.<id>.bind" in {one.key for one in schema()}

    def test_the_old_flat_form(self) -> None:
        assert dict(flat("a", ["x", {"if": "y", "then": 1}, True])) == {
            "a.0000": "x",
            "a.0001.if": "y",
            "a.0001.then": "1",
            "a.0002": "true",
        }
        assert dict(flat("a", None)) == {}
        assert dict(flat("a", [])) == {}


class TestPlanning:
    def plan(self, *steps: Step, stored: dict[str, str] | None = None, settings: Settings | None = None) -> Plan:
        stored = stored or {}
        return planned(stored, overlay(settings or Settings(), stored, checks=()), steps)

    @pytest.mark.parametrize(
        ("key", "value", "text"),
        [
            ("server.http.hsts", "true", "true"),
            ("server.http.hsts", True, "true"),
            ("server.workers", "5", "5"),
            ("server.http.url", "https://a.example", '"https://a.example"'),
            ("server.http.url", "'https://a.example'", "\"'https://a.example'\""),
            ("server.http.headers", ["A: b"], '["A: b"]'),
            ("server.http.headers", '["A: b"]', '["A: b"]'),
            ("server.http.allowed-endpoint", "404", '"404"'),
            ("server.http.rate-limit.anonymous", "false", "false"),
            ("account.quota", "5 GB", '"5 GB"'),
            ("account.quota", "5000", '"5000"'),
            ("lookup.a.b", "12", '"12"'),
            ("lookup.a.b", 12, "12"),
            ("plugins.x", "{ a = 1 }", "{ a = 1 }"),
            ("plugins.x", {"a": [1, "b"]}, '{ a = [1, "b"] }'),
            ("server.workers", "many", '"many"'),
        ],
    )
    def test_values_become_toml(self, key: str, value: object, text: str) -> None:
        assert text_of(key, value) == text

    def test_people_write_toml_first(self) -> None:
        assert text_of("lookup.a.b", "12", toml_first=True) == "12"
        assert text_of("server.http.url", "https://a.example", toml_first=True) == '"https://a.example"'
        assert text_of("account.quota", "5000", toml_first=True) == "5000"

    def test_members_of_lists_as_the_old_api_names_them(self) -> None:
        found = self.plan(
            Insert("server.http.headers.0000", "A: b"),
            Insert("server.http.headers.0001", "C: d"),
            Insert("server.http.allowed-endpoint.0000.if", "method == 'GET'"),
            Insert("server.http.allowed-endpoint.0000.then", "200"),
            Insert("server.http.allowed-endpoint.0001.else", "404"),
        ).texts
        assert found["server.http.headers"] == '["A: b", "C: d"]'
        overlay(Settings(), found)
        found = self.plan(
            Insert("server.http.headers.1", "E: f"),
            Delete("server.http.headers.0000"),
            Clear("server.http.allowed-endpoint."),
            stored=found,
        ).texts
        assert found == {"server.http.headers": '["E: f"]'}
        assert self.plan(Delete("server.http.headers.0000"), stored=found).texts == {}

    def test_old_names_are_stored_under_the_new(self) -> None:
        assert self.plan(Insert("jmap.http.headers", ["A: b"])).texts == {"server.http.headers": '["A: b"]'}

    def test_what_is_set_elsewhere_stays(self, file: Path) -> None:
        file.write_text("[server]\nworkers = 3\n")
        settings = load(environ={})
        found = self.plan(
            Insert("server.workers", 5), Delete("server.workers"), Insert("server.threads", 9), settings=settings
        )
        assert found.fixed == {"server.workers": str(file)}
        # What was stored before the file said it may go.
        found = self.plan(Delete("server.workers"), stored={"server.workers": "9"}, settings=settings)
        assert not found.fixed
        assert found.texts == {}

    def test_asserting_that_nothing_is_there(self) -> None:
        stored = {"lookup.a.b": "1"}
        assert self.plan(AssertEmpty("lookup.a."), stored=stored).occupied == ["lookup.a.b"]
        assert self.plan(Clear("lookup.a."), AssertEmpty("lookup.a."), stored=stored).occupied == []

    def test_mistakes_of_the_steps_themselves(self) -> None:
        found = self.plan(Delete("server.thread"), Insert("account.quota", None), Insert("lookup.a.b", "(secret)"))
        assert [problem.key for problem in found.problems] == ["server.thread", "account.quota", "lookup.a.b"]
        assert found.problems[0].hint == "server.threads"
        assert found.texts == {}

    def test_a_key_that_is_no_longer_known_can_go(self) -> None:
        found = planned({"server.gone": "1"}, Settings(), [Delete("server.gone")])
        assert (found.texts, found.problems) == ({}, [])

    keys = st.sampled_from(
        [
            "server.workers",
            "server.http.headers",
            "server.http.headers.0000",
            "server.http.allowed-endpoint.0.if",
            "plugins.x",
            "plugins.",
            "lookup.a.b",
            "lookup.",
            "server.listener.a.bind",
            "a..b",
            "",
        ]
    )
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
        max_leaves=4,
    )

    @given(st.lists(st.builds(Insert, keys, values) | st.builds(Delete, keys) | st.builds(Clear, keys), max_size=5))
    def test_whatever_is_asked_for_is_planned_or_a_problem(self, steps: list[Insert | Delete | Clear]) -> None:
        found = planned({}, Settings(), steps)
        try:
            overlay(Settings(), found.texts, checks=())
        except ConfigError:
            pass
