"""HttpPolicy on Flask applications, beyond what the test vectors say."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from policyapp import Answered, bare_app, environ_of
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flaskmail.decisions.rates import Limit
from flaskmail.errors import ConfigError
from flaskmail.gunicornproxy import UNKNOWN
from flaskmail.policy import HttpPolicy
from flaskmail.policy.adapter import KEEP
from flaskmail.policy.counters import SIZE, Counters
from flaskmail.policy.explaining import explain
from flaskmail.testing import PASSWORD, basic, make_server

Headers = list[tuple[str, str]]


def ask(app: Flask, path: str = "/seen", headers: Headers | None = None, method: str = "GET", **row: Any) -> Answered:
    return Answered(app, environ_of({"headers": headers or [], **row}, path, method))


def applied(settings: dict[str, Any], **more: Any) -> Flask:
    app = bare_app()
    HttpPolicy(app, settings, **more)
    return app


class TestSettings:
    def test_every_mistake_is_reported_at_once_with_the_nearest_name(self) -> None:
        with pytest.raises(ConfigError) as caught:
            HttpPolicy(
                bare_app(),
                {
                    "permisive-cors": True,
                    "trusted-proxies": ["10.0.0.0/8", "privat"],
                    "headers": ["X: a", "Vary: b", "nothing"],
                    "hsts": {"max_age": 1},
                    "cors-origins": ["https://a/"],
                    "cors-exclude": ["login"],
                    "url": "protocoll + '://h'",
                    "allowed-endpoint": "100",
                    "rate-limit": {"anonymous": 7},
                },
            )
        found = {problem.key: problem.hint for problem in caught.value.problems}
        assert found == {
            "permisive-cors": "permissive-cors",
            "trusted-proxies[1]": "private",
            "headers[1]": "",
            "headers[2]": "",
            "hsts": "max-age",
            "cors-origins[0]": "https://a",
            "cors-exclude[0]": "",
            "url": "protocol",
            "allowed-endpoint": "",
            "rate-limit.anonymous": "",
        }

    def test_members_that_always_give_something_wrong_are_found_too(self) -> None:
        url = [{"if": "is_tls", "then": "'http//a'"}, {"else": "protocol + '://a'"}]
        access = [
            {"if": "method == 'PUT'", "then": "300"},
            {"if": "method == 'GET'", "then": "403"},
            {"if": "is_tls", "then": "'no'"},
            {"else": "200"},
        ]
        with pytest.raises(ConfigError) as caught:
            HttpPolicy(bare_app(), {"url": url, "allowed-endpoint": access})
        assert {problem.key: problem.found for problem in caught.value.problems} == {
            "url[0].then": "'http//a'",
            "allowed-endpoint[0].then": "300",
            "allowed-endpoint[2].then": "'no'",
        }

    def test_what_can_never_be_a_url_or_a_status_is_found_at_load(self) -> None:
        url = [{"if": "is_tls", "then": "key_get('', 'hostname')"}, {"else": "local_port"}]
        with pytest.raises(ConfigError) as caught:
            HttpPolicy(bare_app(), {"url": url, "allowed-endpoint": "headers"})
        assert {problem.key: problem.found for problem in caught.value.problems} == {
            "url[1].else": "a value of the type integer where text is wanted at character 1",
            "allowed-endpoint": "a value of the type list where text or number is wanted at character 1",
        }

    def test_what_turns_out_wrong_for_a_request_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        policy = HttpPolicy(settings={"url": "'http:' + url_path", "allowed-endpoint": "len(url_path)"})
        app = bare_app()
        app.add_url_rule("/where", view_func=lambda: policy.base_url(request.environ))
        policy.init_app(app)
        for _ in range(2):
            assert ask(app, "/where").status == 403
            assert ask(app, "/where", socket_peer="127.0.0.1").body == b"http://localhost"
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert len(told) == 2
        assert "found 6, expected a status" in told[0]
        assert "found 'http:/where', expected a base URL" in told[1]

    @pytest.mark.parametrize("hostname", ["a.example:8443", "", None])
    def test_the_name_of_the_host_is_one(self, hostname: str | None) -> None:
        with pytest.raises(ConfigError) as caught:
            HttpPolicy(bare_app(), {}, lookup={"default": {"hostname": hostname}})
        assert [problem.key for problem in caught.value.problems] == ["lookup.default.hostname"]

    @pytest.mark.parametrize("port", ["", "x", "²", "99999"])
    def test_a_server_that_says_no_port_is_none_to_speak_of(self, port: str) -> None:
        app = applied({"allowed-endpoint": "if_then(remote_port > 0, 403, 200)"})
        app.add_url_rule("/where", view_func=lambda: request.environ["flaskmail.policy"].base_url(request.environ))
        remote = {"REMOTE_PORT": port} if port != "99999" else {}
        answered = Answered(app, environ_of({}, "/where") | {"SERVER_PORT": port} | remote)
        assert (answered.status, answered.body) == (200, b"http://localhost")

    def test_settings_may_come_later(self) -> None:
        policy, app = HttpPolicy(), bare_app()
        policy.init_app(app, {"headers": ["X-A: b"]})
        assert ask(app).all("X-A") == ["b"]
        other = bare_app()
        HttpPolicy(settings={"headers": ["X-A: c"]}).init_app(other)
        assert ask(other).all("X-A") == ["c"]

    def test_one_policy_may_be_of_several_applications(self) -> None:
        policy = HttpPolicy(settings={"headers": ["X-A: b"]})
        apps = [bare_app(), bare_app()]
        for number, app in enumerate(apps):
            app.add_url_rule("/mine", view_func=lambda number=number: f"application {number}")
            policy.init_app(app)
        assert [ask(app, "/mine").body for app in apps] == [b"application 0", b"application 1"]
        policy.renew({"headers": ["X-A: c"]})
        assert [ask(app).all("X-A") for app in apps] == [["c"], ["c"]]

    def test_the_same_application_has_a_policy_once(self) -> None:
        policy, app = HttpPolicy(), bare_app()
        policy.init_app(app)
        with pytest.raises(RuntimeError, match="already"):
            policy.init_app(app)

    def test_without_settings_the_defaults_hold(self) -> None:
        app = bare_app()
        HttpPolicy(app)
        assert ask(app).all("Referrer-Policy") == ["no-referrer"]


class TestEveryResponse:
    @pytest.mark.parametrize("path", ["/nowhere", "/boom", "/status/204", "/status/304", "/jmap/eventsource/", "/jmap"])
    def test_has_the_headers(self, path: str, caplog: pytest.LogCaptureFixture) -> None:
        answered = ask(applied({"headers": ["X-A: b"], "permissive-cors": True}), path)
        assert answered.all("X-A") == ["b"]
        assert answered.all("Access-Control-Allow-Origin") == ["*"]

    def test_also_one_that_flask_does_not_make(self) -> None:
        app = bare_app()

        def middleware(environ: Any, start_response: Any) -> list[bytes]:
            start_response("418 Teapot", [("X-A", "mine")])
            return [b""]

        app.wsgi_app = middleware  # type: ignore[method-assign, assignment]
        HttpPolicy(app, {"headers": ["X-A: b"]})
        assert ask(app).all("X-A") == ["b"]

    def test_also_one_after_a_hook_of_the_application_failed(self) -> None:
        app = applied({"headers": ["X-A: b"]})

        @app.after_request
        def broken(response: Response) -> Response:
            raise RuntimeError("broken")

        answered = ask(app)
        assert (answered.status, answered.all("X-A")) == (500, ["b"])

    @pytest.mark.parametrize("when", ["after the response", "before it"])
    def test_also_where_no_error_handler_reaches(self, when: str, caplog: pytest.LogCaptureFixture) -> None:
        app = bare_app()
        if when == "before it":
            app.wsgi_app = lambda environ, start_response: 1 // 0  # type: ignore[method-assign, assignment]
        else:

            @app.teardown_request
            def broken(error: object) -> None:
                raise RuntimeError("broken")

        HttpPolicy(app, {"headers": ["X-A: b"], "permissive-cors": True})
        answered = ask(app)
        assert (answered.status, answered.all("X-A")) == (500, ["b"])
        # Nothing of the response that was lost.
        assert answered.all("Content-Length") == [str(len(answered.body))]
        assert answered.all("Content-Type") == ["application/problem+json"]
        assert "failed outside of the application's error handlers" in caplog.text
        app.testing = True
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            ask(app)

    def test_of_an_application_within_another_it_has_both(self) -> None:
        outer, inner = bare_app(), bare_app()
        inner.add_url_rule("/keep", view_func=lambda: kept())

        def kept() -> Response:
            request.environ[KEEP] = True
            return Response("x", headers={"Content-Security-Policy": "own"})

        own = {"headers": ["X-Inner: 1", "X-Frame-Options: SAMEORIGIN"], "permissive-cors": True}
        # It would trust the client itself, whose words the outer policy has taken away.
        HttpPolicy(inner, own | {"use-x-forwarded": True, "trusted-proxies": ["203.0.113.7"]})
        outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/in": inner})  # type: ignore[method-assign]
        HttpPolicy(outer, TestHttps.PROXIED | {"headers": ["X-Frame-Options: DENY", "Content-Security-Policy: x"]})
        secure = [("X-Forwarded-For", "127.0.0.1, 203.0.113.7"), ("X-Forwarded-Proto", "https")]
        for path in ("/in/seen", "/in/keep", "/in/boom", "/in/nowhere"):
            answered = ask(outer, path, secure, socket_peer="10.0.0.1")
            assert answered.all("Strict-Transport-Security") == ["max-age=31536000"]
            assert (answered.all("X-Inner"), answered.all("X-Frame-Options")) == (["1"], ["DENY"])
            assert answered.all("Access-Control-Allow-Origin") == ["*"]
            assert answered.all("Content-Security-Policy") == ["own" if path == "/in/keep" else "x"]
            assert len(answered.all("RateLimit")) == 1
        seen = json.loads(ask(outer, "/in/seen", secure, socket_peer="10.0.0.1").body)
        assert (seen["client_ip"], seen["proto"]) == ("203.0.113.7", "https")

    def test_also_one_that_is_written(self) -> None:
        app = bare_app()

        def middleware(environ: Any, start_response: Any) -> list[bytes]:
            write = start_response("200 OK", [])
            write(b"a")
            write(b"b")
            return [b"c"]

        app.wsgi_app = middleware  # type: ignore[method-assign, assignment]
        HttpPolicy(app, {"headers": ["X-A: b"]})
        written: list[Any] = []

        def start(status: str, headers: Headers) -> Any:
            written.extend((status, dict(headers)["X-A"]))
            return written.append

        assert [*app.wsgi_app(environ_of({}, "/seen"), start)] == [b"c"]
        assert written == ["200 OK", "b", b"a", b"b"]

    def test_also_one_that_starts_late_or_anew(self) -> None:
        app = bare_app()

        def middleware(environ: Any, start_response: Any) -> Any:
            if environ["PATH_INFO"] == "/late":
                start_response("201 Created", [])
            else:
                start_response("200 OK", [("X-Lost", "1")])
                start_response("202 Accepted", [], (None, None, None))
            yield b"x"

        def eager(environ: Any, start_response: Any) -> Any:
            pieces = middleware(environ, start_response)
            return list(pieces) if environ["PATH_INFO"] == "/anew" else pieces

        app.wsgi_app = eager  # type: ignore[method-assign, assignment]
        HttpPolicy(app, {"headers": ["X-A: b"]})
        for path, status in (("/late", 201), ("/anew", 202)):
            answered = ask(app, path)
            assert (answered.status, answered.all("X-A"), answered.all("X-Lost")) == (status, ["b"], [])

    def test_a_413_too(self) -> None:
        app = bare_app()
        app.config["MAX_CONTENT_LENGTH"] = 1
        app.add_url_rule("/form", view_func=lambda: request.form.get("a", ""), methods=["POST"])
        HttpPolicy(app, {"headers": ["X-A: b"]})
        with app.test_client().post("/form", data={"a": "b" * 100}) as response:
            assert (response.status_code, response.headers["X-A"]) == (413, "b")

    def test_sign_in_pages_never_get_cors(self) -> None:
        app = applied({"permissive-cors": True})
        for path in ("/login", "/login/x", "/account/password"):
            assert ask(app, path, [("Origin", "https://a.example")]).all("Access-Control-Allow-Origin") == []
        preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "POST")]
        answered = ask(app, "/login", preflight, "OPTIONS")
        assert not [name for name, _ in answered.headers if name.lower().startswith("access-control")]
        assert ask(app, "/loginx").all("Access-Control-Allow-Origin") == ["*"]

    def test_excluded_paths_are_written_as_people_read_them(self) -> None:
        app = applied({"permissive-cors": True, "cors-exclude": ["/öffnen/"]})
        with app.test_client() as client:
            answers = [client.get(path) for path in ("/%C3%B6ffnen", "/öffnen/x", "/öffnenx")]
        assert ["Access-Control-Allow-Origin" in answer.headers for answer in answers] == [False, False, True]
        told = explain(app.extensions["flaskmail.policy"].policy, environ_of({}, "/\xc3\xb6ffnen")).part("cors")
        assert "/öffnen, which is in cors-exclude" in told.why[0]
        with pytest.raises(ConfigError, match="without a query"):
            HttpPolicy(bare_app(), {"cors-exclude": ["/login?a"]})


class TestHttps:
    PROXIED = {"hsts": True, "use-x-forwarded": True, "url": "https://mail.example.org/base"}
    PLAIN = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", "http")]

    def test_plain_http_is_redirected(self) -> None:
        answered = ask(applied(self.PROXIED), "/x?a=b", self.PLAIN, "POST", socket_peer="10.0.0.1")
        assert (answered.status, answered.all("Location")) == (308, ["https://mail.example.org/base/x?a=b"])
        assert answered.all("Strict-Transport-Security") == []

    def test_credentials_are_burnt(self) -> None:
        headers = [*self.PLAIN, ("Authorization", "Bearer x")]
        answered = ask(applied(self.PROXIED), "/x", headers, socket_peer="10.0.0.1")
        assert answered.status == 403
        assert "stolen" in json.loads(answered.body)["detail"]

    @pytest.mark.parametrize("exclude", [[], ["/webmail/"]])
    def test_passwords_in_forms_are_burnt_whatever_is_kept_from_other_origins(self, exclude: list[str]) -> None:
        client = applied(self.PROXIED | {"cors-exclude": exclude}).test_client()
        paths = ["/login", "/account/password", "/contact", *(f"{one}in" for one in exclude)]
        peer, form = {"REMOTE_ADDR": "10.0.0.1"}, {"password": "x"}
        answers = [client.post(path, data=form, headers=self.PLAIN, environ_overrides=peer) for path in paths]
        assert [answered.status_code for answered in answers] == [403, 403, 308, *(403 for _ in exclude)]

    @pytest.mark.parametrize("path", ["/healthz/live", "/.well-known/acme-challenge/x"])
    def test_what_stays(self, path: str) -> None:
        assert ask(applied(self.PROXIED), path, self.PLAIN, socket_peer="10.0.0.1").status == 404

    def test_a_proxy_that_says_no_protocol_is_not_sent_in_circles(self) -> None:
        assert ask(applied(self.PROXIED), "/x", self.PLAIN[:1], socket_peer="10.0.0.1").status == 200

    def test_the_default_url_is_evaluated_as_if_secure(self) -> None:
        app = applied({"https-redirect": True}, lookup={"default": {"hostname": "mail.example"}}, tls=True)
        assert ask(app, "/x").all("Location") == ["https://mail.example/x"]

    def test_a_warning_when_nothing_could_be_https(self, caplog: pytest.LogCaptureFixture) -> None:
        applied({"hsts": True})
        assert "nothing here could be https" in caplog.text


@pytest.mark.parametrize(
    ("forwarded", "limited", "proven"),
    [
        ([], "", ""),
        ([("X-Forwarded-For", "10.1.2.3")], "10.1.2.3", ""),
        ([("X-Forwarded-For", "10.1.2.3, 203.0.113.7")], "203.0.113.7", "203.0.113.7"),
        ([("X-Forwarded-For", "unknown")], "", ""),
    ],
)
def test_a_proxy_that_says_nothing_is_no_client(forwarded: list[tuple[str, str]], limited: str, proven: str) -> None:
    app = bare_app()
    policy = HttpPolicy(app, {"use-x-forwarded": True, "trusted-proxies": ["10.0.0.0/8"]})
    told = (policy.limited_address, policy.proven_address)
    app.add_url_rule("/whose", view_func=lambda: [one(request.environ) for one in told])
    assert json.loads(ask(app, "/whose", forwarded, socket_peer="10.0.0.1").body) == [limited, proven]


class TestAccess:
    RULE = "if_then(starts_with(url_path, '/api'), 404, 200)"

    def test_it_is_asked(self) -> None:
        app = applied({"allowed-endpoint": self.RULE})
        assert ask(app, "/api/principal").status == 404
        assert ask(app, "/x").status == 200

    def test_only_the_proven_loopback_client_is_exempt(self) -> None:
        app = applied({"allowed-endpoint": "403"})
        assert ask(app, socket_peer="127.0.0.1").status == 200
        assert ask(app, socket_peer="127.0.0.1", headers=[("X-Forwarded-For", "203.0.113.7")]).status == 403
        trusting = applied({"allowed-endpoint": "403", "use-x-forwarded": True})
        assert ask(trusting, socket_peer="127.0.0.1").status == 403
        assert ask(trusting, socket_peer="127.0.0.1", headers=[("X-Forwarded-For", "127.0.0.1")]).status == 200

    def test_whom_a_balancer_does_not_know_is_no_peer_on_a_unix_socket(self) -> None:
        app = applied({"allowed-endpoint": "403", "use-x-forwarded": True, "trusted-proxies": ["private"]})
        forged = [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "https")]
        environ = environ_of({"headers": forged}, "/seen")
        assert Answered(app, environ | {"REMOTE_ADDR": ""}).status == 200
        assert Answered(app, environ | {"REMOTE_ADDR": UNKNOWN[0], "REMOTE_PORT": "0"}).status == 403

    def test_it_fails_closed(self) -> None:
        assert ask(applied({"allowed-endpoint": "split(url_path, '/')[9]"})).status == 403


class TestLimits:
    def test_anonymous_requests_are_limited_by_client(self) -> None:
        app = applied({"rate-limit": {"anonymous": "2/1h"}, "permissive-cors": True})
        assert [ask(app).status for _ in range(3)] == [200, 200, 429]
        refused = ask(app)
        assert int(refused.all("Retry-After")[0]) == pytest.approx(1800, abs=5)
        assert refused.all("RateLimit-Policy") == ['"anonymous";q=2;w=3600']
        assert refused.all("Access-Control-Allow-Origin") == ["*"]
        assert ask(app, socket_peer="203.0.113.98").all("RateLimit")[0].startswith('"anonymous";r=1;')
        assert ask(app, headers=[("Authorization", "Bearer x")]).status == 200
        assert ask(app, "/healthz/live").status == 404
        preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "POST")]
        assert ask(app, headers=preflight, method="OPTIONS").status == 204

    def test_proxies_are_not_limited_but_their_clients_are(self) -> None:
        app = applied({"rate-limit": {"anonymous": "1/1h"}, "use-x-forwarded": True})
        assert [ask(app, socket_peer="10.0.0.1").status for _ in range(3)] == [200] * 3
        one, other = [("X-Forwarded-For", "203.0.113.1")], [("X-Forwarded-For", "203.0.113.2")]
        assert [ask(app, headers=each, socket_peer="10.0.0.1").status for each in (one, other, one)] == [200, 200, 429]
        hidden = [("X-Forwarded-For", "unknown")]
        assert [ask(app, headers=hidden, socket_peer="10.0.0.1").status for _ in range(2)] == [200, 429]

    def test_false_switches_off(self) -> None:
        app = applied({"rate-limit": {"anonymous": False}})
        assert ask(app).all("RateLimit") == []

    @pytest.mark.parametrize(("rate", "told"), [(False, "theirs"), ("5/1h", '"anonymous"')])
    def test_the_applications_own_limits_are_told_where_ours_are_not(self, rate: object, told: str) -> None:
        app = bare_app()
        app.add_url_rule("/theirs", view_func=lambda: ("", {"RateLimit": "theirs"}))
        HttpPolicy(app, {"rate-limit": {"anonymous": rate}})
        [limit] = ask(app, "/theirs", socket_peer="203.0.113.9").all("RateLimit")
        assert limit.partition(";")[0] == told

    @pytest.mark.parametrize("in_file", [False, True])
    def test_processes_count_together(self, tmp_path: Path, in_file: bool) -> None:
        counters, limit = Counters(tmp_path / "a" / "limits" if in_file else None), Limit("l", 3, 3600)
        child = os.fork()
        if not child:
            try:
                counters.spend(limit, "x")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert counters.spend(limit, "x").left == 1
        counters.close()
        if in_file:
            again = Counters(tmp_path / "a" / "limits")
            assert again.spend(limit, "x").left == 0
            again.close()

    def test_a_disk_that_fills_up_ends_no_process(self, tmp_path: Path) -> None:
        (tmp_path / "sparse").touch()
        os.truncate(tmp_path / "sparse", SIZE)
        for name in ("new", "sparse"):
            Counters(tmp_path / name).close()
            # A page of the file that has no place on the disk yet is a SIGBUS when it gets none.
            assert (tmp_path / name).stat().st_blocks * 512 >= SIZE

    def test_without_its_file_each_process_counts_for_itself(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = applied({"rate-limit": {"anonymous": "2/1h"}}, counters=tmp_path)
        with caplog.at_level(logging.ERROR, "flaskmail.policy"):
            assert [ask(app).status for _ in range(3)] == [200, 200, 429]
        assert caplog.text.count("each process counts the requests of clients for itself") == 1

    def test_many_clients_take_bounded_room(self) -> None:
        counters, limit = Counters(), Limit("l", 5, 3600)
        for number in range(100_000):
            assert counters.spend(limit, str(number)).wait == 0
        counters.close()


def test_untrusted_peers_with_forwarded_headers_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    app = applied({"use-x-forwarded": True})
    for _ in range(3):
        ask(app, headers=[("X-Forwarded-For", "6.6.6.6")], socket_peer="203.0.113.7")
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "203.0.113.7" in record.getMessage()
    assert "server.http.trusted-proxies" in record.getMessage()


def test_the_scheme_and_path_that_gunicorn_took_from_headers_are_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    app = applied({})
    environ = environ_of({"headers": [("Script-Name", "/adm")]}, "/x") | {
        "gunicorn.socket": object(),
        "wsgi.url_scheme": "https",
        "SCRIPT_NAME": "/adm",
    }
    # As a path of its own /adm/x is nothing.
    assert Answered(app, environ).status == 404
    assert "SCRIPT_NAME" in caplog.text
    assert "took the scheme" in caplog.text


class TestTheServer:
    CONFIG = """
        [server.http]
        use-x-forwarded = true
        hsts = true
        headers = ["X-Content-Type-Options: other", "Cache-Control: max-age=5", "Content-Security-Policy: x"]
        [lookup.default]
        hostname = "mail.example.org"
        [server.http.rate-limit]
        account = "3/1h"
        anonymous = false
    """
    SECURE = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}

    def test_whole(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "flaskmail.access")
        with make_server(config=self.CONFIG) as made:
            made.server.create_account("alice@example.org", PASSWORD)
            headers = self.SECURE | {"Authorization": basic("alice@example.org")}
            session = made.send("GET", "/jmap/session", headers, b"")
            assert session.json()["apiUrl"] == "https://mail.example.org/jmap/"
            assert session.all("Cache-Control") == ["no-cache, no-store, must-revalidate"]
            assert session.all("X-Content-Type-Options") == ["other"]
            assert session.all("Strict-Transport-Security") == ["max-age=31536000"]
            assert " 203.0.113.7 127.0.0.1 https GET /jmap/session 200 " in caplog.text
            account, blob = next(iter(session.json()["accounts"])), "x"
            for _ in range(2):
                download = made.send("GET", f"/jmap/download/{account}/{blob}/", headers, b"")
                assert download.status == 404
            limited = made.send("POST", "/jmap/", headers | {"Content-Type": "application/json"}, b"{}")
            assert limited.status == 429
            assert limited.header("Retry-After")
            assert limited.header("RateLimit-Policy") == '"account";q=3;w=3600'

    def test_a_download_keeps_its_own(self) -> None:
        with make_server(config=self.CONFIG.replace("hsts = true", "").replace("3/1h", "100/1h")) as made:
            alice = made.account("alice@example.org")
            blob = alice.upload(b"<script>")
            reply = alice.http("GET", f"/jmap/download/{alice.id}/{blob}/x")
            assert reply.all("Content-Security-Policy") == ["sandbox; default-src 'none'"]
            assert reply.all("X-Content-Type-Options") == ["nosniff"]

    def test_passwords_are_throttled_by_client(self) -> None:
        config = '[server.http]\nuse-x-forwarded = true\n[authentication]\nfail-rate = "1/1h"\n'
        with make_server(config=config) as made:

            def attempt(client: str, name: str) -> int:
                headers = {"X-Forwarded-For": client, "Authorization": basic(name, "wrong password")}
                return made.send("GET", "/jmap/session", headers, b"").status

            assert attempt("203.0.113.1", "a@example.org") == 401
            assert attempt("203.0.113.1", "b@example.org") == 429
            assert attempt("203.0.113.2", "c@example.org") == 401
