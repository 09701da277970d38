"""The authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2) and the responses to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from flaskmail.oauth import pkce, redirects, scope
from flaskmail.oauth.clients import CODE, Client
from flaskmail.oauth.errors import OAuthError, invalid_request
from flaskmail.oauth.parameters import Parameters, separate_parameters

PROMPTS = ("none", "login", "consent", "select_account")
"""What ``prompt`` may be (OpenID Connect Core section 3.1.2.1)."""
MAX_ECHO = 2048
"""Characters of ``state`` and ``nonce`` at most."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be put before the user.

    client: who asks; redirect_uri: where the answer goes, registered; redirect_given: whether the request named it; scopes: what
    can be granted of what was asked for; challenge: of PKCE; state, nonce: as sent, or None; prompt, max_age (seconds),
    login_hint, subject (who alone it may be, of ``id_token_hint``; None for anybody): what OpenID Connect asks of the sign-in;
    issuer: of the server, as the client reached it; query: the request itself, form-urlencoded, to carry it through pages."""

    client: Client
    redirect_uri: str
    redirect_given: bool
    scopes: tuple[str, ...]
    challenge: str
    state: str | None
    nonce: str | None
    prompt: frozenset[str]
    max_age: int | None
    login_hint: str
    subject: str | None
    issuer: str
    query: str

    def answer(self, **parameters: str) -> str:
        """The URL of a response: the redirection URI with these parameters, ``state`` and ``iss``."""
        return respond(self.redirect_uri, self.state, self.issuer, parameters)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is answered with a page of our own, never with a redirect: nobody knows whether its redirection URI is the
    client's. error: the standard's code; description: a sentence for people; status: of the page."""

    error: str
    description: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class RedirectError:
    """A request that is refused by a redirect to the client. url: for ``Location`` (303); error, description: what it says;
    silent: whether it goes there unseen, ``prompt`` being none; else only a browser in which somebody is signed in is sent."""

    url: str
    error: str
    description: str
    silent: bool = False


Step = Literal["login", "consent", "approve"]
"""What comes next: the user signs in (again), is asked, or has agreed before."""


def respond(uri: str, state: str | None, issuer: str, parameters: dict[str, str]) -> str:
    """The URL of an authorization response (RFC 6749 sections 4.1.2 and 4.1.2.1)."""
    # RFC 9207 section 2: iss in every response, errors included.
    return redirects.with_parameters(uri, parameters | ({} if state is None else {"state": state}) | {"iss": issuer})


def read_request(
    query: bytes,
    issuer: str,
    find: Callable[[str], Client | None],
    supported: Collection[str],
    default: Iterable[str],
    about: Callable[[str], str | None] = lambda token: None,
) -> AuthorizationRequest | Refused | RedirectError:
    """What an authorization request asks for. query: form-urlencoded, of the URL or a form's; find: the client of an id;
    supported: the scopes that exist; default: those meant when the request names none; about: the ``sub`` of an ID token of
    this server's, None for any other text."""
    try:
        parameters, wrong = separate_parameters(query)
    except OAuthError as error:
        return Refused(error.error, error.description)
    for name in ("client_id", "redirect_uri"):
        if name in wrong:
            return Refused(wrong[name].error, wrong[name].description)
    found = _target(parameters, find)
    if isinstance(found, Refused):
        return found
    client, uri = found
    state = parameters.get("state")
    try:
        if wrong:
            # RFC 6749 section 4.1.2.1: a repeated parameter is an error that the client is told.
            raise next(iter(wrong.values()))
        return _request(parameters, client, uri, issuer, query, supported, default, about)
    except OAuthError as error:
        kept = None if state is None or len(state) > MAX_ECHO else state
        url = respond(uri, kept, issuer, error.wire())
        return RedirectError(url, error.error, error.description, "none" in parameters.get("prompt", "").split(" "))


def _target(parameters: Parameters, find: Callable[[str], Client | None]) -> tuple[Client, str] | Refused:
    id = parameters.get("client_id")
    if id is None:
        return Refused("invalid_request", "The application did not say which one it is (client_id is missing).")
    client = find(id)
    if client is None:
        # RFC 6749 section 4.1.2.1: MUST NOT redirect the user-agent.
        return Refused("invalid_client", "This application is not registered here.")
    uri = parameters.get("redirect_uri")
    if uri is None:
        # RFC 6749 section 3.1.2.3: it may be left out when only one is registered.
        if len(client.redirect_uris) != 1:
            return Refused(
                "invalid_request", "The application did not say where to return to (redirect_uri is missing)."
            )
        return client, client.redirect_uris[0]
    if not redirects.is_registered(uri, client.redirect_uris, client.native):
        return Refused(
            "invalid_request", "The application wants to return to an address that is not registered for it."
        )
    return client, uri


def _request(
    parameters: Parameters,
    client: Client,
    uri: str,
    issuer: str,
    query: bytes,
    supported: Collection[str],
    default: Iterable[str],
    about: Callable[[str], str | None],
) -> AuthorizationRequest:
    # OpenID Connect Core section 3.1.2.6 names these three.
    for name in ("request", "request_uri", "registration"):
        if name in parameters:
            raise OAuthError(f"{name}_not_supported", f"The parameter {name} is not supported.")
    kind = parameters.get("response_type")
    if kind is None:
        raise invalid_request("The parameter response_type is missing.")
    if kind != "code":
        # RFC 9700 section 2.1.2: no implicit grant.
        raise OAuthError("unsupported_response_type", "The only response_type is code.")
    if CODE not in client.grant_types:
        raise OAuthError("unauthorized_client", "This client is not registered for the authorization code grant.")
    if parameters.get("response_mode", "query") != "query":
        raise invalid_request("The only response_mode is query.")
    for name in ("state", "nonce"):
        if len(parameters.get(name, "")) > MAX_ECHO:
            raise invalid_request(f"The parameter {name} is longer than {MAX_ECHO} characters.")
    challenge = pkce.read_challenge(parameters)
    scopes = scope.grantable(scope.parse_scope(parameters.get("scope")), supported, client.scopes, default)
    return AuthorizationRequest(
        client=client,
        redirect_uri=uri,
        redirect_given="redirect_uri" in parameters,
        scopes=scopes,
        challenge=challenge,
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        prompt=_prompt(parameters),
        max_age=_max_age(parameters),
        login_hint=parameters.get("login_hint", "")[:320],
        subject=_subject(parameters, about),
        issuer=issuer,
        query=query.decode("ascii"),
    )


def _prompt(parameters: Parameters) -> frozenset[str]:
    words = frozenset(parameters.get("prompt", "").split(" ")) - {""}
    if not words <= set(PROMPTS):
        raise invalid_request("The parameter prompt holds an unknown word.")
    # OpenID Connect Core section 3.1.2.1: none stands alone.
    if "none" in words and len(words) > 1:
        raise invalid_request("The prompt none stands alone.")
    return words


def _max_age(parameters: Parameters) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise invalid_request("The parameter max_age is not a number of seconds.")
    return int(text)


def _subject(parameters: Parameters, about: Callable[[str], str | None]) -> str | None:
    token = parameters.get("id_token_hint")
    if token is None:
        return None
    subject = about(token)
    if subject is None:
        raise invalid_request("The id_token_hint is not an ID token of this server.")
    return subject


def next_step(
    request: AuthorizationRequest,
    *,
    subject: str | None,
    authenticated: int | None,
    since: int,
    now: int,
    agreed: bool,
) -> Step | RedirectError:
    """What comes next (OpenID Connect Core section 3.1.2.3).

    subject: the id of who is signed in, authenticated: when he gave a credential last, both None when nobody is; since: when this
    request came in first (what ``prompt=login`` asks for has to happen after it); agreed: whether the user has allowed this
    client all of it before. Times are seconds since 1970."""
    if authenticated is not None and request.subject not in (None, subject):
        # OpenID Connect Core section 3.1.2.2: MUST NOT reply with a token for a different user.
        return _refusal(request, "login_required", "Somebody else is signed in.")
    fresh = authenticated is not None and authenticated >= since
    login = authenticated is None
    if authenticated is not None and not fresh:
        login = bool(request.prompt & {"login", "select_account"})
        login = login or (request.max_age is not None and now - authenticated > request.max_age)
    if login:
        return _without_pages(request, "login_required", "The user has to sign in.") or "login"
    # A public client can be impersonated (RFC 8252 section 8.6), and OpenID Connect Core section 11 wants consent for
    # offline access: only what a secret protects is passed on unasked.
    remembered = agreed and request.client.confidential and "consent" not in request.prompt
    if remembered and scope.OFFLINE not in request.scopes:
        return "approve"
    return _without_pages(request, "consent_required", "The user has to be asked.") or "consent"


def _without_pages(request: AuthorizationRequest, error: str, description: str) -> RedirectError | None:
    if "none" not in request.prompt:
        return None
    return _refusal(request, error, description)


def _refusal(request: AuthorizationRequest, error: str, description: str) -> RedirectError:
    url = request.answer(error=error, error_description=description)
    return RedirectError(url, error, description)
