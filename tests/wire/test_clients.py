"""Client libraries that nobody here wrote, against a real gunicorn: jmapc (Python, over TLS) and jmap-jam (JavaScript)."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from flaskmail.testing import PASSWORD, live_server

NODE = Path(__file__).parent / "node"

MESSAGE = (
    b"From: Ann Example <ann@example.net>\r\nTo: me@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <1@example.net>\r\nDate: Fri, 2 Jan 2026 03:04:05 +0000\r\n\r\nA quokka sends its regards.\r\n"
)


@dataclass(frozen=True)
class Host:
    """host: name and port of the TLS listener; authority: the file with its certificate authority."""

    host: str
    authority: Path
    token: str


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    config = f'[server.tls]\ncertificate = "{folder}/server.pem"\nprivate-key = "{folder}/server.pem"\n'
    with live_server(config, tls=context) as server:
        server.account("me@example.org")
        made = server.cli("token", "create", "me@example.org", "--json")
        yield Host(f"localhost:{server.port}", folder / "authority.pem", json.loads(made.stdout)["token"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jmapc_lists_imports_queries_flags_and_follows_changes(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jmapc = pytest.importorskip("jmapc", reason="jmapc is not installed: pip install -e '.[test]'")
    methods = pytest.importorskip("jmapc.methods")
    # The variable wins over what a session is told.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(host.authority))
    client = jmapc.Client.create_with_password(host.host, "me@example.org", PASSWORD)
    try:
        mailboxes = client.request(methods.MailboxGet(ids=None)).data
        inbox = next(m for m in mailboxes if m.role == "inbox")
        assert {m.role for m in mailboxes} == {"inbox", "drafts", "sent", "junk", "trash", "archive"}

        since = client.request(methods.EmailGet(ids=[])).state
        path = tmp_path / "m.eml"
        path.write_bytes(MESSAGE)
        blob = client.upload_blob(path)
        imported = client.request(import_method(methods, client.account_id, blob.id, inbox.id))
        id = imported.data["created"]["e"]["id"]

        query, got = client.request(
            [
                methods.EmailQuery(
                    filter=jmapc.EmailQueryFilterCondition(in_mailbox=inbox.id),
                    sort=[jmapc.Comparator(property="receivedAt", is_ascending=False)],
                    limit=10,
                ),
                methods.EmailGet(ids=jmapc.Ref("/ids")),
            ]
        )
        assert query.response.ids == [id]
        [email] = got.response.data
        assert email.subject == "Grüße"
        assert email.mail_from[0].email == "ann@example.net"
        assert email.message_id == ["1@example.net"]

        flagged = client.request(methods.EmailSet(update={id: {"keywords/$flagged": True}}))
        assert id in flagged.updated
        changes = client.request(methods.EmailChanges(since_state=since))
        assert changes.created == [id]
        assert changes.new_state == flagged.new_state
        later = client.request(methods.EmailQueryChanges(since_query_state=since, filter=None, sort=None))
        assert [a.id for a in later.added] == [id]

        thread = client.request(methods.ThreadGet(ids=[email.thread_id])).data[0]
        assert thread.email_ids == [id]
        snippet = client.request(
            methods.SearchSnippetGet(ids=[id], filter=jmapc.EmailQueryFilterCondition(text="quokka"))
        ).data[0]
        assert "<mark>quokka</mark>" in snippet.preview
        made = client.request(methods.MailboxSet(create={"m": jmapc.Mailbox(name="Made by jmapc")}))
        assert made.created["m"].id
    finally:
        client.requests_session.close()


def import_method(methods: object, account_id: str, blob_id: str, mailbox_id: str) -> object:
    """Email/import, which the library has no class for."""
    method = methods.CustomMethod(  # type: ignore[attr-defined]
        data={"accountId": account_id, "emails": {"e": {"blobId": blob_id, "mailboxIds": {mailbox_id: True}}}}
    )
    method.jmap_method = "Email/import"
    method.using = {"urn:ietf:params:jmap:mail"}
    return method


def test_jmap_jam_lists_imports_queries_flags_and_follows_changes(host: Host) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules" / "jmap-jam").is_dir():
        pytest.skip("jmap-jam is not installed: make test installs it with npm")
    done = subprocess.run(
        [node, str(NODE / "jam.mjs"), f"https://{host.host}/.well-known/jmap", host.token],
        input=MESSAGE,
        capture_output=True,
        timeout=180,
        env={"NODE_EXTRA_CA_CERTS": str(host.authority), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)
    assert seen["username"] == "me@example.org"
    assert {"inbox", "drafts", "sent", "junk", "trash", "archive"} <= set(seen["roles"])
    assert seen["uploaded"] == {"size": len(MESSAGE), "type": "message/rfc822"}
    assert seen["found"]
    assert seen["email"]["subject"] == "Grüße"
    assert seen["email"]["from"] == [{"name": "Ann Example", "email": "ann@example.net"}]
    assert seen["email"]["keywords"] == {}
    assert seen["email"]["receivedAt"] == "2026-01-02T03:04:05Z"
    assert seen["email"]["preview"] == "A quokka sends its regards."
    assert seen["flagged"]
    assert seen["changes"] == {"created": True, "updated": False, "state": True}
    assert seen["id"] in seen["search"]
    assert seen["downloaded"]
    assert seen["destroyed"]
