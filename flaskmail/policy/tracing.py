"""A policy that takes one request and notes what it decides. Nothing is counted, logged or remembered."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from flaskmail.decisions.client import Client, Step
from flaskmail.decisions.forwarded import BadForwarded
from flaskmail.decisions.headers import Header, Outgoing
from flaskmail.decisions.rates import Limit, Spent, spend
from flaskmail.policy.adapter import Applied, Environ, HttpPolicy, StartResponse
from flaskmail.policy.answers import Answer
from flaskmail.policy.counters import Counters
from flaskmail.policy.hooks import Hooks
from flaskmail.policy.plan import Policy
from flaskmail.policy.rules import AccessRule


class Uncounted(Counters):
    """Answers as if nobody had asked for anything before. asked: the limits that requests would have counted for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Limit, str]] = []

    def spend(self, limit: Limit, client: str) -> Spent:
        """As for a client's first request."""
        self.asked.append((limit, client))
        return spend(limit, 0.0, 0.0)

    def close(self) -> None:
        """There is nothing to let go of."""


class Access(AccessRule):
    """Notes the status that it gives, None when it is not asked, and what went wrong."""

    def __init__(self, rule: AccessRule) -> None:
        super().__init__(rule.rule)
        self.given: int | None = None
        self.failures: list[Exception] = []
        self.complain = self.failures.append

    def status(self, environ: Mapping[str, Any], client: Client) -> int:
        """As of AccessRule."""
        self.given = super().status(environ, client)
        return self.given


class Run(HttpPolicy):
    """A policy that takes one request and notes what becomes of it.

    plan: the settings, ready. steps: of the walk. access, counters: what notes whether it was asked. redirected: what the
    redirect gave, where it was asked. url_failures: of ``url``. warnings: of the start and of this request. witnessed: (hook,
    plugin, answer) of every plugin that was asked. answer: its own, None when the application answers; answered_by: the part
    that gave it, or "application". headers: as they left. environ: of WSGI as the application saw it.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.plan = self._policy = copy.copy(policy)
        self.plan.clients = {}
        self.steps: list[Step] = []
        self.plan.steps = self.steps
        self.plan.access = self.access = None if policy.access is None else Access(policy.access)
        self.url_failures: list[Exception] = []
        self.plan.url = copy.copy(policy.url)
        self.plan.url.complain = self.url_failures.append
        self.witnessed: list[tuple[str, str, Any]] = []
        self.plan.hooks = Hooks(policy.surroundings.plugins, lambda *told: self.witnessed.append(told))
        # Nothing has happened that could be observed.
        self.plan.hooks.observe = None
        self.plan.spend = self._spend_for
        self._counters = self.counters = Uncounted()
        self.warnings = list(policy.warnings)
        self.answer: Answer | None = None
        self.redirected: list[Answer | None] = []
        self.headers: list[Header] = []
        self.environ: Environ = {}
        self.answered_by = "application"

    def take(self, environ: Environ) -> None:
        """One request."""
        self.environ = environ

        def start(status: str, headers: list[Header], exc_info: Any = None) -> None:
            self.headers = headers

        list(self.serve(environ, start, Applied(self, _answers_nothing)))

    def _warn(self, about: str, sentence: str, *arguments: object) -> None:
        self.warnings.append(sentence % arguments if arguments else sentence)

    def _warn_of(self, peer: str, error: BadForwarded) -> None:
        self.answered_by = "client"

    def _check_host(self, environ: Environ, host: str | None) -> Answer | None:
        return self._noted("host", super()._check_host(environ, host))

    def _preflight(self, policy: Policy, environ: Environ, path: str, origin: str) -> Answer | None:
        return self._noted("cors", super()._preflight(policy, environ, path, origin))

    def _to_https(self, policy: Policy, environ: Environ, client: Client, path: str) -> Answer | None:
        answer = super()._to_https(policy, environ, client, path)
        self.redirected.append(answer)
        return self._noted("redirect", answer)

    def decider(self, hook: str) -> tuple[str, Any] | None:
        """(plugin, answer) of whoever decided by this hook, the answer an exception where it failed; None for nobody."""
        return next(
            ((plugin, answer) for name, plugin, answer in self.witnessed if name == hook and answer is not None), None
        )

    def _noted(self, part: str, answer: Answer | None) -> Answer | None:
        if answer is not None:
            self.answered_by = part
        return answer

    def _answer(
        self, environ: Environ, start_response: StartResponse, answer: Answer, out: Outgoing
    ) -> Iterable[bytes]:
        self.answer = answer
        if self.answered_by == "application":
            limited = self.counters.asked or any(hook == "rate_limit" for hook, _, _ in self.witnessed)
            self.answered_by = "limits" if limited else "access"
        return super()._answer(environ, start_response, answer, out)


def _answers_nothing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return []
