"""Every row of the test vectors, in this process, against HttpPolicy on a bare Flask application."""

from __future__ import annotations

import json
from typing import Any

import pytest
from policyapp import Answered, bare_app, check, environ_of, vectors

from flaskmail.errors import ConfigError
from flaskmail.policy import HttpPolicy


@pytest.mark.parametrize("row", vectors("forwarded.json"))
def test_who_the_client_is(row: dict[str, Any]) -> None:
    app = bare_app()
    if row["expect"].get("config_error"):
        with pytest.raises(ConfigError) as caught:
            HttpPolicy(app, row["settings"])
        assert "trusted-proxies" in str(caught.value)
        return
    HttpPolicy(app, row["settings"])
    expect = row["expect"]
    answered = Answered(app, environ_of(row))
    if "error" in expect:
        assert answered.status == expect["status"]
        assert answered.all("Cache-Control") == ["no-store"]
        return
    assert answered.status == 200
    seen = json.loads(answered.body)
    assert {name: seen[name] for name in ("client_ip", "proto", "host")} == expect
    assert ("REMOTE_ADDR" in seen["keys"]) == (expect["client_ip"] is not None)
    assert not [name for name in seen["keys"] if "FORWARDED" in name or name.endswith("_IP")]


@pytest.mark.parametrize("row", vectors("http_policy.json"))
def test_what_goes_out(row: dict[str, Any]) -> None:
    app, expect = bare_app(), row["expect"]
    if expect.get("config_error"):
        with pytest.raises(ConfigError) as caught:
            HttpPolicy(app, row["settings"])
        assert any(name in str(caught.value) for name in row["settings"])
        return
    HttpPolicy(app, row["settings"])
    asked = row["request"]
    answered = Answered(app, environ_of(asked, asked["path"], asked["method"]))
    if "when_status" in expect and answered.status != expect["when_status"]:
        answered = Answered(app, environ_of(asked, f"/status/{expect['when_status']}"))
        assert answered.status == expect["when_status"]
    check(expect, answered.status, answered.headers, answered.body)
