"""Who looks at a page: the cookie, the session behind it, and the forms that come back."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlsplit

from flask import Blueprint, Response, g, request
from werkzeug.wrappers import Request

from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.principals import Principal, Secret
from flaskmail.accounts.websessions import WebSession, new_value
from flaskmail.config.signingin import BrowserSession
from flaskmail.decisions.pages import cross_site, form_token
from flaskmail.errors import FlaskmailError, RequestError
from flaskmail.policy import HttpPolicy
from flaskmail.policy.adapter import POLICY
from flaskmail.policy.hooks import request_of
from flaskmail.server import Server
from flaskmail.web import accesslog
from flaskmail.web.admission import announced_length, base_url, cut_short, drop, spend_unproven

MOST_OCTETS = 64 * 1024
"""Of a form: passwords, codes and an authorization request fit many times."""
MOST_FIELDS = 100
_PLAIN = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "REMOTE_ADDR",
    "HTTP_HOST",
    "HTTP_USER_AGENT",
    "wsgi.url_scheme",
)
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


class Elsewhere(FlaskmailError):
    """The browser is sent to another address instead of what it asked for. path: a path of ours with its query."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


@dataclass(slots=True)
class Visit:
    """One request of a browser. base: the public URL of the server; value: of its cookie, made now when it brought none;
    session: in which somebody is signed in, or has given the password (``pending``); address: for throttling, "" when not
    known; set_cookie: whether the browser is told the value."""

    server: Server
    base: str
    secure: bool
    value: str
    session: WebSession | None
    address: str
    set_cookie: bool
    _form: dict[str, str] | None = field(default=None, repr=False)

    @property
    def limits(self) -> BrowserSession:
        """The settings of sessions."""
        return self.server.settings.authentication.session

    @property
    def cookie(self) -> str:
        """The cookie's name. RFC 6265bis section 4.1.3.2: with this prefix no other host can have set it."""
        return cookie_name(self.secure)

    @property
    def prefix(self) -> str:
        """The path under which clients see the server, without a final slash."""
        return urlsplit(self.base).path.rstrip("/")

    @property
    def host(self) -> str:
        """The server's name for people."""
        return urlsplit(self.base).hostname or "flaskmail"

    @property
    def token(self) -> str:
        """What every form of this browser carries."""
        return form_token(self.value)

    @property
    def principal(self) -> Principal | None:
        """Who is signed in."""
        return None if self.session is None or self.session.pending else self.session.principal

    def signed_in(self) -> WebSession:
        """The session in which somebody is signed in, once the form that was sent is there. Else the browser is sent to sign
        in, and comes back."""
        if self.session is not None and request.method == "POST":
            self.form()
        if self.session is None or self.session.pending:
            raise Elsewhere(sign_in_path(here()))
        return self.session

    @property
    def manages(self) -> bool:
        """Whether somebody is signed in who may change how the own account is signed in to."""
        principal = self.principal
        return principal is not None and self.server.directory.authority.access_of(principal).may("manage-passwords")

    def managing(self) -> WebSession:
        """The session of somebody who ``manages``. Raises RequestError 403."""
        session = self.signed_in()
        if not self.manages:
            raise RequestError(403, "Your administrator manages how this account is signed in to.")
        return session

    def confirmed(self, at: str) -> WebSession:
        """The same, for whoever signed in a short while ago only: others do it again, and come back to the path ``at``."""
        session = self.managing()
        if time.time() - session.authenticated > self.limits.confirm_after:
            raise Elsewhere(sign_in_path(at, again=True))
        return session

    def check(self, name: str, password: str) -> Secret | None:
        """Whose name and password these are; of whoever is signed in, that they are the same one's. As ``Server.sign_in``."""
        secret = self.server.sign_in(name, password, self.address, typed)
        if secret is not None and self.principal is not None and secret.principal.id != self.principal.id:
            return None
        return secret

    def begin(self, secret: Secret, amr: tuple[str, ...], *, pending: bool = False) -> WebSession:
        """A session under a new cookie; the browser's present one ends. Raises RequestError 403 when the password that was
        checked has been changed since."""
        try:
            self.session, self.value = self.server.directory.web_sessions.begin(
                secret.principal,
                secret.stamp,
                amr,
                self.limits,
                address=request.environ.get("REMOTE_ADDR") or "",
                agent=request.headers.get("User-Agent", ""),
                pending=pending,
                replaced=self.value,
            )
        except UnknownName:
            raise RequestError(403, "The account was changed meanwhile. Sign in again.") from None
        self.set_cookie = True
        return self.session

    def end(self) -> None:
        """Ends the session; the browser gets a cookie that stands for nobody."""
        self.server.directory.web_sessions.end_value(self.value)
        self.session, self.value, self.set_cookie = None, new_value(), True

    def form(self) -> Mapping[str, str]:
        """The fields of the form that was sent; that it comes from a page of ours is checked first.

        Raises RequestError: 403 when it may not, 411 and 413 for its size, 400 when it is no form."""
        if self._form is None:
            self._form = self._read()
        return self._form

    def _read(self) -> dict[str, str]:
        body = read_form(MOST_OCTETS)
        if self.session is not None:
            # A form can take its time to come: what ended the session meanwhile counts.
            self.session = self.server.directory.web_sessions.holder(self.value, self.limits)
        reason = cross_site(request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin"), self._origins())
        if reason:
            raise RequestError(403, reason)
        # Pages of other sites can send three types of content unasked; the other two are nothing that we need.
        if request.mimetype != "application/x-www-form-urlencoded":
            raise RequestError(403, "This address takes forms of its own pages only.")
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError:
            raise RequestError(400, "The form cannot be read.") from None
        fields = dict(pairs)
        given = fields.pop("token", "")
        # A browser without our cookie has a value that it could not have known.
        if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self.token.encode()):
            raise RequestError(
                403, "The form is out of date, or cookies are switched off. Go back, reload the page and try again."
            )
        if len(fields) < len(pairs) - 1:
            raise RequestError(400, "The form names a field twice.")
        return fields

    def _origins(self) -> tuple[str, ...]:
        parts = urlsplit(self.base)
        # A browser says truly which host it asked; another site's page cannot make it say another.
        return (
            f"{parts.scheme}://{parts.netloc}".lower(),
            f"{request.scheme}://{request.environ.get('HTTP_HOST', '')}".lower(),
        )


def typed(authorization: str) -> Request:
    """The request for plugins that check a password: it brings this Authorization, as if the form had been that, and nothing else
    that the browser or a proxy sends along and could be taken for a proof."""
    environ = {name: request.environ[name] for name in _PLAIN if name in request.environ}
    return request_of(environ | {"QUERY_STRING": "", "HTTP_AUTHORIZATION": authorization})


def read_form(limit: int) -> bytes:
    """The body of the request, of at most ``limit`` octets. Raises RequestError 400, 411 or 413."""
    environ = request.environ
    length = announced_length(environ)
    if length is None:
        raise RequestError(411, "A form has a Content-Length.")
    if length > limit:
        drop(environ, length, limit)
        raise RequestError(413, f"This form has at most {limit} octets.")
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if len(body) < length:
        raise cut_short()
    return body


def cookie_name(secure: bool) -> str:
    """Of the session's cookie."""
    return "__Host-flaskmail" if secure else "flaskmail"


def here() -> str:
    """The path and query of the request, to come back to."""
    query = request.query_string.decode("ascii", "replace")
    return request.path + (f"?{query}" if query else "")


def sign_in_path(target: str, *, again: bool = False, hint: str = "") -> str:
    """The path of the page for signing in, which leads on to the path ``target``. again: also for whoever is signed in; hint: of
    the user name. Raises RequestError 414 for a target with which it would be longer than an address may be here."""
    first = ("again=1&" if again else "") + (f"hint={quote(hint, safe='')}&" if hint else "")
    path = f"/login?{first}next={quote(target, safe='/')}"
    now = visit()
    line = f"GET {now.prefix}{path} HTTP/1.1"
    if len(line) > now.server.settings.server.limit_request_line:
        raise RequestError(
            414, "This address is too long to come back to after signing in. Sign in first, then open it again."
        )
    return path


def visit() -> Visit:
    """The request's."""
    found: Visit = g.flaskmail_visit
    return found


def go(path: str) -> Response:
    """Sends the browser to a path of ours. RFC 9110 section 15.4.4: by GET, whatever it sent."""
    return leave_for(visit().prefix + path)


def leave_for(url: str) -> Response:
    """Sends the browser to any address; whether it may go there is decided already."""
    response = Response(b"", 303)
    response.headers["Location"] = url
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _arrive(server: Server, base: str) -> Visit:
    environ = request.environ
    secure = base.startswith("https:") or request.scheme == "https"
    value = request.cookies.get(cookie_name(secure), "")
    session, known = None, _VALUE.fullmatch(value) is not None
    if known:
        session = server.directory.web_sessions.holder(value, server.settings.authentication.session)
    policy: HttpPolicy | None = environ.get(POLICY)
    address = environ.get("REMOTE_ADDR") or "" if policy is None else policy.limited_address(environ)
    # A form of another site comes without the cookie (SameSite): that must not take the place of the one that there is.
    fresh = not known and request.method == "GET"
    found = Visit(server, base, secure, value if known else new_value(), session, address, set_cookie=fresh)
    if found.principal is not None:
        environ[accesslog.ACCOUNT] = found.principal.name
        if policy is not None:
            policy.spend_account(environ, found.principal)
    return found


def install(blueprint: Blueprint, server: Server) -> None:
    """Makes the Visit of each request, and tells the browser of its cookie."""

    def begin() -> None:
        # Also for the pages that say why there is no visit.
        g.flaskmail_base = base_url(server, request.environ, "")
        # Pages take the cookie alone.
        spend_unproven(request.environ)
        if request.endpoint != f"{blueprint.name}.asset":
            g.flaskmail_visit = _arrive(server, g.flaskmail_base)

    def end(response: Response) -> Response:
        found: Visit | None = g.get("flaskmail_visit")
        if found is not None and found.set_cookie:
            response.set_cookie(found.cookie, found.value, path="/", secure=found.secure, httponly=True, samesite="Lax")
        return response

    blueprint.before_request(begin)
    blueprint.after_request(end)
    blueprint.register_error_handler(Elsewhere, lambda error: go(error.path))


def lead(blueprint: Blueprint, path: str, to: str) -> None:
    """Leads whoever opens the address of a form to the page that has it: by the address bar, or after signing in anew when the
    session ended before the form was sent."""
    name = f"form-{path.strip('/').replace('/', '-')}"
    blueprint.add_url_rule(path, name, lambda: go(to), methods=["GET"], strict_slashes=False, merge_slashes=False)
