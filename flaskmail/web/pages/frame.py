"""What all pages have in common: templates, headers, and the pages that say what went wrong."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from flaskmail.accounts.totp import WrongCode
from flaskmail.decisions.pages import browser_name, content_security_policy
from flaskmail.errors import RequestError, StoreError
from flaskmail.policy.adapter import KEEP
from flaskmail.server import Server
from flaskmail.web.pages.assets import NAMES
from flaskmail.web.pages.visits import Visit

log = logging.getLogger("flaskmail.web")

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_TITLES = {
    400: "This request cannot be understood",
    403: "This cannot be done",
    404: "There is nothing here",
    413: "That is too large",
    414: "That is too long",
    429: "Too many tries",
    500: "Something went wrong",
    503: "Not possible right now",
}


@lru_cache(maxsize=1)
def _templates() -> Environment:
    found = Environment(
        loader=PackageLoader("flaskmail.web.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"day": day, "moment": moment, "date": date, "browser": browser_name}
    return found


def _time(seconds: int, text: str) -> Markup:
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime(text))


def day(seconds: int) -> Markup:
    """A day, for people."""
    return _time(seconds, "%-d %B %Y")


def moment(seconds: int) -> Markup:
    """A minute, for people."""
    return _time(seconds, "%-d %B %Y, %H:%M UTC")


def date(text: str) -> Markup:
    """A UTCDate, or a day as in ISO 8601, as a day for people."""
    return day(int(datetime.fromisoformat(text[:10]).replace(tzinfo=UTC).timestamp()))


def page(template: str, status: int = 200, *, form_actions: Iterable[str] = (), **values: Any) -> Response:
    """The response with a page. form_actions: where its forms may lead beside this server, as sources of CSP; values: of the
    template."""
    visit: Visit | None = g.get("flaskmail_visit")
    base = urlsplit(g.get("flaskmail_base", ""))
    prefix = base.path.rstrip("/")
    body = (
        _templates()
        .get_template(template)
        .render(
            url=lambda path: prefix + path,
            asset=lambda name: prefix + NAMES[name],
            token=visit.token if visit is not None else "",
            host=base.hostname or "",
            principal=visit.principal if visit is not None else None,
            manages=visit is not None and visit.manages,
            path=request.path,
            **values,
        )
    )
    response = Response(body, status, content_type="text/html; charset=utf-8")
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = content_security_policy(form_actions)
    # What is configured for other responses must not loosen these.
    request.environ[KEEP] = True
    return response


def error_page(status: int, detail: str, title: str = "") -> Response:
    """A page that says why there is no other. title: its heading, "" for the usual one of the status."""
    return page("error.html", status, title=title or _TITLES.get(status, phrase(status)), detail=detail)


def wait_sentence(error: RequestError) -> str:
    """What a page says when a RequestError 429 asks for patience."""
    return f"Too many wrong tries. Wait {error.headers.get('Retry-After', 'a few')} seconds before the next one."


def waiting(response: Response, error: RequestError) -> Response:
    """The response with the error's Retry-After."""
    response.headers["Retry-After"] = error.headers.get("Retry-After", "60")
    return response


def wrong_code(error: WrongCode, form: Callable[[str, int], Response]) -> Response:
    """The form again, after a code that was not accepted. form: makes it, from what it says and its status."""
    told = "This code is wrong, was used before, or is too old."
    if not error.wait:
        return form(told, 422)
    response = form(f"{told} Wait {error.wait} seconds before the next one.", 429)
    response.headers["Retry-After"] = str(error.wait)
    return response


def phrase(status: int) -> str:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def install(blueprint: Blueprint, server: Server) -> None:
    """Answers errors with pages instead of problem details."""

    def refused(error: RequestError) -> Response:
        response = error_page(error.status, error.detail)
        for name, value in error.headers.items():
            response.headers[name] = value
        return response

    def unavailable(error: StoreError) -> Response:
        log.error("%s %s: %s", request.method, ascii(request.path), error)
        response = error_page(503, "The server cannot do this now. Try again later.")
        response.headers["Retry-After"] = "5"
        return response

    def routing(error: HTTPException) -> Response:
        return error_page(error.code or 500, error.description or phrase(error.code or 500))

    def failed(error: Exception) -> Response:
        id = secrets.token_hex(8)
        log.error("error %s: %s %s", id, request.method, ascii(request.path), exc_info=error)
        return error_page(500, f"An error of the server's. Its log knows more under the id {id}.")

    blueprint.register_error_handler(RequestError, refused)
    blueprint.register_error_handler(StoreError, unavailable)
    blueprint.register_error_handler(HTTPException, routing)
    blueprint.register_error_handler(Exception, failed)
