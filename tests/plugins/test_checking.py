"""check_plugin finds what is wrong with a plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flaskmail.hookspecs import Refusal, hookimpl
from flaskmail.testing import check_plugin
from flaskmail.web import discovery


def plugin(hook: str, function: Callable[..., Any]) -> Any:
    """A plugin with one hook."""
    return type("Mine", (), {hook: staticmethod(hookimpl(function))})


def fails_at_null(request: Any) -> None:
    if request.headers.get("Origin") == "null":
        raise RuntimeError("an origin without a scheme")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (plugin("refuse_requests", lambda: None), "did you mean 'refuse_request'"),
        (plugin("startup", lambda server, more: None), "more"),
        (plugin("jmap_methods", lambda: 1 / 0), "ZeroDivisionError"),
        (type("Mine", (), {"startup": staticmethod(lambda: None)}), "no hook"),
        (plugin("refuse_request", fails_at_null), "Mine failed 9 times in refuse_request"),
        (plugin("refuse_request", lambda: Refusal(500, "Always.")), "is answered with 500"),
        (plugin("response_headers", lambda request: [("X-Path", request.path)]), "Mine failed"),
    ],
)
def test_what_is_wrong_is_told(wrong: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_plugin(wrong)


def test_what_changes_others_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def startup() -> None:
        monkeypatch.setattr(discovery, "_healthy", lambda: ("", 418))

    with pytest.raises(AssertionError, match="GET '/healthz/live'"):
        check_plugin(plugin("startup", startup))


def test_settings_are_given_on() -> None:
    def startup(server: Any) -> None:
        assert server.settings.plugins.options["Mine"] == {"key": 1}

    check_plugin(plugin("startup", startup), "[plugins.Mine]\nkey = 1")
    with pytest.raises(AssertionError, match="Mine: startup"):
        check_plugin(plugin("startup", startup))
