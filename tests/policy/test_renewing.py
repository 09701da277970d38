"""New settings in a process that serves."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from flask import Flask
from policyapp import Answered, bare_app, environ_of

from flaskmail.errors import ConfigError
from flaskmail.hookspecs import hookimpl
from flaskmail.policy import HttpPolicy
from flaskmail.policy.plan import Policy, Surroundings, from_mapping
from flaskmail.testing import make_server

Headers = list[tuple[str, str]]
CLIENT = ("X-Forwarded-For", "198.51.100.7")


def ask(app: Flask, path: str = "/seen", headers: Headers | None = None, method: str = "GET", **row: Any) -> Answered:
    return Answered(app, environ_of({"headers": headers or [], **row}, path, method))


def made(settings: dict[str, Any], plugins: Iterable[object] = ()) -> tuple[Flask, HttpPolicy]:
    app = bare_app()
    return app, HttpPolicy(app, settings, plugins)


class TestEachSettingFollows:
    def test_headers(self) -> None:
        app, policy = made({"headers": ["X-A: old"]})
        policy.renew({"headers": ["X-A: new", "X-B: b"]})
        answered = ask(app)
        assert (answered.all("X-A"), answered.all("X-B")) == (["new"], ["b"])
        assert ask(app, "/nowhere").all("X-A") == ["new"]

    def test_trusted_proxies(self) -> None:
        app, policy = made({"use-x-forwarded": True, "trusted-proxies": ["192.0.2.1"]})
        assert b'"203.0.113.99"' in ask(app, headers=[CLIENT]).body
        policy.renew({"use-x-forwarded": True, "trusted-proxies": ["203.0.113.0/24"]})
        assert b'"198.51.100.7"' in ask(app, headers=[CLIENT]).body
        policy.renew({})
        assert b'"203.0.113.99"' in ask(app, headers=[CLIENT]).body

    def test_cors(self) -> None:
        origin = ("Origin", "https://app.example")
        app, policy = made({"permissive-cors": True})
        assert ask(app, headers=[origin]).all("Access-Control-Allow-Origin") == ["*"]
        policy.renew({"cors-origins": ["https://app.example"]})
        assert ask(app, headers=[origin]).all("Access-Control-Allow-Origin") == ["https://app.example"]
        policy.renew({"cors-origins": ["https://other.example"], "cors-exclude": ["/x"]})
        assert ask(app, headers=[origin]).all("Access-Control-Allow-Origin") == []
        assert ask(app, "/x", [("Origin", "https://other.example")]).all("Access-Control-Allow-Origin") == []

    def test_allowed_endpoint(self) -> None:
        app, policy = made({})
        policy.renew({"allowed-endpoint": "if_then(url_path == '/x', 451, 200)"})
        assert (ask(app, "/x").status, ask(app).status) == (451, 200)
        policy.renew({})
        assert ask(app, "/x").status == 200

    def test_url_and_https_redirect(self) -> None:
        app, policy = made({})
        policy.renew({"url": "https://new.example", "https-redirect": True})
        assert ask(app, "/x").all("Location") == ["https://new.example/x"]

    def test_rate_limits_keep_what_was_counted(self) -> None:
        app, policy = made({"rate-limit": {"anonymous": "10/1h"}})
        assert [ask(app).status for _ in range(10)] == [200] * 10
        assert ask(app).status == 429
        policy.renew({"rate-limit": {"anonymous": False}})
        assert ask(app).all("RateLimit") == []
        policy.renew({"rate-limit": {"anonymous": "10/1h"}})
        assert ask(app).status == 429
        policy.renew({"rate-limit": {"anonymous": "20/2h"}})
        # An hour of the two is taken.
        assert ask(app).all("RateLimit")[0].startswith('"anonymous";r=9;')

    def test_what_is_said_once_is_said_again_when_it_holds_anew(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        app, policy = made({"trusted-proxies": ["192.0.2.1"]})

        def keys() -> list[str]:
            ask(app, headers=[CLIENT])
            ask(app, headers=[CLIENT])
            found = [record.getMessage().rpartition(" ")[2] for record in caplog.records]
            caplog.clear()
            return found

        assert keys() == ["server.http.use-x-forwarded"]
        policy.renew({"use-x-forwarded": True, "trusted-proxies": ["192.0.2.1"]})
        assert keys() == ["server.http.trusted-proxies"]
        assert keys() == []


class TestSources:
    def test_a_function_is_asked_anew(self) -> None:
        headers = ["X-A: old"]
        app = bare_app()
        policy = HttpPolicy(app, lambda: from_mapping({"headers": headers}, Surroundings()))
        assert ask(app).all("X-A") == ["old"]
        headers[0] = "X-A: new"
        assert ask(app).all("X-A") == ["old"]
        policy.renew()
        assert ask(app).all("X-A") == ["new"]

    def test_a_mapping_is_looked_at_anew(self) -> None:
        settings: dict[str, Any] = {}
        app, policy = made(settings)
        settings["headers"] = ["X-A: b"]
        assert ask(app).all("X-A") == []
        policy.renew()
        assert ask(app).all("X-A") == ["b"]

    def test_what_was_renewed_with_is_what_counts_from_then_on(self) -> None:
        app, policy = made({"headers": ["X-A: mapping"]})
        policy.renew(lambda: from_mapping({"headers": ["X-A: function"]}, Surroundings()))
        policy.renew()
        policy.prepare()
        assert ask(app).all("X-A") == ["function"]

    def test_nothing_to_renew(self) -> None:
        with pytest.raises(RuntimeError, match="no settings yet"):
            HttpPolicy().renew()

    def test_a_process_that_is_forked_later_reads_for_itself(self) -> None:
        headers = ["X-A: old"]
        app = bare_app()
        policy = HttpPolicy(app, lambda: from_mapping({"headers": headers}, Surroundings()))
        policy.renew()
        headers[0] = "X-A: new"
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(writer, ask(app).all("X-A")[0].encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 10) == b"new"
        assert ask(app).all("X-A") == ["old"]
        os.close(reader)
        os.close(writer)


class TestWrongSettings:
    def test_change_nothing(self) -> None:
        app, policy = made({"headers": ["X-A: old"]})
        before = policy.policy
        with pytest.raises(ConfigError, match="trusted-proxies"):
            policy.renew({"headers": ["X-A: new"], "trusted-proxies": ["nobody"]})
        assert policy.policy is before
        assert ask(app).all("X-A") == ["old"]
        policy.renew()
        assert ask(app).all("X-A") == ["old"]

    def test_neither_does_a_plugin_that_fails(self) -> None:
        class Networks:
            fails = False

            @hookimpl
            def trusted_networks(self) -> dict[str, list[str]]:
                if self.fails:
                    raise OSError("no such file")
                return {"cdn": ["192.0.2.0/24"]}

        plugin = Networks()
        _, policy = made({"trusted-proxies": ["cdn"]}, [plugin])
        before, plugin.fails = policy.policy, True
        with pytest.raises(ConfigError, match="no such file"):
            policy.renew()
        assert policy.policy is before


class TestRequestsUnderWay:
    def test_keep_the_policy_that_they_began_with(self) -> None:
        app = bare_app()
        policy = HttpPolicy(
            app, {"headers": ["X-A: old"], "url": "https://old.example", "rate-limit": {"account": "1/1h"}}
        )

        @app.get("/changing")
        def changing() -> str:
            from flask import request

            policy.renew({"headers": ["X-A: new"], "url": "https://new.example", "rate-limit": {"account": False}})
            policy.spend_account(request.environ, type("Principal", (), {"id": "a"}))
            return policy.base_url(request.environ)

        answered = ask(app, "/changing")
        assert answered.body == b"https://old.example"
        assert (answered.all("X-A"), answered.all("RateLimit-Policy")) == (["old"], ['"account";q=1;w=3600'])
        assert ask(app).all("X-A") == ["new"]

    def test_every_request_among_renewals_is_decided_by_one_of_them(self) -> None:
        app, policy = made({"headers": ["X-A: 0", "X-B: 0"]})
        stop, failures = threading.Event(), list[Exception]()

        def renew(start: int) -> None:
            try:
                for number in range(start, 100, 2):
                    policy.renew({"headers": [f"X-A: {number}", f"X-B: {number}"]})
            except Exception as error:
                failures.append(error)
            finally:
                stop.set()

        threads = [threading.Thread(target=renew, args=(start,)) for start in (1, 2)]
        for thread in threads:
            thread.start()
        while not stop.is_set():
            answered = ask(app)
            assert answered.all("X-A") == answered.all("X-B")
        for thread in threads:
            thread.join()
        assert failures == []

    def test_whoever_comes_last_has_read_last(self) -> None:
        current, held, release = ["1"], threading.Event(), threading.Event()

        def source() -> Policy:
            read = current[0]
            if read == "2":
                held.set()
                assert release.wait(60)
            return from_mapping({"headers": [f"X-A: {read}"]}, Surroundings())

        app = bare_app()
        policy = HttpPolicy(app, source)
        assert ask(app).all("X-A") == ["1"]
        current[0] = "2"
        slow = threading.Thread(target=policy.renew)
        slow.start()
        assert held.wait(60)
        current[0] = "3"
        quick = threading.Thread(target=policy.renew)
        quick.start()
        # Requests do not wait.
        assert ask(app).all("X-A") == ["1"]
        release.set()
        slow.join()
        quick.join()
        assert ask(app).all("X-A") == ["3"]


def test_the_server_s_application_takes_new_settings() -> None:
    with make_server(config='[server.http]\nheaders = ["X-A: old"]\n') as made:
        policy: HttpPolicy = made.app.extensions["flaskmail.policy"]
        old = made.send("GET", "/healthz/live", {}, b"")
        policy.renew({"headers": ["X-A: new"], "rate-limit": {"anonymous": False}})
        new = made.send("GET", "/healthz/live", {}, b"")
        assert (old.all("X-A"), new.all("X-A")) == (["old"], ["new"])
