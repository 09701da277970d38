"""Whoever only speaks JMAP does not pay for the management of the server."""

from __future__ import annotations

import json
import subprocess
import sys

from flaskmail.management import MODULES

HEAVY = ("authlib", "cryptography", "dns", "joserfc", "requests", "xml")
SPEAKING = """
import json, sys
from flaskmail.testing import make_server
with make_server() as made:
    alice = made.account("alice@example.org")
    assert alice.call("Mailbox/get", ids=None)["list"]
    loaded = [list(sys.modules)]
    assert alice.http("GET", "/api/whoami").status == 200
    print(json.dumps([*loaded, list(sys.modules)]))
"""


def test_what_a_server_of_mail_loads() -> None:
    done = subprocess.run([sys.executable, "-c", SPEAKING], capture_output=True, text=True, check=True, timeout=300)
    mail, managed = ({*names} for names in json.loads(done.stdout.splitlines()[-1]))
    operations = {f"flaskmail.management.{name}" for name in MODULES} - {"flaskmail.management.audit"}
    assert not operations & mail
    assert not {"flaskmail.management.openapi", *HEAVY} & mail
    # The first request to /api brings them, and still nothing that only some operations need.
    assert operations <= managed
    assert not {"flaskmail.management.openapi", *HEAVY} & managed
