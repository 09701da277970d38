from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

import pytest
from certificates import write_pair
from cryptography.hazmat.primitives import serialization

from flaskmail import sockets
from flaskmail.config import Settings, declarations, diff, documents, load, merge
from flaskmail.config.listening import Listener, ListenerAuth, ListenerProxy
from flaskmail.decisions.proxyprotocol import SIGNATURE, Passed, read_header
from flaskmail.errors import ConfigError
from flaskmail.policy.plan import networks_at_hand
from flaskmail.testing import make_server


@pytest.fixture
def write(tmp_path):
    def written(text: str) -> Path:
        (tmp_path / "config.toml").write_text(text)
        return tmp_path / "config.toml"

    write_pair(tmp_path, "a.pem", "b.pem")
    return written


def problems(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return {problem.key: str(problem) for problem in caught.value.problems}


class TestSettings:
    def test_bind_and_tls_stand_for_one_listener(self, write):
        settings = load(
            write('server.bind = "127.0.0.1:1"\nserver.tls = { certificate = "a.pem", private-key = "b.pem" }'), {}
        )
        [(name, listener)] = settings.server.listeners().items()
        assert name == "default"
        assert listener.bind == ("127.0.0.1:1",)
        assert listener.tls.certificate.name == "a.pem"

    @pytest.mark.parametrize("where", ["server", "server.listener.a"])
    @pytest.mark.parametrize(
        ("certificate", "key", "wrong", "said"),
        [
            ("a.pem", "other.pem", "private-key", "the key of another certificate"),
            ("a.pem", "a.pem", "private-key", "no key"),
            ("a.pem", "empty.pem", "private-key", "no key"),
            ("a.pem", "locked.pem", "private-key", "without a passphrase"),
            ("b.pem", "a.pem", "certificate", "a file without a certificate"),
        ],
    )
    def test_files_that_are_no_pair_are_found_at_the_start(self, write, tmp_path, where, certificate, key, wrong, said):
        write_pair(tmp_path, "another.pem", "other.pem")
        (tmp_path / "empty.pem").touch()
        private = serialization.load_pem_private_key((tmp_path / "b.pem").read_bytes(), None)
        locked = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
        (tmp_path / "locked.pem").write_bytes(locked)
        text = f'{where}.tls = {{ certificate = "{certificate}", private-key = "{key}" }}\n'
        text += "server.listener.a.bind = '127.0.0.1:1'" if "listener" in where else ""
        [(place, problem)] = problems(write(text)).items()
        assert place == f"{where}.tls.{wrong}"
        assert said in problem

    def test_names_of_balancers_may_be_those_of_plugins(self, write, tmp_path):
        (tmp_path / "named.py").write_text(
            "from flaskmail.hookspecs import hookimpl\n\n\n@hookimpl\ndef trusted_networks():\n"
            "    return {'balancers': ['192.0.2.0/28'], 'nobody': []}\n"
        )
        text = (
            'plugins.paths = ["named.py"]\n'
            'server.listener.a = { bind = "127.0.0.1:1", proxy.trusted-networks = ["10.0.0.1", "balancers"] }\n'
        )
        settings = load(write(text), {})
        networks = sockets.balancers(settings.server.listeners(), networks_at_hand(settings))
        assert [ipaddress.ip_address(one) in networks for one in ("10.0.0.1", "192.0.2.15", "192.0.2.16")] == [
            True,
            True,
            False,
        ]
        key = "server.listener.a.proxy.trusted-networks[1]"
        for name, told in (("balancer", "balancers"), ("nobody", "a network is known")):
            assert told in problems(write(text.replace("balancers", name)))[key]
        assert list(problems(write(text.partition("\n")[2]))) == [key]

    def test_a_listener_cannot_take_passwords_that_the_server_refuses(self, write):
        text = 'authentication.basic = false\nserver.listener.a = { bind = "127.0.0.1:1", auth.basic = true }\n'
        assert "authentication.basic = true" in problems(write(text))["server.listener.a.auth.basic"]
        for good in (text.replace("basic = true", "basic = false"), text.partition("\n")[2]):
            load(write(good), {})

    def test_by_default_only_this_machine_is_listened_to(self):
        assert [one.bind for one in Settings().server.listeners().values()] == [("127.0.0.1:8080",)]

    def test_listeners_are_read_in_their_order(self, write):
        settings = load(
            write(
                '[server.listener.b]\nbind = "0.0.0.0:1"\nroutes = ["jmap"]\nproxy.trusted-networks = ["unix"]\n'
                '[server.listener.a]\nbind = ["[::]:1", "unix:s"]\nproxy.trusted-networks = ["unix"]\n'
            ),
            {},
        )
        b, a = settings.server.listener.items()
        assert b == ("b", Listener(bind=("0.0.0.0:1",), routes=("jmap",), proxy=ListenerProxy(("unix",))))
        assert a[0] == "a"
        assert a[1].bind[1].endswith("/s")
        assert settings.value("server.listener.b.routes") == ("jmap",)
        assert settings.origin("server.listener.b.routes").endswith("config.toml")
        shown = {one["key"]: one["value"] for one in documents.in_force(settings)}
        assert shown["server.listener.b.routes"] == '["jmap"]'
        assert "server.listener.a.tls.private-key" in {one.key for one in declarations(of=settings)}

    @pytest.mark.parametrize(
        ("text", "key", "said"),
        [
            ("[server.listener.a]", "server.listener.a.bind", "where it listens"),
            ("server.listener.a.routes = []", "server.listener.a.bind", "where it listens"),
            ("server.listener = 1", "server.listener", "a table"),
            ('server.listener.bind = "127.0.0.1:1"', "server.listener.bind", "a table"),
            ('server.listener."a b".bind = "127.0.0.1:1"', 'server.listener."a b"', "letters"),
            ('server.listener.a = { bind = "127.0.0.1:1", tsl = {} }', "server.listener.a.tsl", "unknown table"),
            ('server.listener.a = { bind = "127.0.0.1:1", protocol = "smtp" }', "server.listener.a.protocol", '"http"'),
            ('server.listener.a = { bind = "127.0.0.1:1", routes = ["jamp"] }', "server.listener.a.routes", '"jmap"'),
            (
                'server.listener.a = { bind = "127.0.0.1:1", tls.certificate = "a.pem" }',
                "server.listener.a.tls.private-key",
                "server.listener.a.tls.certificate is set",
            ),
            (
                'server.bind = "127.0.0.1:1"\nserver.listener.a = { bind = "127.0.0.1:2" }',
                "server.bind",
                "drop server.bind",
            ),
            (
                'server.tls = { certificate = "a.pem", private-key = "b.pem" }\nserver.listener.a = { bind = "127.0.0.1:2" }',
                "server.tls.certificate",
                "drop server.tls.certificate",
            ),
            (
                'server.listener.a = { bind = "127.0.0.1:1" }\nserver.listener.b = { bind = "127.0.0.1:1" }',
                "server.listener.b.bind",
                "server.listener.a",
            ),
            (
                'server.listener.a.bind = "127.0.0.1:1"\nserver.listener.b.bind = "127.0.0.1:2"\n'
                'server.listener.c = { bind = "127.0.0.1:3", tls = { certificate = "a.pem", private-key = "b.pem" } }',
                "server.listener.c.tls",
                "second process",
            ),
            (
                'server.listener.a.bind = "127.0.0.1:1"\n'
                'server.listener.b = { bind = "127.0.0.1:3", proxy.trusted-networks = ["10.0.0.1"] }',
                "server.listener.b.proxy.trusted-networks",
                "second process",
            ),
            (
                'server.http.use-x-forwarded = true\n'
                'server.listener.b = { bind = "127.0.0.1:3", proxy.trusted-networks = ["10.0.0.1"] }',
                "server.listener.b.proxy.trusted-networks",
                "use-x-forwarded",
            ),
            (
                'server.listener.b = { bind = "127.0.0.1:3", proxy.trusted-networks = ["unix", "0.0.0.0/0"] }',
                "server.listener.b.proxy.trusted-networks[1]",
                "every client",
            ),
            (
                'server.listener.b = { bind = "127.0.0.1:3", proxy.trusted-networks = ["privat"] }',
                "server.listener.b.proxy.trusted-networks[0]",
                "private",
            ),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_said(self, write, text, key, said):
        found = problems(write(text))
        assert next(iter(found)) == key
        assert said in found[key]
        assert len(found) == 1 or key == "server.tls.certificate"

    def test_a_reload_changes_routes_and_no_addresses(self, write):
        text = (
            'server.listener.a = { bind = "127.0.0.1:1", routes = ["jmap"] }\nserver.listener.b.bind = "127.0.0.1:2"\n'
        )
        old = load(write(text), {})
        new = load(write(text.replace('"jmap"', '"health"').replace(":2", ":3")), {})
        assert diff(old, new) == (("server.listener.a.routes",), ("server.listener.b.bind",))
        merged = merge(old, new)
        assert merged.server.listener["a"].routes == ("health",)
        assert merged.server.listener["b"].bind == ("127.0.0.1:2",)

    def test_a_listener_more_waits_for_a_restart(self, write):
        old = load(write('server.listener.a.bind = "127.0.0.1:1"'), {})
        new = load(
            write('server.workers = 3\nserver.listener.a.bind = "127.0.0.1:1"\nserver.listener.b.bind = "127.0.0.1:2"'),
            {},
        )
        changed, fixed = diff(old, new)
        assert changed == ("server.workers",)
        assert "server.listener.b.bind" in fixed
        assert merge(old, new).server.listener == old.server.listener
        assert merge(new, old).server.listener == new.server.listener


class Socket:
    def __init__(self, name):
        self.getsockname = lambda: name


class TestPlaces:
    @pytest.fixture(autouse=True)
    def forget(self):
        yield
        sockets.opened([], {})

    def test_the_accepting_socket_says_which_listener_it_was(self):
        listeners = {
            "a": Listener(bind=("127.0.0.1:1", "unix:/s")),
            "b": Listener(bind=("0.0.0.0:2",), routes=("health",)),
        }
        addresses = [("127.0.0.1", 1), "/s", ("0.0.0.0", 2)]
        owners = sockets.assign(listeners, ["127.0.0.1:1", "unix:/s", "0.0.0.0:2"], addresses)
        sockets.opened(owners.items(), listeners)

        def place(name):
            return sockets.place({"gunicorn.socket": Socket(name), "SERVER_PORT": "99"})

        assert place(("127.0.0.1", 1)) == sockets.Place("a", "127.0.0.1", 1)
        assert place("/s") == sockets.Place("a", None, None)
        assert place(("192.0.2.1", 2)) == sockets.Place("b", "192.0.2.1", 2)
        assert place(("::ffff:192.0.2.1", 2, 0, 0)) == sockets.Place("b", "192.0.2.1", 2)
        assert place(("192.0.2.1", 3)).listener == "default"

        def serves(name, path, script=""):
            return sockets.serves({"gunicorn.socket": Socket(name), "PATH_INFO": path, "SCRIPT_NAME": script})

        assert serves(("127.0.0.1", 1), "/jmap/")
        assert serves(("192.0.2.1", 2), "/healthz/live")
        assert not serves(("192.0.2.1", 2), "/elsewhere")
        assert not serves(("192.0.2.1", 2), "/jmap")
        assert not serves(("192.0.2.1", 2), "/jmap/session")
        assert not serves(("192.0.2.1", 2), "/session", "/jmap")
        assert serves(("127.0.0.1", 1), "/elsewhere")
        assert not serves(("192.0.2.1", 2), "/healthzz")
        # What is said anew counts from the next request on.
        sockets.serve({"a": listeners["a"], "b": Listener(routes=("plugins",))})
        assert serves(("192.0.2.1", 2), "/jmapper")
        assert not serves(("192.0.2.1", 2), "/healthz/live")

    @pytest.mark.parametrize(
        ("path", "groups"),
        [
            ("/jmap/", ["jmap"]),
            ("/api/principal", ["api"]),
            ("/auth/token", ["oauth"]),
            ("/authorize", ["oauth"]),
            ("/account/password", ["oauth"]),
            ("/accounts", ["plugins"]),
            ("/assets/style.css", ["oauth", "admin"]),
            ("/.well-known/jmap", ["discovery"]),
            ("/mail/config-v1.1.xml", ["discovery"]),
            ("/mail/", ["plugins"]),
            ("/robots.txt", ["discovery"]),
            ("/metrics/prometheus", ["metrics"]),
            ("/", ["oauth", "plugins"]),
            ("//", ["plugins"]),
            ("", ["plugins"]),
        ],
    )
    def test_every_path_belongs_to_a_group(self, path, groups):
        assert sockets.groups_of(path) == groups

    def test_a_path_of_two_groups_is_served_where_one_is(self):
        for routes, served in ((("admin",), True), (("oauth",), True), (("jmap", "plugins"), False)):
            sockets.opened([(("127.0.0.1", 1), "a")], {"a": Listener(routes=routes)})
            environ = {"gunicorn.socket": Socket(("127.0.0.1", 1)), "PATH_INFO": "/assets/x"}
            assert sockets.serves(environ) is served

    def test_the_server_has_no_route_outside_of_its_groups(self):
        with make_server() as made:
            rules = {rule.rule for rule in made.app.url_map.iter_rules()}
        assert {rule for rule in rules if sockets.groups_of(rule) == ["plugins"]} == set()
        assert {group for rule in rules for group in sockets.groups_of(rule)} >= {
            "jmap",
            "oauth",
            "discovery",
            "health",
        }

    def test_which_listeners_take_passwords(self):
        listeners = {
            "a": Listener(),
            "b": Listener(auth=ListenerAuth(basic=False)),
            "c": Listener(auth=ListenerAuth(True)),
        }
        sockets.opened([(("127.0.0.1", port), name) for port, name in enumerate(listeners, 1)], listeners)
        taken = [sockets.takes_passwords({"gunicorn.socket": Socket(("127.0.0.1", port))}) for port in (1, 2, 3)]
        assert taken == [True, False, True]

    def test_without_anything_said_there_is_one_listener(self):
        assert sockets.place({"SERVER_PORT": "8080"}) == sockets.Place("default", None, 8080)
        assert sockets.place({}) == sockets.Place("default", None, None)

    def test_several_listeners_cannot_be_replaced_on_the_command_line(self):
        listeners = {"a": Listener(bind=("127.0.0.1:1",)), "b": Listener(bind=("127.0.0.1:2",))}
        with pytest.raises(ValueError, match="-b"):
            sockets.assign(listeners, ["127.0.0.1:3"], [("127.0.0.1", 3)])
        assert sockets.assign({"a": listeners["a"]}, ["127.0.0.1:3"], [("127.0.0.1", 3)]) == {("127.0.0.1", 3): "a"}


def header(data: bytes, piece: int = 1000) -> tuple[Passed, bytes]:
    """The header at the begin of the data, which come in pieces, and what stays unread."""
    left = [data]

    def peek(count: int) -> bytes:
        if not left[0]:
            raise ValueError("ended")
        return left[0][: min(count, piece)]

    def read(count: int) -> bytes:
        if len(left[0]) < count:
            raise ValueError("ended")
        found, left[0] = left[0][:count], left[0][count:]
        return found

    return read_header(read, peek), left[0]


def version_2(command: int, family: int, addresses: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(addresses)) + addresses


V4 = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack(">HH", 1234, 443)
V6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01" + bytes(16) + struct.pack(">HH", 1234, 443)
MAPPED = bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 7]) + bytes(16) + struct.pack(">HH", 1234, 443)


class TestProxyProtocol:
    @pytest.mark.parametrize("piece", [1, 7, 1000])
    @pytest.mark.parametrize(
        ("data", "passed"),
        [
            (b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443\r\n", Passed(address="203.0.113.7", port=1234)),
            (b"PROXY TCP6 2001:db8::1 ::1 1234 443\r\n", Passed(address="2001:db8::1", port=1234)),
            (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", Passed(address="203.0.113.7", port=1)),
            (b"PROXY UNKNOWN\r\n", Passed()),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Passed()),
            (version_2(0x21, 0x11, V4), Passed(address="203.0.113.7", port=1234)),
            (version_2(0x21, 0x11, V4 + b"\x03\x00\x04abcd"), Passed(address="203.0.113.7", port=1234)),
            (version_2(0x21, 0x21, V6), Passed(address="2001:db8::1", port=1234)),
            (version_2(0x21, 0x21, MAPPED), Passed(address="203.0.113.7", port=1234)),
            (version_2(0x21, 0x00, b""), Passed()),
            (version_2(0x21, 0x31, bytes(216)), Passed()),
            (version_2(0x20, 0x00, b""), Passed(local=True)),
            (version_2(0x20, 0x11, V4), Passed(local=True)),
        ],
    )
    def test_a_header_is_taken_and_nothing_more(self, data, passed, piece):
        assert header(data + b"GET / HTTP/1.1\r\n", piece) == (passed, b"GET / HTTP/1.1\r\n")

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 1234\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443 \r\n",
            b"PROXY TCP4 2001:db8::1 192.0.2.1 1234 443\r\n",
            b"PROXY TCP4 203.0.113.07 192.0.2.1 1234 443\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 -1\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 \xb2 443\r\n",
            b"PROXY UDP4 203.0.113.7 192.0.2.1 1234 443\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 1234 443\n" + b"GET / HTTP/1.1\r\n",
            b"PROXY UNKNOWN " + b"f" * 200 + b"\r\n",
            b"proxy unknown\r\n" + b" " * 20,
            b"PROXY TCP4 203.0.113.7 192.0",
            SIGNATURE[:11] + b"x" + bytes(20),
            version_2(0x11, 0x11, V4),
            version_2(0x22, 0x11, V4),
            version_2(0x21, 0x12, V4),
            version_2(0x21, 0x11, V4[:11]),
            version_2(0x21, 0x21, V4),
            version_2(0x21, 0x11, V4)[:20],
            version_2(0x21, 0x11, V4 + bytes(5000)),
        ],
    )
    def test_what_is_no_header_is_refused(self, data):
        with pytest.raises(ValueError, match=r"\w"):
            header(data)
