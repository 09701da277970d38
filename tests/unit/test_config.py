"""The settings: reading, checking, explaining, reloading."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
from pathlib import Path

import pytest
import tomli
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flaskmail import config
from flaskmail.accounts.storedsettings import read_texts
from flaskmail.cli import main
from flaskmail.config import Rate, Settings, declarations, diff, documents, kinds, load, merge
from flaskmail.errors import ConfigError, Problem
from flaskmail.jmap.context import Limits
from flaskmail.policy import plan  # noqa: F401 - adds its checks to the loader's


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function text -> path of a settings file; the working directory is an empty folder beside it."""
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    monkeypatch.chdir(empty)

    def make(text: str | bytes) -> Path:
        path = tmp_path / "flaskmail.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def problems(path: Path, **environ: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    return list(caught.value.problems)


class TestFinding:
    def test_without_a_file_the_defaults_hold(self, write):
        write("")
        settings = load(environ={})
        assert settings.source is None
        assert settings.storage.path == Path.cwd() / "data"
        assert dataclasses.replace(settings, storage=Settings().storage) == Settings()
        assert {settings.origin(one.key) for one in declarations()} == {"default"}

    def test_config_toml_of_the_working_directory_is_read(self, write):
        write("")
        Path("config.toml").write_text("[server]\nworkers = 3\n")
        settings = load(environ={})
        assert settings.server.workers == 3
        assert settings.origin("server.workers") == str(Path.cwd() / "config.toml")
        assert settings.origin("server.threads") == "default"

    def test_the_environment_names_the_file(self, write):
        path = write("[server]\nworkers = 4\n")
        Path("config.toml").write_text("[server]\nworkers = 3\n")
        assert load(environ={"FLASKMAIL_CONFIG": "../flaskmail.toml"}).server.workers == 4
        assert load(environ={"FLASKMAIL_CONFIG": ""}).server.workers == 3
        assert load(path, {"FLASKMAIL_CONFIG": "nowhere"}).server.workers == 4

    def test_a_named_file_must_exist(self, write):
        write("")
        with pytest.raises(ConfigError, match="No such file"):
            load(environ={"FLASKMAIL_CONFIG": "nowhere.toml"})

    def test_flaskmail_data_wins(self, write):
        settings = load(write('[storage]\npath = "mail"\n'), {"FLASKMAIL_DATA": "there"})
        assert settings.storage.path == Path.cwd() / "there"
        assert settings.origin("storage.path") == "FLASKMAIL_DATA"

    def test_a_data_folder_that_sqlite_cannot_open_is_a_problem(self, tmp_path, monkeypatch):
        folder = tmp_path / os.fsdecode(b"b\xfcro")
        folder.mkdir()
        monkeypatch.chdir(folder)
        with pytest.raises(ConfigError, match=r"storage\.path: found '.*b\\udcfcro/data', expected .* UTF-8"):
            load(environ={}, stored=read_texts)
        with pytest.raises(ConfigError, match=r"FLASKMAIL_DATA: storage\.path"):
            load(environ={"FLASKMAIL_DATA": str(folder)})
        assert load(environ={"FLASKMAIL_DATA": "/srv/bücher"}).storage.path == Path("/srv/bücher")

    def test_relative_paths_start_from_the_folder_of_the_file(self, write):
        path = write('[storage]\npath = "mail"\n[server]\naccess-log = "a.log"\n[plugins]\npaths = ["p", "/q"]')
        settings = load(path, {})
        assert settings.storage.path == path.parent / "mail"
        assert settings.server.access_log == str(path.parent / "a.log")
        assert settings.plugins.paths == (path.parent / "p", Path("/q"))


@pytest.mark.parametrize(
    ("value", "form"), [('{ value = "canary" }', "a table"), ('["canary"]', "a list"), ("4", "a value")]
)
def test_reports_do_not_tell_secrets_of_any_form(write, value, form):
    (problem,) = problems(write(f'[metrics.prometheus.auth]\nusername = "prometheus"\nsecret = {value}\n'))
    assert problem.found == f"{form} that is kept secret"
    assert "canary" not in str(problem)


class TestMistakes:
    def test_all_are_reported_at_once(self, write):
        path = write(
            """
            [server]
            workerz = 2
            threads = "many"
            tls = 3
            url = "https://mail.example.org"
            [serverr]
            a = 1
            [server.http]
            url = "ftp://x"
            forwarded-header = "forward"
            forwarded-fields = ["for", "prot"]
            [jmap.email]
            max-size = "50 XB"
            """
        )
        found = {problem.key: problem for problem in problems(path)}
        assert {problem.where for problem in found.values()} == {str(path)}
        assert {key: problem.hint for key, problem in found.items()} == {
            "server.workerz": "server.workers",
            "server.threads": "",
            "server.tls": "",
            "server.url": "server.http.url",
            "serverr": "server",
            "server.http.url": "",
            "server.http.forwarded-header": "forwarded",
            "server.http.forwarded-fields": "proto",
            "jmap.email.max-size": "",
        }
        assert found["server.threads"].found == '"many"'
        assert found["server.threads"].expected == "a whole number from 1 to 4096"
        assert str(found["server.workerz"]).endswith("(did you mean 'server.workers'?)")

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("a = 1\nb = [1,\n\nc", "line 4, column 1"),
            ("a = 1\na = 2\n", "line 2, column 6"),
            (b"a = '\xff'\n", "line 1"),
            (b"a = 1\nb = '\xc3'\n", "line 2"),
            ("a = " + "[" * 100_000, "the file"),
            ("#" * 1_000_001, "the file"),
        ],
    )
    def test_what_is_no_toml_is_told_by_its_place(self, write, text, key):
        assert [problem.key for problem in problems(write(text))] == [key]

    def test_a_byte_order_mark_is_no_mistake(self, write):
        assert load(write(b"\xef\xbb\xbf[server]\nworkers = 5\n"), {}).server.workers == 5

    def test_a_folder_is_no_file(self, tmp_path):
        assert problems(tmp_path)[0].found == "Is a directory"

    def test_a_found_value_is_short_and_on_one_line(self, write):
        [problem] = problems(write('[server]\nlog-level = "' + "\\u001b\\n" * 1000 + '"\n'))
        assert len(problem.found) == 80
        assert problem.found.isprintable()

    @pytest.mark.parametrize(
        ("line", "key"),
        [
            ("server.workers = 0", "server.workers"),
            ("server.workers = true", "server.workers"),
            ("server.workers = 1.0", "server.workers"),
            ("server.bind = []", "server.bind"),
            ('server.bind = "8080"', "server.bind"),
            ('server.bind = "127.0.0.1"', "server.bind"),
            ('server.bind = "1.2.3:80"', "server.bind"),
            ('server.bind = "::1:80"', "server.bind"),
            ('server.bind = "[::1]:65536"', "server.bind"),
            ('server.bind = "unix:"', "server.bind"),
            ('server.bind = ["127.0.0.1:1", 2]', "server.bind"),
            ("server.access-log = true", "server.access-log"),
            ('server.worker-class = "gevent"', "server.worker-class"),
            ('server.timeout = "5 minutes"', "server.timeout"),
            ('server.timeout = "0s"', "server.timeout"),
            ("server.timeout = -1", "server.timeout"),
            ('storage.path = ""', "storage.path"),
            ('storage.path = "a\\u0000b"', "storage.path"),
            ('server.http.url = "mail.example.org"', "server.http.url"),
            ('server.http.url = "https://"', "server.http.url"),
            ('server.http.url = "https://u:p@h"', "server.http.url"),
            ('server.http.url = "https://h?q"', "server.http.url"),
            ('server.http.url = "https://h#"', "server.http.url"),
            ('server.http.url = "https://h:"', "server.http.url"),
            ('server.http.url = "https://h:99999"', "server.http.url"),
            ('server.http.url = "https://h/a/../b"', "server.http.url"),
            ('server.http.url = "https://h\\n"', "server.http.url"),
            ('server.http.url = "https://[::1"', "server.http.url"),
            ('server.http.url = "https://a_b..c"', "server.http.url"),
            ("server.http.url = 3", "server.http.url"),
            ("server.http.url = []", "server.http.url"),
            ("server.http.url = [3]", "server.http.url"),
            ("server.http.url = [{ if = true }]", "server.http.url"),
            ("server.http.hsts = 1", "server.http.hsts"),
            ('server.http.forwarded-fields = ["prefix"]', "server.http.forwarded-fields"),
            ("server.http.headers = [1]", "server.http.headers"),
            ("server.http.rate-limit.anonymous = true", "server.http.rate-limit.anonymous"),
            ("lookup.default.hostname = 1", "lookup.default.hostname"),
            ('authentication.fail-rate = "10"', "authentication.fail-rate"),
            ('authentication.fail-rate = "0/1m"', "authentication.fail-rate"),
            ('account.quota = "1 B"', "account.quota"),
            ("plugins.disabled = [1]", "plugins.disabled"),
            ('server.tls.certificate = "nowhere.pem"', "server.tls.certificate"),
        ],
    )
    def test_a_wrong_value_is_refused(self, write, line, key):
        assert key in [problem.key for problem in problems(write(line))]

    @pytest.mark.parametrize(
        ("line", "key", "value"),
        [
            ('server.bind = "localhost:0"', "server.bind", ("localhost:0",)),
            ('server.bind = ["[::1]:80", "0.0.0.0:80"]', "server.bind", ("[::1]:80", "0.0.0.0:80")),
            ('server.bind = "unix:/run/f.sock"', "server.bind", ("unix:/run/f.sock",)),
            ("server.access-log = false", "server.access-log", None),
            ('server.access-log = "-"', "server.access-log", "-"),
            ('server.http.url = "https://h:8443/mail/"', "server.http.url", "https://h:8443/mail/"),
            ("server.http.hsts = true", "server.http.hsts", True),
            ("server.http.hsts = { max-age = 0 }", "server.http.hsts", (("max-age", 0),)),
            ("server.http.allowed-endpoint = 403", "server.http.allowed-endpoint", "403"),
            ("server.http.rate-limit.anonymous = false", "server.http.rate-limit.anonymous", None),
            ('server.http.rate-limit.account = "9/1h"', "server.http.rate-limit.account", Rate(9, 3600)),
            ("server.timeout = 90", "server.timeout", 90),
            ('account.quota = "1.5 GiB"', "account.quota", 3 * 2**29),
            ('authentication.fail-rate = "3/2h"', "authentication.fail-rate", Rate(3, 7200)),
        ],
    )
    def test_a_right_value_is_taken(self, write, line, key, value):
        assert load(write(line), {}).value(key) == value

    def test_the_old_name_of_the_headers_is_read(self, write):
        assert load(write('[jmap.http]\nheaders = ["X: a"]\n'), {}).server.http.headers == ("X: a",)
        found = problems(write('[jmap.http]\nheaders = ["X: a"]\nheadres = 1\n[server.http]\nheaders = ["X: b"]\n'))
        assert {problem.key for problem in found} == {"jmap.http.headers", "jmap.http.headres"}

    def test_a_certificate_needs_its_key(self, write):
        path = write('[server.tls]\ncertificate = "flaskmail.toml"\n')
        assert [problem.key for problem in problems(path)] == ["server.tls.private-key"]
        path = write('[server.tls]\nprivate-key = "flaskmail.toml"\n')
        assert [problem.key for problem in problems(path)] == ["server.tls.certificate"]
        path = write('[server.tls]\ncertificate = "flaskmail.toml"\nprivate-key = "no"\n')
        assert [problem.key for problem in problems(path)] == ["server.tls.private-key"]


class TestSecrets:
    def test_macros_are_replaced(self, write, tmp_path):
        (tmp_path / "host").write_text("mail.example.org\r\n")
        settings = load(write('[server.http]\nurl = "%{env:SCHEME}%://%{file:host}%"\n'), {"SCHEME": "https"})
        assert settings.server.http.url == "https://mail.example.org"
        [shown] = [one for one in documents.in_force(settings) if one["key"] == "server.http.url"]
        assert shown["value"] == '"%{env:SCHEME}%://%{file:host}%"'

    @pytest.mark.parametrize(
        "macro", ["%{env:NONE}%", "%{file:none}%", "%{env:}%", "%{cfg:a}%", "%{}%", "%{file:binary}%", "%{file:.}%"]
    )
    def test_a_macro_that_leads_nowhere_is_a_problem(self, write, tmp_path, macro):
        (tmp_path / "binary").write_bytes(b"\xff")
        [problem] = problems(write(f'[storage]\npath = "x{macro}"\n'))
        assert problem.key == "storage.path"
        assert macro in problem.found

    def test_macros_in_lists_are_replaced(self, write):
        settings = load(write('[plugins]\ndisabled = ["%{env:A}%", "b"]\n'), {"A": "a"})
        assert settings.plugins.disabled == ("a", "b")

    def test_what_a_macro_stands_for_is_not_told(self, write):
        path = write('[server.http]\nurl = "%{env:SECRET}%"\n')
        [problem] = problems(path, SECRET="hunter2")
        assert "hunter2" not in str(problem)
        settings = load(write('[plugins]\ndisabled = ["%{env:SECRET}%"]\n'), {"SECRET": "hunter2"})
        assert "hunter2" not in json.dumps(documents.in_force(settings))

    def test_a_secret_setting_is_not_told(self, write):
        [problem] = [p for p in problems(write('[server.tls]\nprivate-key = "hunter2"\n')) if "private" in p.key]
        assert "hunter2" not in str(problem)
        path = write('[server.tls]\nprivate-key = "flaskmail.toml"\ncertificate = "flaskmail.toml"\n')
        settings = load(path, {}, checks=())
        [shown] = [one for one in documents.in_force(settings) if one["key"] == "server.tls.private-key"]
        assert shown["value"] == '"(secret)"'
        assert "private_key" not in repr(settings)

    def test_what_is_called_a_secret_by_plugins_is_not_told(self, write):
        text = (
            '[plugins.x]\nurl = "https://h"\npassword = "hunter2"\nmore = { api-key = \'hunter2\', tokens = ["hunter2"] }\n'
            '[lookup.keys]\nsecret-one = "hunter2"\nplain = "seen"\n'
        )
        shown = json.dumps(documents.in_force(load(write(text), {})))
        assert "hunter2" not in shown
        assert shown.count("(secret)") == 4
        assert "https://h" in shown
        assert "seen" in shown


class TestValues:
    @pytest.mark.parametrize(
        ("text", "size"),
        [
            (0, 0),
            (50, 50),
            ("7", 7),
            ("7 B", 7),
            ("50 MB", 50_000_000),
            ("1KiB", 1024),
            ("1.5 kB", 1500),
            ("0.001 kB", 1),
        ],
    )
    def test_sizes(self, text, size):
        assert kinds.parse_size(text) == size

    @pytest.mark.parametrize(
        "text",
        [True, -1, 2**53, "", "MB", "5 mb", "5  MB", "1e3", "1_000", "٥", "9000 TB x", "999999999 TB", 1.5, None, []],
    )
    def test_what_is_no_size(self, text):
        with pytest.raises(ValueError):  # noqa: PT011
            kinds.parse_size(text)

    @pytest.mark.parametrize("text", ["", "s", "5", "5ms", "-5s", "5 S", "1h30m", True, 1.5, "٥s"])
    def test_what_is_no_time(self, text):
        with pytest.raises(ValueError):  # noqa: PT011
            kinds.parse_duration(text)

    @given(st.integers(0, 2**53 - 1))
    def test_a_size_that_is_written_reads_back(self, size):
        assert kinds.parse_size(kinds.write_size(size)) == size

    @given(st.integers(0, 999_999_999))
    def test_a_time_that_is_written_reads_back(self, seconds):
        assert kinds.parse_duration(kinds.write_duration(seconds)) == seconds

    @given(st.integers(1, 999_999_999), st.integers(1, 999_999_999))
    def test_a_rate_that_is_written_reads_back(self, count, seconds):
        assert kinds.parse_rate(str(Rate(count, seconds))) == Rate(count, seconds)

    @given(st.text())
    def test_a_text_that_is_quoted_reads_back(self, text):
        text = text.encode("utf-8", "replace").decode()
        assert tomli.loads(f"a = {kinds.quote(text)}") == {"a": text}


class TestDeclarations:
    def test_every_default_reads_back_as_itself(self, tmp_path):
        for one in declarations():
            if one.default is not None:
                [raw] = tomli.loads(f"a = {one.kind.write(one.default)}").values()
                value = one.kind.parse(raw, Path())
                assert value == one.default, one.key

    def test_every_example_is_right(self):
        # Files of an example need not be there.
        examples = [one for one in declarations() if one.example and not one.key.startswith("server.tls.")]
        assert examples
        for one in examples:
            [raw] = tomli.loads(f"a = {one.example}").values()
            one.kind.parse(raw, Path())

    def test_what_is_unset_by_default_has_an_example(self):
        assert [one.key for one in declarations() if one.default is None and not one.example] == []

    def test_the_example_file_is_right_and_shows_every_key(self, write):
        text = documents.example()
        assert load(write(text), {}).server == Settings().server
        # With every key put into force it says the same; only the examples name files that are not there.
        lines = [line for line in text.splitlines() if not line.startswith("# ") and "/etc/" not in line]
        forced = "\n".join(line.removeprefix("#") for line in lines)
        found = tomli.loads(forced)
        settings = load(write(forced), {})
        assert settings.storage.path.name == "data"
        for one in declarations():
            if one.section != "server.tls":
                node = found
                for part in one.key.split("."):
                    node = node[part]
                if one.default is not None and one.key != "storage.path":
                    assert settings.value(one.key) == one.default

    def test_limits_are_those_of_the_protocol(self):
        names = set(inspect.signature(Limits).parameters)
        assert set(Settings().limits()) == names
        assert Limits(**Settings().limits()) == Limits()


class TestReloading:
    def test_changes_are_told_apart(self, write):
        old = load(write("[server]\nworkers = 1\n"), {})
        new = load(
            write('server.workers = 2\nserver.bind = "127.0.0.1:1"\nstorage.path = "b"\njmap.strict-using = true\n'),
            {},
        )
        changed, fixed = diff(old, new)
        assert changed == ("server.workers", "jmap.strict-using")
        assert fixed == ("server.bind", "storage.path")
        merged = merge(old, new)
        assert diff(old, merged) == (changed, ())
        assert diff(merged, new) == ((), fixed)
        assert merged.source == new.source

    def test_settings_in_force_are_loaded_once_and_can_be_replaced(self, write, monkeypatch):
        monkeypatch.setenv("FLASKMAIL_CONFIG", str(write("[server]\nworkers = 7\n")))
        config.adopt(None)
        try:
            assert config.current().server.workers == 7
            write("[server]\nworkers = 8\n")
            assert config.current().server.workers == 7
            config.adopt(Settings())
            assert config.current() == Settings()
        finally:
            config.adopt(None)


class TestCommand:
    def run(self, *arguments: str):
        return CliRunner().invoke(main, ["config", *arguments], catch_exceptions=False)

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch):
        monkeypatch.delenv("FLASKMAIL_CONFIG", raising=False)
        monkeypatch.delenv("FLASKMAIL_DATA", raising=False)

    def test_check_lists_every_problem(self, write):
        path = write("[server]\nworkerz = 2\nthreads = 0\n")
        result = self.run("check", str(path))
        assert result.exit_code == 1
        assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["server.workerz", "server.threads"]
        found = json.loads(self.run("check", str(path), "--json").stdout)
        assert [one["hint"] for one in found["problems"]] == ["server.workers", ""]

    def test_check_of_right_settings(self, write):
        path = write("[server]\nworkers = 2\n")
        assert self.run("check").exit_code == 0
        assert "settings are right" in self.run("check", str(path)).stdout
        assert json.loads(self.run("check", str(path), "--json").stdout) == {"file": str(path), "problems": []}

    def test_show_tells_values_and_origins(self, write, monkeypatch):
        path = write("[server]\nworkers = 9\n")
        monkeypatch.setenv("FLASKMAIL_CONFIG", str(path))
        shown = self.run("show").stdout
        assert tomli.loads(shown)["server"]["workers"] == 9
        found = json.loads(self.run("show", "--json").stdout)
        assert found["settings"]["server.workers"] == {"value": "9", "origin": str(path)}
        assert found["settings"]["server.http.url"] == {"value": None, "origin": "default"}
        assert set(found["settings"]) == {one.key for one in declarations()}

    def test_show_refuses_wrong_settings(self, write, monkeypatch):
        monkeypatch.setenv("FLASKMAIL_CONFIG", str(write("x = 1\n")))
        assert self.run("show").exit_code == 1

    def test_example_prints_the_file(self):
        assert self.run("example").stdout == documents.example()
        assert self.run("example", "--markdown").stdout == documents.page()
        assert json.loads(self.run("example", "--json").stdout) == {"text": documents.example()}


def test_the_policy_of_mta_sts_names_every_host_of_dns_mx(write):
    text = '[session.mta-sts]\nmode = "enforce"\n{}[dns]\nmx = {}\n'
    both = '["10 mx1.example.org", "mx2.Example.org"]'
    for mx in ("", 'mx = ["mx1.example.org", "MX2.example.org"]\n', 'mx = ["*.example.org", "mx.example.net"]\n'):
        load(write(text.format(mx, both)), {})
    for one in ("mx1.example.org", "example.org", "*.mx2.example.org"):
        path = write(text.format(f'mx = ["{one}"]\n', both))
        told = [problem for problem in problems(path) if "mx2.example.org" in problem.expected]
        assert [problem.key for problem in told] == ["session.mta-sts.mx"]
    assert [problem.key for problem in problems(write(text.format("", "[]")))] == ["session.mta-sts.mx"]
    load(write(text.format("", "[]").replace("enforce", "none")), {})
