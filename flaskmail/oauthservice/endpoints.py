"""What machines ask of the authorization server: each endpoint from a request to the members of its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flaskmail.accounts.oauthtokens import Issued
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.scopes import ACCOUNT, MANAGEMENT
from flaskmail.errors import RequestError
from flaskmail.oauth import clients as parties
from flaskmail.oauth.clients import Client, check_grant_type, read_credentials
from flaskmail.oauth.errors import OAuthError, invalid_client, invalid_request
from flaskmail.oauth.idtoken import Person, about, id_token_claims
from flaskmail.oauth.keys import key_set, sign
from flaskmail.oauth.offer import DEVICE_PAGE
from flaskmail.oauth.parameters import Parameters, parse_parameters, required
from flaskmail.oauth.scope import OPENID, grantable, parse_scope, scope_text
from flaskmail.oauthservice.side import INSECURE, Side, is_usable

Members = dict[str, Any]
"""A JSON object."""

REGISTRATION = "oauth-client-create"
"""The permission of an account that registers clients at the endpoint."""


@dataclass(frozen=True, slots=True, repr=False)
class Incoming:
    """A form that was posted to an endpoint. form: form-urlencoded; authorization: the header, or None; address: the
    client's, "" when not known; issuer: the server's base URL, without a final slash."""

    form: bytes
    authorization: str | None
    address: str
    issuer: str


class Endpoints(Side):
    """The endpoints of RFC 6749, 7009, 7591, 7662, 8628 and OpenID Connect. All of them may raise OAuthError and StoreError."""

    def _enter(self, incoming: Incoming) -> tuple[Parameters, Client]:
        form = self._form(incoming)
        credentials = read_credentials(incoming.authorization, form)
        return form, self._get_directory().oauth_clients.authenticate(credentials, incoming.address)

    def _form(self, incoming: Incoming) -> Parameters:
        if not is_usable(incoming.issuer):
            raise invalid_request(INSECURE)
        return parse_parameters(incoming.form)

    def token(self, incoming: Incoming) -> Members:
        """The token endpoint (RFC 6749 section 3.2): tokens for a code, a refresh token or a device code."""
        form = self._form(incoming)
        grant_type = required(form, "grant_type")
        if grant_type not in self._offer().grant_types:
            # RFC 9700 section 2.4: no password grant.
            raise OAuthError("unsupported_grant_type", "This grant type is not supported.")
        credentials = read_credentials(incoming.authorization, form)
        directory, expiry = self._get_directory(), self._settings.expiry
        client = directory.oauth_clients.authenticate(credentials, incoming.address)
        check_grant_type(client, grant_type)
        if grant_type == parties.CODE:
            code = required(form, "code")
            issued = directory.oauth_tokens.redeem_code(
                code, client, form.get("redirect_uri"), form.get("code_verifier"), expiry
            )
        elif grant_type == parties.REFRESH:
            asked = parse_scope(form.get("scope"))
            issued = directory.oauth_tokens.refresh(required(form, "refresh_token"), client, asked, expiry)
        else:
            issued = directory.oauth_devices.redeem(required(form, "device_code"), client, expiry)
        return self._answer(issued, client, incoming.issuer)

    def _answer(self, issued: Issued, client: Client, issuer: str) -> Members:
        found: Members = {
            "access_token": issued.access,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": scope_text(issued.scopes),
        }
        if issued.refresh is not None:
            found["refresh_token"] = issued.refresh
        if OPENID in issued.scopes:
            found["id_token"] = self._id_token(issued, client, issuer)
        return found

    def _id_token(self, issued: Issued, client: Client, issuer: str) -> str:
        directory, oidc, approval = self._get_directory(), self._settings.oidc, issued.approval
        owner = directory.principals.secret_of(approval.principal)
        if owner is None:
            raise OAuthError("invalid_grant", "The account is gone.")
        claims = id_token_claims(
            _person(owner.principal),
            issued.scopes,
            issuer=issuer,
            client=client.id,
            now=int(self._clock()),
            seconds=oidc.expiry.id_token,
            authenticated=approval.authenticated,
            amr=approval.amr,
            access_token=issued.access,
            nonce=issued.nonce,
        )
        return sign(claims, directory.oauth_keys.signing(client.id_token_alg, oidc.expiry.key, oidc.expiry.id_token))

    def device(self, incoming: Incoming) -> Members:
        """The device authorization endpoint (RFC 8628 section 3.1)."""
        form, client = self._enter(incoming)
        check_grant_type(client, parties.DEVICE)
        scopes = grantable(parse_scope(form.get("scope")), self._offer().scopes, client.scopes, self._default())
        codes = self._get_directory().oauth_devices.begin(
            client, scopes, self._settings.expiry.user_code, incoming.address
        )
        page = incoming.issuer + DEVICE_PAGE
        return {
            "device_code": codes.device_code,
            "user_code": codes.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={codes.user_code}",
            "expires_in": codes.expires_in,
            "interval": codes.interval,
        }

    def revoke(self, incoming: Incoming) -> None:
        """The revocation endpoint (RFC 7009). A token that is unknown is no error."""
        form, client = self._enter(incoming)
        # token_type_hint is of no use: one look finds either kind.
        if not self._get_directory().oauth_tokens.revoke_token(required(form, "token"), client):
            # RFC 7009 section 2.1: the request is refused.
            raise OAuthError("unauthorized_client", "This token is another client's.")

    def introspect(self, incoming: Incoming) -> Members:
        """The introspection endpoint (RFC 7662), for clients that have a secret. One that registered itself learns of its own
        tokens only."""
        try:
            form, client = self._enter(incoming)
            if not client.confidential:
                # RFC 7662 section 2.1: MUST require some form of authorization.
                raise invalid_client("Only clients that have a secret may ask about tokens.")
        except OAuthError as error:
            if error.error != "invalid_client":
                raise
            # RFC 7662 section 2.3: 401, however it tried; no browser comes here.
            raise invalid_client(error.description, basic=True) from None
        state = self._get_directory().oauth_tokens.state(required(form, "token"))
        if state is None or (client.dynamic and state.client != client.id):
            return {"active": False}
        found: Members = {
            "active": True,
            "scope": scope_text(state.scopes),
            "client_id": state.client,
            "username": state.username,
            "exp": state.expires,
            "iat": state.issued,
            "sub": state.principal,
            "iss": incoming.issuer,
        }
        return found | ({"token_type": "Bearer"} if state.kind == "access_token" else {})

    def userinfo(self, principal: Principal) -> Members:
        """The userinfo endpoint (OpenID Connect Core section 5.3). principal: as the access token says.

        Raises RequestError 403 ``insufficient_scope`` (RFC 6750 section 3.1) for a token without the scope openid."""
        scopes = principal.grant.scopes
        if principal.grant.kind != "oauth" or scopes is None or OPENID not in scopes:
            raise RequestError(
                403,
                "This needs an access token with the scope openid.",
                headers={"WWW-Authenticate": 'Bearer realm="flaskmail", error="insufficient_scope", scope="openid"'},
            )
        return about(_person(principal), scopes)

    def keys(self) -> Members:
        """The document of ``jwks_uri``."""
        oidc = self._settings.oidc
        return key_set(
            self._get_directory().oauth_keys.public(self._offer().id_token_algs, oidc.expiry.key, oidc.expiry.id_token)
        )

    def register(self, body: bytes, issuer: str, may: Callable[[str], bool]) -> Mapping[str, Any]:
        """The registration endpoint (RFC 7591); the answer is a 201. body: JSON; may: whether whoever asks has a permission,
        asked only when the settings want one; it may raise RequestError 401."""
        # Authlib is imported when the first client registers itself.
        from flaskmail.oauth.registration import client_information, read_registration

        if not is_usable(issuer):
            raise invalid_request(INSECURE)
        if not self._settings.client_registration.anonymous and not may(REGISTRATION):
            raise OAuthError("access_denied", f"This needs the permission {REGISTRATION}.", status=403)
        offer = self._offer()
        # What changes accounts is not for those whom nobody here knows.
        allowed = tuple(one for one in offer.scopes if one not in (MANAGEMENT, ACCOUNT))
        wanted = read_registration(body, offer, allowed, self._settings.oidc.signature_algorithm)
        client, secret = self._get_directory().oauth_clients.add(wanted)
        return client_information(client, secret)


def _person(principal: Principal) -> Person:
    email = principal.name if principal.has_mail else None
    return Person(principal.id, principal.name, principal.description, email)
