"""Tables of plain values in the settings, what expressions read of settings, and the command that evaluates one."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from flaskmail import config, sockets
from flaskmail.cli import main
from flaskmail.config import Settings, diff, load, merge
from flaskmail.config.listening import Listener
from flaskmail.errors import ConfigError
from flaskmail.policy import plan


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function text -> the path of the settings file, which is also the one of the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLASKMAIL_CONFIG", raising=False)
    monkeypatch.delenv("FLASKMAIL_DATA", raising=False)

    def make(text: str):
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    yield make
    config.adopt(None)


TABLES = """
[lookup.default]
hostname = "mail.example.org"
more = "%{env:MORE}%"
[lookup.ports]
http = 80
share = 0.5
on = false
nets = ["a", "b", 3]
"""


class TestTables:
    def test_they_are_read(self, write):
        settings = load(write(TABLES), {"MORE": "x"})
        assert settings.lookup.default.hostname == "mail.example.org"
        assert settings.lookup.tables == {
            "default": {"more": "x"},
            "ports": {"http": 80, "share": 0.5, "on": False, "nets": ("a", "b", 3)},
        }
        assert settings.origin("lookup.ports.http").endswith("config.toml")

    @pytest.mark.parametrize(
        ("text", "key", "expected"),
        [
            ("[lookup.a]\nb = 2024-01-01", "lookup.a.b", "a text, a number"),
            ("[lookup.a]\nb = inf", "lookup.a.b", "a text, a number"),
            ("[lookup.a]\nb = [[1]]", "lookup.a.b", "a text, a number"),
            ("[lookup.a.b]\nc = 1", "lookup.a.b", "a text, a number"),
            ("[lookup.a]\nb = 99999999999999999999", "lookup.a.b", "a text, a number"),
            ("[lookup.a]\n'b c' = 1", 'lookup.a."b c"', "a name of at most"),
            ("[lookup.'a.b']\nc = 1", 'lookup."a.b"', "a name of at most"),
            ("[lookup]\na = 1", "lookup.a", "a table, [lookup.a]"),
            ("[lookup.default]\nb = {}", "lookup.default.b", "a text, a number"),
            ("[lookup.a]\nb = '%{env:NONE}%'", "lookup.a.b", "the environment variable NONE"),
        ],
    )
    def test_mistakes_are_named(self, write, text, key, expected):
        with pytest.raises(ConfigError) as caught:
            load(write(text), {})
        [problem] = caught.value.problems
        assert problem.key == key
        assert expected in problem.expected

    def test_they_are_shown_as_they_were_written(self, write, monkeypatch):
        monkeypatch.setenv("MORE", "hidden")
        write(TABLES)
        shown = CliRunner().invoke(main, ["config", "show"], catch_exceptions=False).output
        assert "hidden" not in shown
        assert 'more = "%{env:MORE}%"' in shown
        assert 'nets = ["a", "b", 3]' in shown
        assert "on = false" in shown
        assert shown.count("[lookup.default]") == 1

    def test_a_reload_brings_new_ones(self, write):
        old = load(write(TABLES), {"MORE": "x"})
        new = load(write(TABLES.replace("80", "81") + "\n[lookup.new]\na = 1"), {"MORE": "x"})
        assert diff(old, new) == (("lookup.ports", "lookup.new"), ())
        assert merge(old, new).lookup == new.lookup
        assert diff(merge(old, new), new) == ((), ())


class TestNames:
    @pytest.mark.parametrize(
        ("text", "hostname"),
        [
            ("", "localhost"),
            ("server.bind = ['unix:a', '[::1]:80', '127.0.0.2:80', 'localhost:80']", "localhost"),
            ("server.bind = '0.0.0.0:80'\nlookup.default.hostname = 'mail.example.org'", "mail.example.org"),
        ],
    )
    def test_the_hostname_is_known_without_a_guess(self, write, text, hostname):
        lookups, warnings = plan.names(load(write(text), {}))
        assert lookups["default"]["hostname"] == hostname
        assert warnings == []

    @pytest.mark.parametrize(
        "hostname", ["https://a.example", "a.example:8443", "a b", "a.example/x", "::1", "1.2.3", "ä.example"]
    )
    def test_what_is_no_name_of_a_host_is_found_at_load(self, write, hostname):
        with pytest.raises(ConfigError) as caught:
            load(write(f"lookup.default.hostname = '{hostname}'"), {})
        [problem] = caught.value.problems
        assert (problem.key, problem.where[-5:]) == ("lookup.default.hostname", ".toml")

    def test_a_public_server_without_a_name_is_warned(self, write, monkeypatch):
        monkeypatch.setattr("socket.gethostname", lambda: "box.example.net")
        lookups, warnings = plan.names(load(write("server.bind = '0.0.0.0:80'"), {}))
        assert lookups["default"]["hostname"] == "box.example.net"
        assert "lookup.default.hostname" in warnings[0]

    def test_the_open_sockets_count_where_there_are_any(self, write, monkeypatch):
        monkeypatch.setattr("socket.gethostname", lambda: "box.example.net")
        listeners = {"default": Listener()}
        try:
            # As after `gunicorn -b 0.0.0.0:80`, which wins over the settings.
            for address, hostname in (("0.0.0.0", "box.example.net"), ("::", "box.example.net"), ("::1", "localhost")):
                sockets.opened([((address, 80), "default"), ("/run/s", "default")], listeners)
                lookups, warnings = plan.names(load(write("server.bind = '127.0.0.1:80'"), {}))
                assert lookups["default"]["hostname"] == hostname
                assert len(warnings) == (hostname != "localhost")
        finally:
            sockets.opened([], {})

    def test_no_secret_is_readable(self, tmp_path):
        readable = Settings().readable()
        assert readable["server.workers"] == 2
        assert readable["server.bind"] == ("127.0.0.1:8080",)
        assert readable["account.quota"] == ""
        assert readable["authentication.fail-rate"] == "10/1m"
        assert "server.tls.private-key" not in readable
        assert "server.tls.certificate" in readable

    def test_the_settings_of_the_policy_may_use_them(self, write):
        access = "allowed-endpoint = \"if_then(local_port == key_get('ports', 'http'), 200, config_get('server.workers') + 402)\""
        settings = load(write(f"{TABLES}\n[server.http]\n{access}"), {"MORE": "x"})
        assert plan.of_settings(settings).access is not None

    def test_mistakes_in_them_are_told_with_their_place(self, write):
        with pytest.raises(ConfigError) as caught:
            load(write(f"{TABLES}\n[server.http]\nallowed-endpoint = \"1 + key_get('prots', 'a')\""), {"MORE": "x"})
        [problem] = caught.value.problems
        assert problem.key == "server.http.allowed-endpoint"
        assert "character 13" in problem.found
        assert problem.hint == "ports"
        assert problem.excerpt.endswith(" " * 12 + "^")


class TestCommand:
    @pytest.fixture
    def run(self, write):
        write(TABLES.replace("%{env:MORE}%", "more"))

        def run(*arguments: str):
            return CliRunner().invoke(main, ["expression", *arguments], catch_exceptions=False)

        return run

    @pytest.mark.parametrize(
        ("arguments", "wanted"),
        [
            (["1 + 1"], {"type": "integer", "value": 2}),
            (["7 / 2"], {"type": "float", "value": 3.5}),
            (["key_get('ports', 'nets')"], {"type": "list", "value": ["a", "b", 3]}),
            (["config_get('server.hostname')"], {"type": "text", "value": "mail.example.org"}),
            (["config_get('server.workers')"], {"type": "integer", "value": 2}),
            (["local_port + 1", "--var", "local_port=443"], {"type": "integer", "value": 444}),
            (["headers", "--var", "headers=a: b=c", "--var", "headers=d"], {"type": "list", "value": ["a: b=c", "d"]}),
            (["url", "--var", "url=/a?b=c"], {"type": "text", "value": "/a?b=c"}),
            (["is_tls", "--var", "is_tls=true"], {"type": "integer", "value": 1}),
            (["--", "-1"], {"type": "integer", "value": -1}),
        ],
    )
    def test_the_value_is_written(self, run, arguments, wanted):
        result = run("--json", *arguments)
        assert json.loads(result.stdout) == wanted
        assert result.exit_code == 0

    def test_people_get_a_line(self, run):
        assert run("'a' + 1").output == "text: a1\n"
        assert run("['a', 1, [2.5]]").output == "list: ['a', 1, [2.5]]\n"
        assert run(r"'a\n'").output == "text: 'a\\n'\n"

    @pytest.mark.parametrize(
        ("expression", "error", "position"),
        [
            ("1 +", "the expression ends where a value is missing", 3),
            ("1 / 0", "a division by zero", 2),
            ("1 + url", "the variable url has no value", 0),
        ],
    )
    def test_an_error_has_its_position(self, run, expression, error, position):
        result = run(expression, "--json")
        assert json.loads(result.stdout) == {"error": error, "position": position}
        assert result.exit_code == 1

    def test_people_see_the_place(self, run):
        result = run("1 + remot_ip")
        assert result.exit_code == 1
        assert "did you mean 'remote_ip'?" in result.stderr
        assert "  1 + remot_ip\n      ^" in result.stderr
        assert result.stdout == ""
        assert "--var NAME=VALUE" in run("url").stderr

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("url", "not NAME=VALUE"),
            ("ulr=1", "did you mean 'url'"),
            ("zz=1", "there are listener"),
            ("is_tls=x", "is an integer"),
        ],
    )
    def test_wrong_variables_are_named(self, run, given, said):
        result = run("1", "--var", given)
        assert result.exit_code == 2
        assert said in result.stderr

    def test_wrong_settings_are_named(self, run, write):
        write("[server]\nworkers = 'x'")
        result = run("1")
        assert result.exit_code == 2
        assert "server.workers" in result.stderr
