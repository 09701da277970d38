from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from flaskmail.app import announce, bound, create_app, greeting
from flaskmail.config import Settings
from flaskmail.config.settings import Server as ServerSettings
from flaskmail.config.settings import ServerHttp, Storage
from flaskmail.server import Server


def curl(text: str) -> list[str]:
    [line] = [line for line in text.splitlines() if line.strip().startswith("curl ")]
    return shlex.split(line)


@pytest.mark.parametrize(
    ("address", "scheme", "words"),
    [
        (("127.0.0.1", 8080), "http", ["http://localhost:8080/.well-known/jmap"]),
        (("0.0.0.0", 80), "http", ["http://localhost:80/.well-known/jmap"]),
        (("::", 8080, 0, 0), "http", ["http://localhost:8080/.well-known/jmap"]),
        (("::1", 8080, 0, 0), "http", ["http://[::1]:8080/.well-known/jmap"]),
        (("192.0.2.1", 8080), "http", ["http://192.0.2.1:8080/.well-known/jmap"]),
        (("2001:db8::1", 8080, 0, 0), "http", ["http://[2001:db8::1]:8080/.well-known/jmap"]),
        (("127.0.0.1", 8443), "https", ["--insecure", "https://localhost:8443/.well-known/jmap"]),
        ("/run/a b.sock", "http", ["--unix-socket", "/run/a b.sock", "http://localhost/.well-known/jmap"]),
    ],
)
def test_the_greeting(address: str | tuple[object, ...], scheme: str, words: list[str]) -> None:
    text = greeting(address, scheme, None, "pass'word")
    assert curl(text) == ["curl", "-u", "admin:pass'word", *words]
    assert f"session:   {words[-1]}" in text


def test_the_greeting_names_the_configured_url() -> None:
    text = greeting(("127.0.0.1", 8080), "http", "https://mail.example.org", "x")
    assert "session:   https://mail.example.org/.well-known/jmap" in text
    assert curl(text)[-1] == "http://localhost:8080/.well-known/jmap"


@pytest.mark.parametrize(
    ("url", "where"), [(None, "https://localhost"), ("https://mail.example.org/in", "https://mail.example.org/in")]
)
def test_nobody_is_told_to_send_the_password_where_it_is_refused(
    url: str | None, where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    http = ServerHttp(url=url, hsts=True, use_x_forwarded=True)
    settings = Settings(server=ServerSettings(http=http), storage=Storage(path=tmp_path / "data"))
    app = create_app(settings)
    said = capsys.readouterr().err
    assert f"session:   {where}/.well-known/jmap" in said
    line = curl(said)
    assert (line[1], line[3:]) == ("-u", [f"{where}/.well-known/jmap"])
    password = line[2].partition(":")[2]
    asked = app.test_client().get("/.well-known/jmap", auth=("admin", password))
    assert asked.status_code == 403
    app.extensions["flaskmail"].close()


def test_listeners_of_the_settings() -> None:
    assert bound("127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert bound("[::1]:80") == ("::1", 80)
    assert bound("unix:/run/x") == "/run/x"


def test_a_server_of_another_kind_makes_the_administrator_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "gunicorn.arbiter", raising=False)
    settings = Settings(storage=Storage(path=tmp_path / "data"))
    app = create_app(settings)
    server: Server = app.extensions["flaskmail"]
    said = capsys.readouterr().err
    assert "first start" in said
    announce(app, [])
    create_app(settings)
    assert capsys.readouterr().err == ""
    name, _, password = curl(said)[2].partition(":")
    response = app.test_client().get("/.well-known/jmap", auth=(name, password))
    assert response.get_json()["username"] == "admin"
    server.close()


def test_under_gunicorn_nothing_is_opened_before_the_first_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gunicorn.arbiter", __import__("types"))
    app = create_app(Settings(storage=Storage(path=tmp_path / "data")))
    assert not (tmp_path / "data").exists()
    assert capsys.readouterr().err == ""
    app.test_client().get("/healthz/live", base_url="http://localhost:4711")
    assert curl(capsys.readouterr().err)[-1] == "http://localhost:4711/.well-known/jmap"
    app.test_client().get("/healthz/live")
    assert capsys.readouterr().err == ""
    app.extensions["flaskmail"].close()
