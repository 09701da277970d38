"""Strict-Transport-Security (RFC 6797)."""

from __future__ import annotations

from collections.abc import Mapping

from flaskmail.decisions.mistakes import Mistake, nearest

YEAR = 31_536_000
_NAMES = ("max-age", "include-subdomains", "preload")


def read_hsts(value: bool | Mapping[str, object]) -> tuple[str | None, list[Mistake]]:
    """The header's value, None when it is off; and what is wrong."""
    if value is False:
        return None, []
    table: Mapping[str, object] = {} if value is True else value
    wrong = [
        Mistake(name, f"one of {', '.join(_NAMES)}", nearest(name, _NAMES)) for name in table if name not in _NAMES
    ]
    age = table.get("max-age", YEAR)
    if not isinstance(age, int) or isinstance(age, bool) or not 0 <= age <= 10 * YEAR:
        wrong.append(Mistake(age, "max-age as a number of seconds, at most ten years"))
        age = YEAR
    wrong += (
        Mistake(table[name], f"{name} as true or false")
        for name in _NAMES[1:]
        if not isinstance(table.get(name, False), bool)
    )
    below, preload = bool(table.get("include-subdomains")), bool(table.get("preload"))
    if preload and not (below and age >= YEAR):
        # The list of preloaded hosts takes no other.
        wrong.append(Mistake("preload", "preload together with include-subdomains and a max-age of a year or more"))
    return f"max-age={age}" + ("; includeSubDomains" if below else "") + ("; preload" if preload else ""), wrong
