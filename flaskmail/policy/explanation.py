"""What an explanation of the policy says: frozen values, which JSON can carry. docs/explain.md describes them for clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Responsible:
    """A setting. key: dotted; value: TOML text, None when it is not set; origin: "default", "given" (to an HttpPolicy in a
    program), the file, or the environment variable that it comes from."""

    key: str
    value: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Part:
    """One decision.

    name: "listener", "client", "scheme", "host", "url", "cors", "hsts", "redirect", "access" or "limits". result: what was
    decided, None when the request was answered before it came to that. why: sentences. settings: those that are responsible.
    plugin: the name of the plugin that decided, "" where plugins are not asked.
    """

    name: str
    result: Mapping[str, Any] | None
    why: tuple[str, ...]
    settings: tuple[Responsible, ...]
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A header field of the response. source: a dotted key, "default" for what every response has, "policy" for what belongs to
    the policy's own answer, or "plugin". origin: as of Responsible, "" where no setting is the source.
    plugin: its name where the source is one."""

    name: str
    value: str
    source: str
    origin: str = ""
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole. request: method, url, peer ("" for a Unix socket), scheme, listener, headers as [name, value].

    status: of the policy's own answer, None when the application answers. answered_by: the name of the part that answered, or
    "application". headers: what leaves, beside what the application sets. warnings: what the log would say.
    """

    request: Mapping[str, Any]
    parts: tuple[Part, ...]
    status: int | None
    answered_by: str
    headers: tuple[Sent, ...]
    warnings: tuple[str, ...]

    def part(self, name: str) -> Part:
        """The part of that name. StopIteration when there is none."""
        return next(part for part in self.parts if part.name == name)

    def as_data(self) -> dict[str, Any]:
        """The same as values that JSON can carry."""
        return asdict(self)
