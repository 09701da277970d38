"""What the pages for people ask of the authorization server: an application wants something, its user says yes or no."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from flaskmail.accounts.oauthdevices import WaitingDevice
from flaskmail.accounts.oauthtokens import Approval, OAuthGrant
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.scopes import SCOPES
from flaskmail.errors import RequestError
from flaskmail.oauth.authorization import AuthorizationRequest, RedirectError, Refused, Step, next_step, read_request
from flaskmail.oauth.clients import Client
from flaskmail.oauth.keys import verified
from flaskmail.oauthservice.side import INSECURE, Side, is_usable

_SENTENCES = {
    "urn:ietf:params:jmap:core": "Use your account with JMAP.",
    "urn:ietf:params:jmap:mail": "Read, change and delete your mail.",
    "urn:ietf:params:jmap:submission": "Send mail in your name.",
    "urn:ietf:params:jmap:vacationresponse": "See and change your automatic replies.",
    "urn:ietf:params:jmap:contacts": "Read, change and delete your contacts.",
    "urn:ietf:params:jmap:calendars": "Read, change and delete your calendars.",
}

# What the owner did to be let in. A token or an app password was given to a program, and a program does not let in others.
_IN_PERSON = frozenset({"session", "password", "local", "plugin"})


@dataclass(frozen=True, slots=True)
class Device:
    """A device that waits for its user's answer. user_code: as it shows it; client: what runs on it; scopes: what it asks for;
    created, expires: seconds since 1970; address: from where it asked, "" when not known."""

    user_code: str = field(repr=False)
    client: Client
    scopes: tuple[str, ...]
    expires: float
    created: float = 0.0
    address: str = ""

    @property
    def waiting(self) -> WaitingDevice:
        """As it is stored."""
        return WaitingDevice(self.user_code, self.client.id, self.scopes, self.expires)


class People(Side):
    """The side of the authorization server that people see."""

    # ---- /authorize
    def authorization_request(self, query: bytes, issuer: str) -> AuthorizationRequest | Refused | RedirectError:
        """What stands in a request to ``/authorize``. query: of the URL, or the body of a form; issuer: the server's base
        URL, without a final slash.

        Refused: show it on a page with its status, and never redirect. RedirectError: answer 303 to its ``url``, when somebody is
        signed in or it is ``silent``; else let him sign in first."""
        if not is_usable(issuer):
            return Refused("invalid_request", INSECURE)
        find = self._get_directory().oauth_clients.find
        return read_request(
            query, issuer, find, self._offer().scopes, self._default(), lambda token: self._about(token, issuer)
        )

    def _about(self, token: str, issuer: str) -> str | None:
        oidc = self._settings.oidc
        keys = self._get_directory().oauth_keys.public(
            self._offer().id_token_algs, oidc.expiry.key, oidc.expiry.id_token
        )
        # OpenID Connect Core section 3.1.2.1: issued here, whatever its aud; it may be over.
        claims = verified(token, keys) or {}
        return claims.get("sub") if claims.get("iss") == issuer else None

    def next_step(self, request: AuthorizationRequest, principal: Principal | None, since: int) -> Step | RedirectError:
        """What comes next for a request. principal: who is signed in, with the grant of the browser's session, or None;
        since: when the request came in first, in seconds since 1970, so that a sign-in that it asks for happens once.

        "login": sign in, then ask again; "consent": show the scopes, then ``approve`` or ``deny``; "approve": the user agreed
        before, so ``approve`` at once; RedirectError: answer 303 to its ``url``."""
        agreed = principal is not None and self._agreed(request, principal)
        step = next_step(
            request,
            subject=None if principal is None else principal.id,
            authenticated=None if principal is None else principal.grant.authenticated,
            since=since,
            now=int(self._clock()),
            agreed=agreed,
        )
        if step in ("consent", "approve") and principal is not None and not self._may_allow(principal):
            # RFC 6749 section 4.1.2.1: the server denies it, whatever its owner would say.
            description = "This account may not let applications in."
            return RedirectError(
                request.answer(error="access_denied", error_description=description), "access_denied", description
            )
        return step

    def _may_allow(self, principal: Principal) -> bool:
        return self._get_directory().authority.access_of(principal).may("authenticate-oauth")

    def _agreed(self, request: AuthorizationRequest, principal: Principal) -> bool:
        grants = self._get_directory().oauth_tokens.grants(principal.id, request.client.id)
        return any(set(request.scopes) <= set(grant.scopes) for grant in grants)

    def approve(
        self,
        request: AuthorizationRequest,
        principal: Principal,
        scopes: Collection[str] | None = None,
        amr: Sequence[str] | None = None,
    ) -> str:
        """Records that the user allows it; the URL for a 303, with the code. scopes: those of the request that the user
        chose, None for all; amr: how the user signed in (RFC 8176), None to go by the principal's grant.

        Without any scope it is ``deny``. RequestError 403 when this principal cannot let applications in; UnknownName when
        the account was closed meanwhile."""
        chosen = self._chosen(request.scopes, scopes)
        if not chosen:
            return self.deny(request)
        approval = self._approval(principal, request.client, chosen, amr)
        code = self._get_directory().oauth_tokens.add_code(
            approval,
            redirect_uri=request.redirect_uri if request.redirect_given else None,
            challenge=request.challenge,
            nonce=request.nonce,
            seconds=self._settings.expiry.auth_code,
        )
        return request.answer(code=code)

    def deny(self, request: AuthorizationRequest) -> str:
        """The URL for a 303 when the user says no."""
        return request.answer(error="access_denied", error_description="The user refused.")

    # ---- /device
    def device_request(self, user_code: str) -> Device | None:
        """The device that shows this code, as somebody typed it; None when none waits with it. Count tries with
        ``Directory.sign_in.guess`` first: codes are short."""
        directory = self._get_directory()
        found = directory.oauth_devices.find(user_code)
        client = None if found is None else directory.oauth_clients.find(found.client)
        if found is None or client is None:
            return None
        return Device(found.user_code, client, found.scopes, found.expires, found.created, found.address)

    def approve_device(
        self,
        device: Device,
        principal: Principal,
        scopes: Collection[str] | None = None,
        amr: Sequence[str] | None = None,
    ) -> bool:
        """Records that the user lets the device in; False when it was too late. The arguments and errors are those of
        ``approve``."""
        chosen = self._chosen(device.scopes, scopes)
        if not chosen:
            return self.deny_device(device)
        approval = self._approval(principal, device.client, chosen, amr)
        return self._get_directory().oauth_devices.answer(device.waiting, approval)

    def deny_device(self, device: Device) -> bool:
        """Records that the user refuses; False when it was too late."""
        return self._get_directory().oauth_devices.answer(device.waiting, None)

    # ---- /account
    def grants_of(self, principal: Principal) -> list[OAuthGrant]:
        """What the principal allows applications now, the last used first."""
        return self._get_directory().oauth_tokens.grants(principal.id)

    def revoke(self, grant_id: str, principal: Principal | None = None) -> OAuthGrant:
        """Ends what somebody allowed an application, in every process at once. principal: whose it has to be, None for anybody's.
        Raises UnknownName."""
        return self._get_directory().oauth_tokens.revoke(grant_id, None if principal is None else principal.id)

    def sentences(self, scopes: Collection[str]) -> list[tuple[str, str]]:
        """(scope, what it allows, as a sentence for its user) of each."""
        return [(one, SCOPES.get(one) or _SENTENCES.get(one) or f"Use {one}.") for one in scopes]

    # ----
    def _chosen(self, asked: tuple[str, ...], chosen: Collection[str] | None) -> tuple[str, ...]:
        return asked if chosen is None else tuple(one for one in asked if one in chosen)

    def _approval(
        self, principal: Principal, client: Client, scopes: tuple[str, ...], amr: Sequence[str] | None
    ) -> Approval:
        grant = principal.grant
        if grant.kind not in _IN_PERSON or grant.scopes is not None:
            raise RequestError(403, "Only who signed in in person can let applications in.")
        if not self._may_allow(principal):
            raise RequestError(
                403, "This account may not let applications in.", extra={"permission": "authenticate-oauth"}
            )
        if amr is None:
            # RFC 8176 section 2.
            amr = ("pwd", "otp", "mfa") if grant.second_factor else ("pwd",)
        return Approval(principal.id, client.id, scopes, grant.authenticated, tuple(amr))
