"""What a request passes before it comes to Flask: preflights, the way to HTTPS, refusals, rate limits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flaskmail.builtin.access import DETAIL
from flaskmail.decisions.addresses import is_host_header
from flaskmail.decisions.client import Client
from flaskmail.decisions.cors import PREFLIGHT
from flaskmail.decisions.rates import Limit
from flaskmail.decisions.redirect import BURNT, HEALTH, carries_credentials, location, stays
from flaskmail.errors import RequestError
from flaskmail.hookvalues import RateDecision
from flaskmail.plugins import HookFailed
from flaskmail.policy.answers import NO_CONTENT, Answer, problem, redirect
from flaskmail.policy.counters import Counters
from flaskmail.policy.environ import CLIENT, FURTHER, PLAN, READABLE, UNPROVEN, Environ
from flaskmail.policy.hooks import Ask, asked_refusal, request_of
from flaskmail.policy.plan import LONGEST_KEY, Policy

log = logging.getLogger("flaskmail.policy")


class Gates:
    """The gates, and what they remember between requests. counters: the file in which rate limits are counted, or a function that
    names it; None for memory."""

    def __init__(self, counters: Callable[[], Path] | Path | None) -> None:
        self._counters: Counters | None = None
        self._counted_in = counters
        self._warned: set[str] = set()
        self._good_hosts: set[str | None] = set()

    def _warn(self, about: str, sentence: str, *arguments: object) -> None:
        if about not in self._warned:
            self._warned.add(about)
            log.warning(sentence, *arguments)

    def _check_host(self, environ: Environ, host: str | None) -> Answer | None:
        if host is None:
            # RFC 9112 section 3.2: required in HTTP/1.1.
            if environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
                return problem(400, "The request has no Host header.", more={"error": "bad-host"})
        elif not is_host_header(host):
            return problem(400, "The Host header is malformed.", more={"error": "bad-host"})
        elif len(self._good_hosts) < 100 and len(host) < LONGEST_KEY:
            self._good_hosts.add(host)
        return None

    def _preflight(self, policy: Policy, environ: Environ, path: str, origin: str) -> Answer | None:
        cors, asked = policy.cors, policy.hooks.cors_decision
        if (
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ
            or not (cors.everybody or cors.listed or asked)
            or policy.is_excluded(path)
        ):
            return None
        if asked is None:
            environ[FURTHER] = policy.preflight(origin)
        else:
            environ[FURTHER] = PREFLIGHT if environ.get(READABLE) else ()
        return NO_CONTENT

    def _gate(self, policy: Policy, environ: Environ, client: Client, path: str) -> Answer | None:
        if policy.redirects and not stays(client, path):
            answer = self._to_https(policy, environ, client, path)
            if answer is not None:
                return answer
        hooks, limit = policy.hooks, policy.anonymous
        if hooks.refuse_request is not None:
            answer = asked_refusal(hooks.refuse_request, policy, environ, client)
            if answer is not None:
                return answer
        elif policy.access is not None and not client.local:
            status = policy.access.status(environ, client)
            if status != 200:
                return problem(status, DETAIL)
        if "HTTP_AUTHORIZATION" in environ or client.exempt or path in HEALTH:
            return None
        if hooks.rate_limit is not None:
            wait = self._asked_rate(hooks.rate_limit, policy, environ, None)
        elif limit is None:
            return None
        else:
            wait = self._spend(environ, limit, client.key)
        return None if not wait else problem(429, f"Too many requests. Wait {wait} seconds before the next one.")

    def _to_https(self, policy: Policy, environ: Environ, client: Client, path: str) -> Answer | None:
        base = policy.url.secure(environ, client)
        if base is None:
            self._warn("https", "https-redirect has no effect: url gives no https address")
            return None
        if policy.url.is_default:
            base += environ.get("SCRIPT_NAME", "")
        if carries_credentials(environ, policy.pages):
            return problem(403, BURNT)
        return redirect(location(base, path, environ.get("QUERY_STRING", "")))

    # ---- rate limits
    def _asked_rate(self, asked: Ask, policy: Policy, environ: Environ, principal: Any) -> int:
        try:
            decision = asked(policy, request_of(environ), principal) or RateDecision()
        except HookFailed:
            decision = self._spend_for(environ, principal)
        headers = decision.headers
        if decision.wait and not any(name.lower() == "retry-after" for name, _ in headers):
            headers = (*headers, ("Retry-After", str(decision.wait)))
        environ[FURTHER] = headers
        return decision.wait

    def _spend_for(self, environ: Environ, principal: Any) -> RateDecision:
        policy: Policy = environ[PLAN]
        limit = policy.anonymous if principal is None else policy.account
        if limit is None:
            return RateDecision()
        if principal is None and UNPROVEN in environ:
            limit = Limit("unproven", limit.count, limit.seconds)
        wait = self._spend(environ, limit, environ[CLIENT].key if principal is None else _id(principal))
        return RateDecision(wait, environ[FURTHER])

    def _spend(self, environ: Environ, limit: Limit, client: str) -> int:
        counters = self._counters
        if counters is None:
            place = self._counted_in
            try:
                counters = Counters(place() if callable(place) else place)
            except OSError as error:
                log.error("each process counts the requests of clients for itself, and so lets more pass: %s", error)
                counters = Counters()
            self._counters = counters
        spent = counters.spend(limit, client)
        environ[FURTHER] = spent.headers(limit)
        return spent.wait

    def limited_address(self, environ: Environ) -> str:
        """The address that failures of this request count for, and from which a credential may have to come; "" when nobody knows
        it, or it is that of a trusted proxy which does not say for whom it asks."""
        client: Client = environ[CLIENT]
        unsaid = client.trusted and client.exempt and not client.forwarded
        return "" if client.address is None or unsaid else client.address

    def proven_address(self, environ: Environ) -> str:
        """The same where an address alone lets somebody in: "" also for all that trusted proxies have, since one that passes on
        what clients say of themselves would let everybody in."""
        client: Client = environ[CLIENT]
        return "" if client.trusted and client.exempt else self.limited_address(environ)

    def spend_unproven(self, environ: Environ) -> None:
        """Counts a request whose ``Authorization`` header proves nothing: what it says is wrong, or is not asked for at that
        address. They have a bucket of their own, as large as that of anonymous requests, so that whoever sends right
        credentials from the same address does not wait for them. A request counts once, one without such a header not at
        all. RequestError 429."""
        policy: Policy = environ[PLAN]
        if "HTTP_AUTHORIZATION" not in environ or environ[CLIENT].exempt or UNPROVEN in environ:
            return
        environ[UNPROVEN] = True
        if policy.hooks.rate_limit is not None:
            wait = self._asked_rate(policy.hooks.rate_limit, policy, environ, None)
        else:
            wait = self._spend_for(environ, None).wait
        if wait:
            raise RequestError(
                429,
                f"Too many requests with credentials that are wrong or not asked for. Wait {wait} seconds before the next one.",
            )

    def spend_account(self, environ: Environ, principal: Any) -> None:
        """Counts a request whose credentials are right. principal: whose they are, as something with an ``id``, or the id itself.
        Raises RequestError 429."""
        policy: Policy = environ[PLAN]
        asked, limit = policy.hooks.rate_limit, policy.account
        if asked is not None:
            wait = self._asked_rate(asked, policy, environ, principal)
        elif limit is None:
            return
        else:
            wait = self._spend(environ, limit, _id(principal))
        if wait:
            raise RequestError(429, f"Too many requests of this account. Wait {wait} seconds before the next one.")


def _id(principal: Any) -> str:
    return str(getattr(principal, "id", principal))
