"""What is published for people, programs and other servers: security.txt, where to change a password, MTA-STS, mail settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from flaskmail.accounts.domains import local_domain
from flaskmail.accounts.faults import BadName, UnknownName
from flaskmail.config.publishing import policy_hosts
from flaskmail.errors import RequestError
from flaskmail.formats import wellknown
from flaskmail.server import Server
from flaskmail.sockets import takes_passwords
from flaskmail.web.admission import Environ, base_url
from flaskmail.web.offered import has_route, metadata
from flaskmail.web.publishing import publish, published
from flaskmail.web.ranges import query_value

if TYPE_CHECKING:
    from flaskmail.formats import autoconfig

SECURITY = "/.well-known/security.txt"
CHANGE_PASSWORD = "/.well-known/change-password"
MTA_STS = "/.well-known/mta-sts.txt"
ROBOTS = "/robots.txt"
AUTOCONFIG = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")

PASSWORD_PAGE = "/account/password"

TEXT = "text/plain; charset=utf-8"
_NOTHING = "There is nothing at this address."


def add(blueprint: Blueprint, server: Server, jmap_prefix: str) -> None:
    """Adds the routes. jmap_prefix: where the blueprint ``jmap`` is, without a final slash."""

    def security() -> Response:
        section = server.settings.discovery.security_txt
        if not section.contact:
            raise RequestError(404, _NOTHING)
        body = wellknown.security_txt(
            section.contact,
            now=datetime.now(UTC),
            expires=section.expires,
            canonical=_canonical(server, SECURITY),
            policy=section.policy,
            acknowledgments=section.acknowledgments,
            encryption=section.encryption,
            hiring=section.hiring,
            languages=section.preferred_languages,
        )
        return published(body, TEXT)

    def mta_sts() -> Response:
        section = server.settings.session.mta_sts
        if section.mode is None:
            raise RequestError(404, _NOTHING)
        # RFC 8461 section 3.3: no cache is to be used by those who fetch it; ten minutes spare the others.
        hosts = policy_hosts(section, server.settings.dns)
        return published(wellknown.mta_sts(section.mode, section.max_age, hosts), TEXT, seconds=600)

    def change_password() -> Response:
        if not has_route(PASSWORD_PAGE):
            raise RequestError(404, _NOTHING)
        # "A Well-Known URL for Changing Passwords" (W3C): a redirect with 302, 303 or 307.
        location = base_url(server, request.environ, "") + PASSWORD_PAGE
        return Response(b"", 303, {"Location": location, "Cache-Control": "no-cache"})

    def mail_settings() -> Response:
        section = server.settings.discovery.autoconfig
        if not section.enable:
            raise RequestError(404, _NOTHING)
        # It takes an XML library, which most processes never need.
        from flaskmail.formats import autoconfig

        domain = _asked_domain(server, request.environ)
        servers: list[autoconfig.Jmap | autoconfig.Socket] = []
        base = base_url(server, request.environ, "")
        oauth = _oauth(server, base)
        methods = _methods(server, oauth, request.environ)
        servers.append(autoconfig.Jmap(f"{base}{jmap_prefix}/jmap/session", methods))
        for kind in ("imap", "pop3", "smtp"):
            other = getattr(section, kind)
            if other.hostname is not None:
                servers.append(autoconfig.Socket(kind, other.hostname, other.port, other.tls == "starttls"))
        place = oauth if "OAuth2" in methods else None
        body = autoconfig.document(domain, section.display_name or domain, servers, place)
        return published(body, "text/xml; charset=utf-8")

    publish(blueprint, SECURITY, security)
    publish(blueprint, CHANGE_PASSWORD, change_password)
    publish(blueprint, MTA_STS, mta_sts)
    for path in AUTOCONFIG:
        publish(blueprint, path, mail_settings)


def add_robots(blueprint: Blueprint) -> None:
    """Adds the route of what search engines read."""
    publish(blueprint, ROBOTS, lambda: published(wellknown.ROBOTS, TEXT, seconds=86400))


def _canonical(server: Server, path: str) -> str:
    base = base_url(server, request.environ, "")
    # RFC 9116 section 2.5.2: a web address there begins with https.
    return base + path if base.startswith("https://") else ""


def _asked_domain(server: Server, environ: Environ) -> str:
    """The domain of the address that the program was given; without one, the only domain of this server, or its own name. Raises
    RequestError 404 for a domain that is not ours."""
    address = query_value(environ.get("QUERY_STRING") or "", "emailaddress")
    if not address:
        domains, total = server.directory.domains.page(limit=1)
        if total == 1:
            return domains[0].name
        host = base_url(server, environ, "").partition("://")[2].partition("/")[0]
        return host if host.startswith("[") else host.partition(":")[0]
    try:
        return server.directory.domains.get(local_domain(address.rpartition("@")[2])).name
    except (BadName, UnknownName):
        raise RequestError(404, "This server has no mail for that address.") from None


def _oauth(server: Server, base: str) -> autoconfig.OAuth | None:
    """Where a mail program signs in, if one that nobody has registered can."""
    found = metadata(server, "oauth-authorization-server", base)
    if found is None or "authorization_endpoint" not in found:
        return None
    from flaskmail.formats import autoconfig

    scopes = [one for one in found["scopes_supported"] if one.startswith("urn:ietf:params:jmap:")]
    scopes += ["offline_access"] if "offline_access" in found["scopes_supported"] else []
    return autoconfig.OAuth(found["issuer"], found["authorization_endpoint"], found["token_endpoint"], " ".join(scopes))


def _methods(server: Server, oauth: autoconfig.OAuth | None, environ: Environ) -> tuple[str, ...]:
    basic = server.settings.authentication.basic and takes_passwords(environ)
    # A program whose makers are not known here has to register itself first.
    registration = server.settings.oauth.client_registration
    usable = oauth is not None and ((registration.enable and registration.anonymous) or not basic)
    return (*(("OAuth2",) if usable else ()), *(("Basic",) if basic else ()))
