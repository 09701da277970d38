"""Why a request is answered as it is: the policy decides about it once more, while everything that it does is noted.

Nothing is decided here. The request goes through HttpPolicy itself, in front of an application that answers 200 with
nothing; what the decisions give is kept, and reasons are asked of the functions that decided.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote_to_bytes

from flaskmail import sockets
from flaskmail.config import Settings
from flaskmail.config.documents import in_force
from flaskmail.config.settings import ServerHttp, declarations
from flaskmail.decisions.client import Client
from flaskmail.decisions.headers import Header, Outgoing
from flaskmail.decisions.proxyheaders import FORWARDING
from flaskmail.decisions.redirect import HEALTH, stays
from flaskmail.hookspecs import HOOKS
from flaskmail.plugins import HookFailed
from flaskmail.policy.answers import NO_CONTENT, Answer
from flaskmail.policy.environ import CLIENT, OUTGOING, Environ
from flaskmail.policy.explanation import Explanation, Part, Responsible, Sent
from flaskmail.policy.plan import SECTION, Policy
from flaskmail.policy.tracing import Run

SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Request headers of which an explanation shows only that they were there."""
HIDDEN = "(hidden)"


def explain(policy: Policy, environ: Mapping[str, Any], settings: Settings | None = None) -> Explanation:
    """What the policy does with a request, and why. environ: of WSGI; it stays as it is. settings: those of a server, which know
    where values come from; None for a policy whose settings were given by a program."""
    run = Run(policy)
    run.take(dict(environ))
    return _Telling(run, dict(environ), settings).whole()


def request_environ(
    method: str, scheme: str, target: str, peer: str, place: sockets.Place, headers: Sequence[Header]
) -> Environ:
    """The WSGI environ of a request that nobody has made.

    scheme: of the socket; target: path and query, percent-encoded; peer: the address of its other end, "" for a Unix socket."""
    path, _, query = target.partition("?")
    environ: Environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "SERVER_NAME": place.ip or "localhost",
        "SERVER_PORT": str(place.port or ""),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": scheme,
        sockets.PLACE: place,
    }
    lines: dict[str, list[str]] = {}
    for name, value in headers:
        lines.setdefault(name.upper().replace("-", "_"), []).append(value.encode("utf-8").decode("latin-1"))
    for name, values in lines.items():
        plain = name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        environ[name if plain else f"HTTP_{name}"] = ",".join(values)
    return environ


class _Telling:
    """Puts what a run has noted into words. asked: the environ of WSGI as the request came."""

    def __init__(self, run: Run, asked: Environ, settings: Settings | None) -> None:
        self.run, self.asked, self.plan, self.settings = run, asked, run.plan, settings
        self.client: Client = run.environ[CLIENT]
        self.path = str(run.environ.get("PATH_INFO", ""))
        self.known = _responsible(self.plan.settings, settings)

    def whole(self) -> Explanation:
        parts = tuple(
            part()
            for part in (
                self.listener,
                self.who,
                self.scheme,
                self.host,
                self.url,
                self.cors,
                self.hsts,
                self.redirect,
                self.access,
                self.limits,
            )
        )
        answer = self.run.answer
        return Explanation(
            self.request(),
            parts,
            None if answer is None else answer.status,
            self.run.answered_by,
            tuple(self.sent()),
            tuple(self.run.warnings),
        )

    def of(self, *names: str) -> tuple[Responsible, ...]:
        """The settings of these names: below server.http, or whole keys that begin with a dot."""
        keys = [name[1:] if name.startswith(".") else SECTION + name for name in names]
        return tuple(self.known[key] for key in keys if key in self.known)

    # ---- the request
    def request(self) -> dict[str, Any]:
        asked = self.asked
        query = _without_token(str(asked.get("QUERY_STRING") or ""))
        path = asked.get("SCRIPT_NAME", "") + asked.get("PATH_INFO", "") + (f"?{query}" if query else "")
        scheme = "https" if asked.get("wsgi.url_scheme") == "https" else "http"
        headers = [
            [_field(name), HIDDEN if name[5:].replace("_", "-").lower() in SECRET else value]
            for name, value in asked.items()
            if name.startswith("HTTP_")
        ]
        return {
            "method": asked["REQUEST_METHOD"],
            "url": f"{scheme}://{asked.get('HTTP_HOST', '')}{path}",
            "peer": asked.get("REMOTE_ADDR") or "",
            "scheme": scheme,
            "listener": sockets.place(asked).listener,
            "headers": headers,
        }

    def listener(self) -> Part:
        where, serves = sockets.place(self.asked), sockets.serves(self.run.environ)
        key = f".server.listener.{where.listener}"
        why = () if serves else ("the listener does not serve this path: the answer is 404",)
        result = {"id": where.listener, "ip": where.ip, "port": where.port, "serves": serves}
        return Part("listener", result, why, self.of(f"{key}.bind", f"{key}.routes"))

    # ---- who, how and where
    def who(self) -> Part:
        client, run = self.client, self.run
        walk = [asdict(step) for step in run.steps]
        removed = sorted(_field(name) for name in FORWARDING.intersection(self.asked))
        names = ["use-x-forwarded"] + (
            ["trusted-proxies", "forwarded-header", "forwarded-fields"] if self.plan.trust.use else []
        )
        result: dict[str, Any] = {
            "address": client.address,
            "trusted_peer": self.plan.trusts(str(self.asked.get("REMOTE_ADDR") or "")),
            "forwarded": client.forwarded,
            "local": client.local,
            "walk": walk,
            "removed": removed,
        }
        plugin, told = self.decided("client_address", "proxies")
        why = [told or client.why]
        if self.run.answered_by == "client" and run.answer is not None:
            why = [_detail(run.answer)]
        elif not client.address and not client.forwarded:
            why.append("the peer of a Unix socket has no address")
        return Part("client", result, tuple(why), () if told else self.of(*names), plugin)

    def scheme(self) -> Part:
        client = self.client
        told = "the trusted proxy says so" if client.told else "the socket speaks it"
        if client.trusted and not client.told:
            told += ", and the trusted proxy says nothing about it"
        names = ["use-x-forwarded", "forwarded-fields"] if client.trusted else ["use-x-forwarded"]
        result = {"scheme": client.scheme, "told": client.told}
        plugin, answered = self.decided("client_address", "proxies")
        if answered:
            return Part("scheme", result, (answered,), (), plugin)
        return Part("scheme", result, (told,), self.of(*names), plugin)

    def host(self) -> Part:
        host, client = self.run.environ.get("HTTP_HOST"), self.client
        why = "the Host header of the request; no URL is ever made of it"
        if client.host is not None:
            why = "the trusted proxy says so"
        elif self.run.answered_by == "host" and self.run.answer is not None:
            why = _detail(self.run.answer)
        return Part(
            "host",
            {"host": host, "told": client.host is not None},
            (why,),
            self.of("forwarded-fields") if client.trusted else (),
        )

    def url(self) -> Part:
        rule = self.plan.url
        base = self.run.base_url(self.run.environ)
        result: dict[str, Any] = {"url": base, "expression": None, "variables": {}}
        keys = ["url"]
        if rule.constant is None:
            variables = rule.rule.variables(self.run.environ, self.client)
            result |= {"expression": rule.rule.text, "variables": {n: _shown(v) for n, v in variables.items()}}
            why = "the expression gives it for this request"
            if rule.is_default:
                why = "the setting url is not set: the protocol, lookup.default.hostname and the port, as the client uses them"
            if "hostname" in rule.rule.text:
                keys.append(".lookup.default.hostname")
        else:
            why = "the setting says so, whatever the request is"
        failed = [
            f"the expression gives no base URL, the default is used instead: {f}" for f in self.run.url_failures[:1]
        ]
        return Part("url", result, (why, *failed), self.of(*keys))

    # ---- what leaves
    def cors(self) -> Part:
        plan, origin = self.plan, self.asked.get("HTTP_ORIGIN")
        lower = {name.lower(): value for name, value in self.run.headers}
        granted = lower.get("access-control-allow-origin")
        preflight = self.run.answer is NO_CONTENT
        excluded = plan.excluded_by(self.path)
        result = {
            "origin": origin,
            "readable": granted is not None,
            "preflight": preflight,
            "rule": None if origin is None else plan.cors.member(origin),
        }
        keys = ["permissive-cors", "cors-origins", "cors-exclude"]
        if excluded is not None:
            why, keys = (
                f"the path lies at or below {excluded}, which is in cors-exclude: no page of another origin may read it",
                ["cors-exclude"],
            )
        elif plan.cors.everybody:
            why, keys = (
                "with permissive-cors the pages of every origin may read it, without the browser's credentials",
                keys[:1],
            )
        elif not plan.cors.listed:
            why, keys = (
                "neither permissive-cors nor cors-origins is set: no page of another origin may read it",
                keys[:2],
            )
        elif origin is None:
            why, keys = "the request has no Origin, so it is none of a page of another origin", keys[1:2]
        elif granted is not None:
            why, keys = f"the origin is in cors-origins, as {result['rule']}", keys[1:2]
        else:
            why, keys = "the origin is not in cors-origins", keys[1:2]
        plugin, answered = self.decided("cors_decision", "cors")
        if answered and excluded is None:
            why, keys = answered, []
        told = ("a preflight is answered at once, before anything else is asked",) if preflight else ()
        return Part("cors", result, (why, *told), self.of(*keys), plugin)

    def hsts(self) -> Part:
        value = next((v for name, v in self.run.headers if name.lower() == "strict-transport-security"), None)
        if value is not None:
            why = "the client came over https"
        elif self.plan.settings.hsts is False:
            why = "the setting hsts is off"
        else:
            why = "the client did not come over https, and browsers ignore it there (RFC 6797 section 8.1)"
        return Part("hsts", {"sent": value is not None, "value": value}, (why,), self.of("hsts"))

    def redirect(self) -> Part:
        keys = self.of("https-redirect", *(["hsts"] if self.plan.settings.https_redirect is None else []))
        if self.unreached():
            return Part("redirect", None, (self.unreached(),), keys)
        answer = next(iter(self.run.redirected), None)
        there = None if answer is None else dict(answer.headers).get("Location")
        why = "the client came over plain http"
        if not self.plan.redirects:
            why = next((w for w in self.plan.warnings if "https-redirect" in w), "the setting https-redirect is off")
        elif answer is None:
            why = stays(self.client, self.path) or "the setting url gives no https address"
        elif there is None:
            why = _detail(answer)
        result = {"redirected": there is not None, "location": there, "refused": answer is not None and there is None}
        return Part("redirect", result, (why,), keys)

    def access(self) -> Part:
        keys = self.of("allowed-endpoint")
        rule, late = self.run.access, self.unreached("redirect")
        plugin, answered = self.decided("refuse_request", "access")
        if late:
            return Part("access", None, (late,), keys, "access")
        result: dict[str, Any] = {"status": 200, "expression": None, "variables": {}}
        if answered:
            answer, keys = self.run.answer, ()
            refused = answer is not None and self.run.answered_by == "access"
            result["status"] = answer.status if answer is not None and refused else 200
            why = [answered, *([_detail(answer)] if answer is not None and refused else [])]
        elif rule is None:
            why = ["every request passes"]
        elif rule.given is None:
            why = ["the client is proven to be on this machine, and always passes"]
        else:
            variables = rule.rule.variables(self.run.environ, self.client)
            shown = {name: _shown(value) for name, value in variables.items()}
            result |= {"status": rule.given, "expression": rule.rule.text, "variables": shown}
            why = ["the setting gives this status for the request"]
            why += [f"it failed, so it is closed: {failure}" for failure in rule.failures[:1]]
        return Part("access", result, tuple(why), keys, plugin)

    def limits(self) -> Part:
        keys = self.of("rate-limit.anonymous", "rate-limit.account")
        late = self.unreached("redirect", "access")
        if late:
            return Part("limits", None, (late,), keys, "limits")
        counted = next(iter(self.run.counters.asked), None)
        result: dict[str, Any] = {"counted": counted is not None, "limit": None, "client": None}
        account = self.plan.account
        behind = "" if account is None else f"; an account has {account.count} requests in {account.seconds} seconds"
        plugin, answered = self.decided("rate_limit", "limits")
        if answered and counted is None:
            refused = self.run.answer if self.run.answered_by == "limits" else None
            return Part("limits", result, (answered, *([] if refused is None else [_detail(refused)])), (), plugin)
        if counted is not None:
            limit, client = counted
            result |= {"limit": limit.name, "client": client, "count": limit.count, "seconds": limit.seconds}
            why = (
                f"a request without credentials counts for {client}, which has {limit.count} in {limit.seconds} seconds"
            )
        elif self.plan.anonymous is None:
            why = "the setting rate-limit.anonymous is off"
        elif "HTTP_AUTHORIZATION" in self.asked:
            why = "the request has credentials: it counts for its account" + behind
        elif self.path in HEALTH:
            why = "health checks are never limited"
        else:
            why = "a trusted proxy, or one on this machine, speaks for itself: to limit it would limit everybody"
        return Part("limits", result, (answered or why,), keys, plugin)

    def decided(self, hook: str, builtin: str) -> tuple[str, str]:
        """The plugin that decided by a hook, and a sentence about it; that is "" for the built-in one."""
        plugin, answer = self.run.decider(hook) or (builtin, None)
        if plugin == builtin:
            return plugin, ""
        if isinstance(answer, HookFailed):
            return plugin, f"the plugin {plugin} failed. {HOOKS[hook].fails}"
        return plugin, f"the plugin {plugin} decided"

    def unreached(self, *before: str) -> str:
        """Why a decision was not asked for, "" when it was. before: the parts that come between."""
        by = self.run.answered_by
        return f"not asked: {by} has answered already" if by in ("client", "host", "cors", *before) else ""

    def added_by(self, pair: Header) -> str:
        """The plugin whose header field leaves, "" when it is none's; of two plugins' fields the first one's counts."""
        for hook, plugin, answer in self.run.witnessed:
            if hook == "response_headers" and isinstance(answer, (list, tuple)):
                names = {name.lower() for name, _ in answer}
                if pair[0].lower() in names:
                    return plugin if tuple(pair) in {tuple(one) for one in answer} else ""
        return ""

    def answering(self, hook: str, builtin: str) -> str:
        """The plugin whose answer to a hook counts; "" when that is the built-in one's, or it failed."""
        plugin, answer = self.run.decider(hook) or (builtin, None)
        return "" if plugin == builtin or isinstance(answer, HookFailed) else plugin

    def sent(self) -> Iterable[Sent]:
        """The header fields that leave, each with what it comes from."""
        out: Outgoing = self.run.environ[OUTGOING]
        left = list(zip(out.items, out.sources, strict=True))
        own = [] if self.run.answer is None else list(self.run.answer.headers)
        cors, limits = self.answering("cors_decision", "cors"), self.answering("rate_limit", "limits")
        refusal = self.answering("refuse_request", "access") if self.run.answered_by == "access" else ""
        theirs = self.run.decider("refuse_request") if refusal else None
        given = theirs[1].headers if theirs is not None else ()
        for pair in self.run.headers:
            source = next((one for one in left if one[0] == pair), None)
            key = ""
            plugin = self.added_by(pair)
            if source is not None and not plugin:
                left.remove(source)
                key = source[1]
                # The settings give these only as long as nobody else decides.
                plugin = cors if key in ("cors-origins", "permissive-cors") else ""
            elif pair in given:
                plugin = plugin or refusal
            elif not plugin and (pair in own or pair[0] == "Content-Length"):
                yield Sent(*pair, "policy")
                continue
            elif self.run.answered_by == "cors":
                key, plugin = "permissive-cors" if self.plan.cors.everybody else "cors-origins", plugin or cors
            else:
                key, plugin = "rate-limit.anonymous", plugin or limits
            if plugin:
                yield Sent(*pair, "plugin", plugin=plugin)
                continue
            setting = self.known.get(SECTION + key)
            yield Sent(*pair, "default") if setting is None else Sent(*pair, setting.key, setting.origin)


def _responsible(http: ServerHttp, settings: Settings | None) -> Mapping[str, Responsible]:
    if settings is not None:
        return {one["key"]: Responsible(one["key"], one["value"], one["origin"]) for one in in_force(settings)}
    found = {}
    for one in declarations(ServerHttp, SECTION):
        value: Any = http
        for part in one.key.removeprefix(SECTION).split("."):
            value = getattr(value, part.replace("-", "_"))
        origin = "default" if value == one.default else "given"
        found[one.key] = Responsible(one.key, one.kind.write(value) or None, origin)
    return found


def _field(name: str) -> str:
    """The name of a header field as people write it, from its key in the environ."""
    return "-".join(word.capitalize() for word in name.removeprefix("HTTP_").split("_"))


def _detail(answer: Answer) -> str:
    return str(json.loads(answer.body)["detail"])


def _shown(value: Any) -> Any:
    """The value of a variable, without what nobody else may know."""
    if isinstance(value, list):
        return [f"{one.partition(':')[0]}: {HIDDEN}" if one.partition(":")[0] in SECRET else one for one in value]
    return _without_token(value) if isinstance(value, str) else value


def _without_token(query: str) -> str:
    """A query, or a URL with one, without the token that RFC 6750 section 2.3 puts there."""
    return re.sub(r"((?:^|[?&])access_token=)[^&]*", rf"\1{HIDDEN}", query)
