"""The doctor's address answers to whoever can write into the data folder, and to nobody else."""

from __future__ import annotations

import json
import os
import time

import pytest
from click.testing import CliRunner

from flaskmail.cli import main
from flaskmail.doctor.key import HEADER, LIFETIME, PATH, Key, key_in, read_question
from flaskmail.testing import make_server


@pytest.fixture(scope="module")
def made():
    config = 'server.http.use-x-forwarded = true\nserver.http.trusted-proxies = ["10.0.0.1"]\nserver.http.url = "https://a.example"\n'
    with make_server(config=config) as made:
        made.server.settings.storage.path.mkdir(exist_ok=True)
        yield made


@pytest.fixture
def folder(made):
    return made.server.settings.storage.path


def get(made, **headers):
    return made.client.get(PATH, headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.1"})


class TestAnswers:
    def test_the_doctor_learns_what_was_seen(self, made, folder):
        with key_in(folder) as key:
            question, nonce = key.question()
            sent = {
                HEADER: question,
                "X-Forwarded-For": "203.0.113.7",
                "X-Forwarded-Proto": "https",
                "Forwarded": "for=1.2.3.4",
            }
            response = get(made, **sent)
            assert response.headers[HEADER] == key.answer(nonce, response.data)
            assert response.headers["Cache-Control"] == "no-store"
            said = response.json
        assert (said["client"], said["peer"], said["scheme"]) == ("203.0.113.7", "10.0.0.1", "https")
        assert said["baseUrl"] == "https://a.example"
        assert said["arrived"] == {
            "X-Forwarded-For": "203.0.113.7",
            "X-Forwarded-Proto": "https",
            "Forwarded": "for=1.2.3.4",
        }
        assert key.secret.hex() not in json.dumps(said)
        assert not list(folder.glob("doctor*"))

    def test_others_find_what_is_at_every_unknown_address(self, made, folder):
        def answer(response):
            return response.status_code, response.data, sorted(response.headers)

        nothing = answer(made.client.get("/.well-known/nothing", environ_base={"REMOTE_ADDR": "10.0.0.1"}))
        assert nothing[0] == 404
        with key_in(folder) as key:
            question, _ = key.question()
            identifier, now, nonce, signature = question.split()
            wrong = [
                None,
                "",
                "x",
                question[:-1] + ("0" if question[-1] != "0" else "1"),
                f"{identifier} {int(now) + 1} {nonce} {signature}",
                f"{identifier} {now} {'0' * 32} {signature}",
                f"{'0' * 16} {now} {nonce} {signature}",
                f"../doctor-{identifier} {now} {nonce} {signature}",
                Key(identifier, bytes(32)).question()[0],
                question + "\u00e9",
            ]
            for value in wrong:
                headers = {} if value is None else {HEADER: value}
                assert answer(get(made, **headers)) == nothing, value
        # The key has gone with the doctor.
        assert answer(get(made, **{HEADER: question})) == nothing

    def test_it_is_not_there_under_other_methods(self, made, folder):
        with key_in(folder) as key:
            question, _ = key.question()
            response = made.client.post(PATH, headers={HEADER: question})
            assert response.status_code == 405


class TestKeys:
    def test_a_key_is_for_the_servers_user_alone(self, tmp_path):
        with key_in(tmp_path) as key:
            [file] = tmp_path.iterdir()
            assert file.stat().st_mode & 0o777 == 0o600
            assert "secret" not in repr(key)
            assert read_question(tmp_path, key.question()[0])[0] == key
        assert not list(tmp_path.iterdir())

    def test_two_doctors_do_not_disturb_each_other(self, tmp_path):
        with key_in(tmp_path) as one:
            with key_in(tmp_path) as other:
                assert read_question(tmp_path, other.question()[0]) is not None
            assert read_question(tmp_path, one.question()[0]) is not None

    @pytest.mark.parametrize("mistake", ["old", "readable", "short", "long", "link", "folder", "gone"])
    def test_a_file_that_is_no_fresh_key_of_ours_opens_nothing(self, tmp_path, mistake):
        with key_in(tmp_path) as key:
            [file] = tmp_path.iterdir()
            if mistake == "old":
                os.utime(file, times=(0, time.time() - LIFETIME - 1))
            elif mistake == "readable":
                file.chmod(0o640)
            elif mistake in ("short", "long"):
                file.write_bytes(key.secret[:31] if mistake == "short" else key.secret + b"x")
            else:
                file.rename(tmp_path / "elsewhere")
                if mistake == "link":
                    file.symlink_to(tmp_path / "elsewhere")
                elif mistake == "folder":
                    file.mkdir(0o700)
            assert read_question(tmp_path, key.question()[0]) is None
            if mistake == "folder":
                file.rmdir()

    def test_a_question_is_good_for_a_moment(self, tmp_path, monkeypatch):
        with key_in(tmp_path) as key:
            question, _ = key.question()
            now = time.time()
            monkeypatch.setattr(time, "time", lambda: now + 120)
            assert read_question(tmp_path, question) is None


def test_the_doctor_says_where_it_looked_for_the_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["doctor", "http://127.0.0.1:1"], env={"FLASKMAIL_DATA": str(tmp_path / "none")})
    assert done.exit_code == 1
    assert f"there is no data folder {tmp_path / 'none'}" in done.stderr
    assert "FLASKMAIL_CONFIG" in done.stderr
