"""The settings of HTTP: who clients are, what they are told about where the server is, headers, CORS, limits."""

from __future__ import annotations

from dataclasses import dataclass

from flaskmail.config import kinds
from flaskmail.config.declaring import setting
from flaskmail.config.kinds import Rate, Rules


@dataclass(frozen=True, slots=True)
class ServerHttpRateLimit:
    """How many requests are answered; more get the status 429 with Retry-After. All workers on one machine count together.
    Health checks, preflights and trusted proxies are never limited. Switch both off for load tests and conformance suites."""

    anonymous: Rate | None = setting(
        kinds.LIMIT,
        Rate(100, 60),
        "Requests without credentials from one client: an IPv4 address, or the /64 of an IPv6 address.",
    )
    account: Rate | None = setting(kinds.LIMIT, Rate(1000, 60), "Requests of one account, from wherever they come.")


@dataclass(frozen=True, slots=True)
class ServerHttp:
    """Who the clients are, what they are told about where the server is, and the headers that leave. docs/behind-a-proxy.md
    explains how these settings work together."""

    url: Rules | None = setting(
        kinds.optional(kinds.EXPRESSION),
        None,
        "The base URL under which clients reach the server, as it stands or as an expression: every URL in the session object "
        "starts with it, and redirects lead there. Unset: the protocol, the name lookup.default.hostname and the port, as the "
        "client uses them. The Host header is never used.",
        example='"https://mail.example.org"',
    )
    headers: tuple[str, ...] = setting(
        kinds.TEXTS,
        (),
        'Header fields for every response, each as "Name: value". They replace what the server would send itself.',
        example='["Server: mail", "X-Frame-Options: DENY"]',
    )
    use_x_forwarded: bool = setting(
        kinds.BOOLEAN,
        False,
        "Take the client's address and protocol from the headers of trusted proxies. Off: such headers are deleted unread.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        kinds.TEXTS,
        ("private",),
        "Peers that are believed: networks, addresses, or the names loopback (127.0.0.0/8, ::1), private (loopback, "
        "RFC 1918, RFC 4193 and link-local networks, Unix sockets) and unix (Unix sockets).",
        example='["10.1.2.0/24", "unix"]',
    )
    forwarded_header: str = setting(
        kinds.choice("x-forwarded", "forwarded", "auto"),
        "x-forwarded",
        "What the proxy writes: the X-Forwarded-* headers, or Forwarded (RFC 7239). auto reads both, and refuses requests in "
        "which they contradict each other.",
    )
    forwarded_fields: tuple[str, ...] = setting(
        kinds.choices("for", "proto", "host"),
        ("for", "proto"),
        "What is believed: the client's address, its protocol, the host that it asked for. Name host only when the proxy "
        "sets or removes it.",
    )
    hsts: bool | tuple[tuple[str, object], ...] = setting(
        kinds.FLAG_OR_TABLE,
        False,
        "Strict-Transport-Security on responses that are secure as the client sees them: true for a year, or a table with "
        "max-age (seconds), include-subdomains and preload.",
        example="{ max-age = 63072000, include-subdomains = true }",
    )
    https_redirect: bool | None = setting(
        kinds.optional(kinds.BOOLEAN),
        None,
        "Send clients that come over plain HTTP to the https address (308), and refuse credentials that they bring. Unset: "
        "when hsts is on. Health checks and ACME challenges stay.",
        example="true",
    )
    permissive_cors: bool = setting(
        kinds.BOOLEAN, False, "Let the pages of every origin read responses. Never with the browser's credentials."
    )
    cors_origins: tuple[str, ...] = setting(
        kinds.TEXTS,
        (),
        "Let the pages of these origins read responses. One star may stand for the first label.",
        example='["https://webmail.example.org", "https://*.example.com"]',
    )
    cors_exclude: tuple[str, ...] = setting(
        kinds.TEXTS,
        ("/login", "/logout", "/authorize", "/consent", "/device", "/account"),
        "Paths that no page of another origin may ever read, with all below them.",
    )
    allowed_endpoint: Rules = setting(
        kinds.STATUS,
        "200",
        "A status, or an expression that gives one for a request: 200 lets it pass, any other from 400 to 599 is the answer. "
        "An expression that fails closes with 403. Requests of this machine's own always pass.",
        example="\"if_then(starts_with(url_path, '/api') && !is_tls, 404, 200)\"",
    )
    rate_limit: ServerHttpRateLimit = ServerHttpRateLimit()
