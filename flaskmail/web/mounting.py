"""Where a blueprint was put."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint
from flask.blueprints import BlueprintSetupState


def prefix_of(blueprint: Blueprint) -> Callable[[], str]:
    """What tells the ``url_prefix`` with which the blueprint was registered, without a final slash; "" before that."""
    prefix = ""

    def set_up(state: BlueprintSetupState) -> None:
        nonlocal prefix
        prefix = (state.url_prefix or "").rstrip("/")

    blueprint.record(set_up)
    return lambda: prefix
