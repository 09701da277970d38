"""The same commands on a store and, with --url, against a real server: the same words, the same exit codes. What they ask the
server for is what ``flaskmail.cli.reached`` says."""

from __future__ import annotations

import base64
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import click
import pytest
from click.testing import CliRunner, Result

from flaskmail import config
from flaskmail.accounts.totp import code_at
from flaskmail.cli import main
from flaskmail.cli.manager import AtUrl
from flaskmail.cli.reached import REACHED
from flaskmail.management import api
from flaskmail.server import Server
from flaskmail.testing import PASSWORD, LiveServer, live_server

from .conftest import ROOT

CONFIG = """
[authentication.argon2]
memory = 8192
time-cost = 1
[lookup.default]
hostname = "mail.example.org"
[storage]
backup-path = "backups"
[dns]
resolver = ["127.0.0.1:1"]
timeout = "1s"
"""

# Each line is a command; what follows "<" is its standard input.
SCRIPT = """
account create Jane@example.org --password-stdin --description Jane --json < a long password
account create john@example.org --password-stdin --quota 1GB --address j@example.org < another long password
account create jane@example.org --password-stdin < a long password
account create nodomain --password-stdin < a long password
account create tim@example.org --password-stdin --role nothing --json < a long password
account list
account list jane --json
account show jane@example.org
account show nobody@example.org
account show nobody@example.org --json
account set-quota john@example.org default
account set-password john@example.org --password-stdin < the third password
account set-password john@example.org --password-stdin < $argon2id$x
account add-address jane@example.org jane.doe@example.org
account add-address john@example.org jane.doe@example.org
account allow jane@example.org logs-view
account forbid jane@example.org logs-view
account unsay jane@example.org logs-view
account allow jane@example.org everything
account disable john@example.org
account enable john@example.org --json
account rename john@example.org jon@example.org
account describe jon@example.org Jon
account credentials jane@example.org
account revoke jane@example.org t0000000000000000
account remove-otp jane@example.org
group create sales@example.org --member jane@example.org --member jon@example.org
group remove-member sales@example.org jon@example.org
group show sales@example.org
group create lost@nowhere.example
list create news@example.org --member sales@example.org --external bob@example.net
list add-external news@example.org carol@example.net
list list
list show sales@example.org
role create helpdesk --role user --permission individual-list
role allow helpdesk individual-get --json
account add-role jane@example.org helpdesk
role delete helpdesk
role list
api-key create watch --permission metrics-view --network 192.0.2.0/24
api-key list
api-key set-expiry watch never
api-key add-network watch nonsense
api-key delete watch --json
principal list
principal list --type role --type list --json
principal list --count
principal create group staff@example.org members=jane@example.org
principal show staff@example.org
principal set staff@example.org description Staff
principal add staff@example.org members jon@example.org
principal remove staff@example.org members jon@example.org --json
principal set staff@example.org quota lots
principal delete staff@example.org
principal delete-all list --yes
permission list job
domain create books.example --description Books
domain create books.example
domain list
domain show books.example --json
domain describe books.example More
domain dns example.org
domain dns example.org --zone
domain check example.org
domain delete books.example
domain delete example.org
dkim create example.org --algorithm ed25519 --selector s --id key
dkim list --json
dkim delete key
dkim show key
oauth-client create Webmail --id web --redirect-uri https://webmail.example.org/back
oauth-client set web --name Mail
oauth-client list
oauth-client show web --json
oauth-client create Webmail --redirect-uri javascript:alert(1)
oauth-client delete web
config set account.quota 5GB
config get account.quota
config set account.quota lots
config set account.qota 1
config history
config unset account.quota
config rollback 0
config rollback 99
config schema account.quota
config show
reload
plugins --all
policy explain /jmap/ --peer 192.0.2.1
policy explain https://mail.example.org/jmap/ --json
policy explain nonsense
verify
reindex jane@example.org
reindex
purge blob
purge blob jane@example.org
purge account
purge account jane@example.org
purge data
job show nothing
job cancel nothing --json
blob get nothing
audit --operation nothing
logs --limit 1 nothingofthekind
logs --since yesterday
token list jane@example.org
token revoke t0000000000000000 jane@example.org
account delete jon@example.org
"""

OWN = """
whoami
token create --name mine
token list
app-password create --name phone --scope urn:ietf:params:jmap:mail
app-password create --scope nonsense
me show
backup
job list --json
verify --repair --json
purge in-memory
oauth-key renew
verify nobody@example.org
purge blob john@example.org
domain show example.org
token create jane@example.org
"""

MASKS = (
    (r"\ba[a-z2-7]{24}\b", "ID"),
    (r"\b[a-z][0-9a-f]{16}\b", "ID"),
    (r"\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "DATE"),
    (r"\b(?:api|fmt|fma)_[\w-]+", "SECRET"),
    (r"(\"publicKey\": |p=)\"?[\w+/=]{20,}\"?", r"\1KEY"),
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "backups").mkdir()
    with live_server(CONFIG, folder=folder, python_path=ROOT) as server:
        done = server.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        yield server


@pytest.fixture(scope="module")
def store(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same settings, and the administrator, but no server."""
    # A name as long as the other folder's: what is said is the same, columns included.
    folder = tmp_path_factory.mktemp("base")
    (folder / "backups").mkdir()
    shutil.copy(live.folder / "config.toml", folder)
    server = Server(config.load(folder / "config.toml", {"FLASKMAIL_DATA": str(folder / "data")}))
    server.ensure_admin()
    server.close()
    return folder


@pytest.fixture(scope="module")
def asked() -> Iterator[set[tuple[str, str]]]:
    """(operation, command) of everything that commands ask a server at a URL for."""
    seen: set[tuple[str, str]] = set()
    send = AtUrl.send

    def noted(self: AtUrl, method: str, path: str, *arguments: Any) -> Any:
        segments = [unquote(part) for part in path.strip("/").split("/")]
        command = click.get_current_context().command_path.partition(" ")[2]
        seen.add((api().find(method, segments)[0].name, command))
        return send(self, method, path, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AtUrl, "send", noted)
        yield seen


def at(live: LiveServer) -> dict[str, str]:
    return {"FLASKMAIL_URL": live.url, "FLASKMAIL_USER": "admin", "FLASKMAIL_PASSWORD": PASSWORD}


def run(line: str, environment: Mapping[str, str], folder: Path) -> Result:
    words, _, given = line.partition(" < ")
    kept = {name: None for name in os.environ if name.startswith("FLASKMAIL_")}
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(main, words.split(), input=given + "\n", env={**kept, **environment})
    finally:
        os.chdir(before)
    assert done.exception is None or isinstance(done.exception, SystemExit), (line, done.exc_info)
    assert "Traceback" not in done.output
    return done


def masked(text: str, folder: Path) -> str:
    text = text.replace(str(folder), "FOLDER")
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    return text


def told(done: Result, folder: Path) -> tuple[int, str, str]:
    """What a command said, but for what is different each time, and for who asked."""
    out, err = masked(done.stdout, folder), masked(done.stderr, folder)
    out = "\n".join(
        line
        for line in out.splitlines()
        # Mail is brought in where the data is, and no server tells where its settings file lies.
        if "To bring mail in" not in line and '"file":' not in line
    )
    if err.startswith("{"):
        problem = json.loads(err)
        # Over HTTP these go with every problem.
        err = json.dumps(
            {name: value for name, value in problem.items() if name not in ("type", "title")}, sort_keys=True
        )
    return done.exit_code, out.replace("local ", "admin "), err


def test_the_same_commands_say_the_same(
    live: LiveServer, store: Path, tmp_path: Path, asked: set[tuple[str, str]]
) -> None:
    here = {"FLASKMAIL_CONFIG": str(store / "config.toml")}
    different = []
    codes = []
    for line in SCRIPT.strip().splitlines():
        local, remote = run(line, here, store), run(line, at(live), tmp_path)
        pair = told(local, store), told(remote, live.folder)
        codes.append(pair[0][0])
        if pair[0] != pair[1]:
            different.append((line, *pair))
    assert not different, "\n\n".join("\n".join(map(str, one)) for one in different)
    # Most of them are done; those that cannot be are refused, and what is mistyped is said to be.
    assert codes.count(0) > 70
    assert set(codes) == {0, 1, 2}


def test_whoever_signs_in_manages_himself(live: LiveServer, tmp_path: Path, asked: set[tuple[str, str]]) -> None:
    codes = {line: run(line, at(live), tmp_path).exit_code for line in OWN.strip().splitlines()}
    assert {line: code for line, code in codes.items() if code} == {
        "app-password create --scope nonsense": 1,
        "verify nobody@example.org": 1,
        "purge blob john@example.org": 1,
        "token create jane@example.org": 2,
    }
    jobs = json.loads(run("job list --json", at(live), tmp_path).stdout)
    assert {"backup", "verify", "purge"} <= {one["kind"] for one in jobs}
    assert run(f"job wait {jobs[0]['id']}", at(live), tmp_path).exit_code == 0
    assert run(f"job cancel {jobs[0]['id']}", at(live), tmp_path).exit_code == 0
    made = json.loads(run("token create --name other --json", at(live), tmp_path).stdout)
    # The key may lie in a file.
    file = tmp_path / "key"
    file.write_text(made["token"] + "\n")
    with_key = {"FLASKMAIL_URL": live.url, "FLASKMAIL_KEY_FILE": str(file)}
    assert "admin" in run("whoami", with_key, tmp_path).stdout
    assert run(f"token revoke {made['id']}", at(live), tmp_path).exit_code == 0
    ended = run("whoami --json", with_key, tmp_path)
    assert (ended.exit_code, json.loads(ended.stderr)["status"]) == (1, 401)
    for wrong in ("nothing", "two words"):
        file.write_text(wrong)
        assert run("whoami", with_key, tmp_path).exit_code == (2 if " " in wrong else 1)
    file.unlink()
    assert "cannot be read" in run("whoami", with_key, tmp_path).stderr
    assert "name who asks" in run("whoami", {"FLASKMAIL_URL": live.url}, tmp_path).stderr


def test_a_second_factor(live: LiveServer, tmp_path: Path, asked: set[tuple[str, str]]) -> None:
    name = "otto@example.org"
    run(f"account create {name} --password-stdin < a long password", at(live), tmp_path)
    his = {"FLASKMAIL_URL": live.url, "FLASKMAIL_USER": name, "FLASKMAIL_PASSWORD": "a long password"}
    token = json.loads(run("token create --name t --json", his, tmp_path).stdout)["token"]
    url = json.loads(run("me enable-otp --json", his, tmp_path).stdout)["otpAuthUrl"]
    assert run("me confirm-otp nonsense", his, tmp_path).exit_code == 1
    code = code_at(base64.b32decode(parse_qs(urlsplit(url).query)["secret"][0]), int(time.time()) // 30 + 1)
    confirmed = run(f"me confirm-otp {code} --json", his, tmp_path)
    recovery = json.loads(confirmed.stdout)["recoveryCodes"]
    # The password alone lets in no more; who comes with a token proves that it is he.
    assert run("me show", his, tmp_path).exit_code == 1
    his = {"FLASKMAIL_URL": live.url, "FLASKMAIL_KEY": token}
    assert json.loads(run("me show --json", his, tmp_path).stdout)["otpEnabled"] is True
    assert run("me disable-otp < wrong", his, tmp_path).exit_code == 1
    assert run(f"me disable-otp < a long password\n{recovery[0]}", his, tmp_path).exit_code == 0
    assert json.loads(run("me show --json", his, tmp_path).stdout)["otpEnabled"] is False
    changed = run("me set-password --password-stdin < quite another password\na long password", his, tmp_path)
    assert changed.exit_code == 0, changed.output
    by_password = {"FLASKMAIL_URL": live.url, "FLASKMAIL_USER": name, "FLASKMAIL_PASSWORD": "quite another password"}
    assert run("whoami", by_password, tmp_path).exit_code == 0


def test_a_blob_is_read(live: LiveServer, tmp_path: Path, asked: set[tuple[str, str]]) -> None:
    run("account create bo@example.org --password-stdin < a long password", at(live), tmp_path)
    blob = live.jmap("bo@example.org", "a long password").upload(b"octets\x00")
    done = run(f"blob get {blob} -o file", at(live), tmp_path)
    assert (done.exit_code, (tmp_path / "file").read_bytes()) == (0, b"octets\x00"), done.output
    assert run(f"blob get {blob} --account bo@example.org", at(live), tmp_path).stdout_bytes == b"octets\x00"


def test_the_log_is_followed(live: LiveServer, tmp_path: Path, asked: set[tuple[str, str]]) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASKMAIL_")}
    process = subprocess.Popen(
        [sys.executable, "-c", "from flaskmail.cli import main; main()", "logs", "--follow", "--json"],
        cwd=tmp_path,
        env=kept | at(live) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        waiting = selectors.DefaultSelector()
        waiting.register(process.stdout, selectors.EVENT_READ)
        for number in range(240):
            # Whatever happens before it listens, it does not see.
            run(f"config set account.quota {number + 1}GB", at(live), tmp_path)
            if waiting.select(0.5):
                break
        waiting.close()
        event = json.loads(process.stdout.readline())
        assert {"timestamp", "level", "event", "event_id"} <= set(event)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    asked.add(("logs.live", "logs"))


def test_every_operation_was_asked_for_by_its_command(asked: set[tuple[str, str]]) -> None:
    assert {(name, words) for name, words in REACHED.items()} - asked == set()
