"""The hooks of the HTTP policy: looked up once, asked where somebody implements them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flaskmail.decisions.addresses import NAMED, Networks, network
from flaskmail.decisions.client import Client
from flaskmail.decisions.headers import Header, Outgoing
from flaskmail.decisions.mistakes import Mistake
from flaskmail.errors import ConfigError, Problem
from flaskmail.expressions import BUILTIN, HTTP_TYPES, Function, Parameter, Type
from flaskmail.hookvalues import Event, Leaving, PolicyFacts
from flaskmail.plugins import HookFailed, Plugins, answers, ask, gather
from flaskmail.plugins.asking import Witness
from flaskmail.policy.answers import Answer, problem
from flaskmail.policy.environ import Environ

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

Ask = Callable[..., Any]

ACCOUNT = "flaskmail.account"
REQUEST_ID = "flaskmail.request-id"
"""Keys of the environ: whose request it is, as the server found out; and its id, as a plugin may have given it."""


class Hooks:
    """What asks each hook; None for those that nobody but built-in plugins implements. witness: told of every answer."""

    __slots__ = ("client_address", "cors_decision", "observe", "rate_limit", "refuse_request", "response_headers")

    def __init__(self, plugins: Plugins | None, witness: Witness | None = None) -> None:
        def asking(name: str) -> Ask | None:
            return None if plugins is None else ask(plugins, name, witness)

        self.client_address = asking("client_address")
        self.refuse_request = asking("refuse_request")
        self.rate_limit = asking("rate_limit")
        self.cors_decision = asking("cors_decision")
        self.response_headers = asking("response_headers")
        self.observe = asking("observe")


def request_of(environ: Environ) -> Request:
    """The request for a plugin, which cannot read its body: that belongs to the view."""
    # The settings are read with this module by commands that never serve, and werkzeug takes long to import.
    from werkzeug.wrappers import Request

    return Request(environ, populate_request=False, shallow=True)


def headers_of(environ: Environ) -> Mapping[str, str]:
    """The header fields of a request by their names in lower case."""
    return {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }


def with_headers(policy: Any, request: object, out: Outgoing, status: int, headers: Iterable[Header]) -> Outgoing:
    """What leaves with a response once plugins have been asked for further headers; of two fields, the first plugin's counts."""
    # Its own __new__ only makes this call, in three times as long.
    leaving = tuple.__new__(Leaving, (status, tuple(headers)))
    found = policy.hooks.response_headers(policy, request, leaving)
    if not found:
        return out
    fields: tuple[Header, ...] = found[0]
    if len(found) > 1:
        for answer in found[1:]:
            # RFC 9110 section 12.5.5: what the response depends on is all of it.
            taken = {name.lower() for name, _ in fields} - {"vary"}
            fields += tuple(pair for pair in answer if pair[0].lower() not in taken)
    return out.instead(fields) if fields else out


def asked_refusal(asked: Ask, policy: Any, environ: Environ, client: Client) -> Answer | None:
    """The refusal of a request as plugins have it; also when one of them fails. None when it may pass."""
    try:
        refusal = asked(policy, request_of(environ), client)
    except HookFailed:
        return problem(500, "This server cannot say whether it may answer this request.")
    return None if refusal is None else problem(refusal.status, refusal.detail, refusal.headers)


def observed(asked: Ask, server: object, environ: Environ, start_response: Callable[..., Any]) -> Callable[..., Any]:
    """``start_response`` that tells plugins of the request when its response begins."""
    began = time.perf_counter()
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")

    def start(status: str, headers: list[Header], *more: Any) -> Any:
        data = {
            "client": environ.get("REMOTE_ADDR"),
            "peer": environ.get("flaskmail.peer"),
            "scheme": environ.get("wsgi.url_scheme"),
            "method": environ.get("REQUEST_METHOD"),
            "path": path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace"),
            "status": int(status[:3]),
            "account": environ.get(ACCOUNT),
            "request_id": environ.get(REQUEST_ID),
            "milliseconds": round((time.perf_counter() - began) * 1000, 3),
        }
        asked(server, Event("http.request", data))
        return start_response(status, headers, *more)

    return start


# ---- at the start


def networks_of(plugins: Plugins | None, facts: PolicyFacts) -> dict[str, Networks]:
    """The names for networks: our own and those of plugins. ConfigError names the plugin that is wrong."""
    named = dict(NAMED)
    problems = []
    for plugin, answer in answers(plugins, "trusted_networks", policy=facts) if plugins is not None else ():
        if not isinstance(answer, Mapping):
            problems.append(Problem(plugin, "trusted_networks", type(answer).__name__, "names and their networks"))
            continue
        for name, texts in answer.items():
            if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name in named:
                wanted = "a name in lower case that is not there yet"
                problems.append(Problem(plugin, "trusted_networks", ascii(name), wanted))
                continue
            key, named[name] = f"trusted_networks: {name}", Networks()
            if not isinstance(texts, (str, list, tuple, set, frozenset)):
                problems.append(Problem(plugin, key, type(texts).__name__, "a list of networks"))
                continue
            for text in (texts,) if isinstance(texts, str) else texts:
                try:
                    named[name] |= network(str(text))
                except Mistake as mistake:
                    problems.append(Problem(plugin, key, mistake.found, mistake.expected, mistake.hint))
    if problems:
        raise ConfigError(problems)
    return named


_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def functions_of(plugins: Plugins | None, facts: PolicyFacts) -> tuple[Function, ...]:
    """The functions that plugins add to expressions. ConfigError names the plugin that is wrong."""
    taken = {*(function.name for function in BUILTIN), *HTTP_TYPES, "true", "false"}

    def take(answer: Any) -> Function:
        if not isinstance(answer, Function):
            raise Mistake(answer, "a flaskmail.expressions.Function")
        if not _FUNCTION.fullmatch(str(answer.name)) or answer.name in taken:
            raise Mistake(answer.name, "a name of letters, digits and _ that is not there yet")
        if not callable(answer.call):
            raise Mistake(answer.call, f"a function to call for {answer.name}")
        # Nobody has checked the types of a plugin.
        returns: object = answer.returns
        if not isinstance(returns, Type):
            raise Mistake(returns, f"what {answer.name} returns as a flaskmail.expressions.Type")
        parameters: object = answer.parameters
        if not isinstance(parameters, tuple) or not all(isinstance(one, Parameter) for one in parameters):
            raise Mistake(parameters, f"the parameters of {answer.name} as a tuple of flaskmail.expressions.Parameter")
        taken.add(answer.name)
        return answer

    return () if plugins is None else tuple(gather(plugins, "expression_functions", take, policy=facts))
