"""The doctor's examination: from the first connection to forged headers, each step only when the one before makes sense."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urljoin

from flaskmail.config.settings import ServerHttp
from flaskmail.decisions.addresses import LOOPBACK, read_peer
from flaskmail.doctor.asking import Reply, Sight, Target, ask, look, read_target
from flaskmail.doctor.findings import CERTIFICATE, PAGE, UNREACHABLE, UNTRUSTED, Finding, recipe
from flaskmail.doctor.key import Key

DISCOVERY = "/.well-known/jmap"
MOST_REDIRECTS = 5
SOON = 14 * 86400
"""Seconds before its end at which a certificate should have been renewed."""
FORGED_ADDRESS, FORGED_HOST = "192.0.2.66", "forged.invalid"
"""RFC 5737 and RFC 2606: nobody's."""


def examine(target: Target, http: ServerHttp, key: Key) -> Iterator[Finding]:
    """What is found at a public base URL of a server with these settings; key: lies in its data folder."""
    reply = ask(target, DISCOVERY)
    verify = reply.failure != "certificate"
    if not verify:
        code, fix = CERTIFICATE.get(reply.code, UNTRUSTED)
        seen = f"The certificate of {target.url} is refused: {reply.detail.rstrip('.')}."
        yield Finding(code, "wrong", seen, "Clients do not connect, or teach people to click warnings away.", fix)
        reply = ask(target, DISCOVERY, verify=False)
    if reply.failure:
        said, fix = UNREACHABLE[reply.failure]
        why = "No client comes further."
        yield Finding(f"unreachable-{reply.failure}", "wrong", f"{said}: {target.url} ({reply.detail}).", why, fix)
        return
    yield from _certificate(target, reply)
    target, reply, found = _follow(target, reply, http, verify)
    yield from found
    if any(one.level == "wrong" for one in found):
        return
    discovery = _discovery(target, reply)
    yield discovery
    if discovery.level == "wrong":
        return
    if target.scheme == "http" and not _is_here(target.host):
        seen, why = f"Clients come to {target.url} without TLS.", "Passwords and mail can be read on the way."
        yield Finding(
            "plain-http", "note", seen, why, "Let the proxy or the server speak TLS, and set server.http.hsts = true."
        )
    answer, sight = look(target, key, verify=verify)
    if sight is None:
        yield _strange(target, answer)
        return
    yield from _compare(target, http, sight)
    yield from _forge(target, http, key, sight, verify)


def _certificate(target: Target, reply: Reply) -> Iterator[Finding]:
    if reply.expires is None:
        return
    end = datetime.fromtimestamp(reply.expires, UTC).strftime("%Y-%m-%d")
    if reply.expires - time.time() < SOON:
        seen = f"The certificate of {target.host} ends on {end}."
        fix = "Renew it now, and see why that did not happen by itself."
        yield Finding("certificate-ends-soon", "note", seen, "From then on no client connects.", fix)
    else:
        yield Finding("certificate", "right", f"The certificate is for {target.host}, and holds until {end}.")


def _follow(target: Target, reply: Reply, http: ServerHttp, verify: bool) -> tuple[Target, Reply, list[Finding]]:
    """Follows redirects; the target to which they lead, and its answer."""
    seen, found = [target.url + DISCOVERY], list[Finding]()
    while reply.status in (301, 302, 303, 307, 308):
        location = urljoin(seen[-1], reply.headers.get("location", ""))
        if location in seen or len(seen) > MOST_REDIRECTS:
            text = f"{seen[-1]} redirects to {location}, where the client has been before."
            why = "Clients go in circles and give up. Mostly the proxy speaks https with clients and http with the server, which "
            why += "does not know of it and sends them to https again."
            found.append(Finding("redirect-loop", "wrong", text, why, _believe(http)))
            return target, reply, found
        try:
            target = replace(read_target(location.removesuffix(DISCOVERY)), connect=target.connect)
        except ValueError:
            text = f"{seen[-1]} redirects to {location!r}."
            found.append(Finding("redirect-astray", "wrong", text, "No client can go there.", _SOMEBODY_ELSE))
            return target, reply, found
        if not location.endswith(DISCOVERY):
            text = f"{seen[-1]} redirects to {location}, which is not {DISCOVERY}."
            why = "Clients find no mail server there."
            found.append(Finding("redirect-astray", "wrong", text, why, _SOMEBODY_ELSE))
            return target, reply, found
        if target.connect is not None:
            # --connect stands for one port; where the redirect leads is another.
            target = replace(target, connect=(target.connect[0], target.port))
        found.append(Finding("redirect", "note", f"{seen[-1]} redirects to {location}."))
        seen.append(location)
        reply = ask(target, DISCOVERY, verify=verify)
        if reply.failure:
            text = f"{location}, to which {seen[-2]} redirects, cannot be reached: {reply.detail}."
            fix = f"Set server.http.url to the address that clients use. {UNREACHABLE.get(reply.failure, ('', ''))[1]}".strip()
            found.append(Finding("redirect-unreachable", "wrong", text, "Clients end there.", fix))
            return target, reply, found
    return target, reply, found


_SOMEBODY_ELSE = "See whether the name leads to this machine, and whether the proxy passes every path on unchanged."


def _discovery(target: Target, reply: Reply) -> Finding:
    where = target.url + DISCOVERY
    if reply.status in (200, 401):
        return Finding("reachable", "right", f"{where} answers.")
    seen = f"{where} answers {reply.status}."
    if reply.status in (502, 503, 504):
        why = "The proxy answers, but does not reach the server."
        fix = "Compare the address in the proxy's configuration with server.bind; for a Unix socket, see whether the user of the "
        fix += "proxy may open it (it is for its owner and group)."
        return Finding("server-unreachable", "wrong", seen, why, fix)
    if reply.status == 404:
        return Finding("not-here", "wrong", seen, "Clients find no mail server.", _SOMEBODY_ELSE)
    detail = " ".join(reply.body[:200].decode("utf-8", "replace").split())
    why = "A client would get a session (200) or be asked for credentials (401)."
    fix = "See the logs of the proxy and the server."
    if reply.status == 403:
        fix = f"See server.http.allowed-endpoint. {fix}"
    if reply.status == 400 and target.scheme == "http":
        fix = f"If this port speaks TLS, ask with https. {fix}"
    return Finding("refused", "wrong", f"{seen} It says: {detail}", why, fix)


def _is_here(host: str) -> bool:
    ip = read_peer(host)
    return host == "localhost" or (ip is not None and ip in LOOPBACK)


def _strange(target: Target, reply: Reply) -> Finding:
    seen = f"What answers at {target.url} does not prove to be this server ({reply.status or reply.detail})."
    why = "So nothing can be said about how it sees its clients. Another server may answer there, or this one runs with another "
    why += "data folder, or something on the way drops the header Flaskmail-Doctor."
    fix = "Run the doctor on the machine of the server, as its user or as root, with the same FLASKMAIL_CONFIG and "
    fix += "FLASKMAIL_DATA; and restart the server when it is older than this command."
    return Finding("not-this-server", "wrong", seen, why, fix)


def _believe(http: ServerHttp) -> str:
    """What to set so that the server learns of the client's protocol, where it is not known whether the proxy is trusted."""
    if not http.use_x_forwarded:
        return (
            f"Set server.http.use-x-forwarded = true and name the proxy in server.http.trusted-proxies. {_tell(http)}"
        )
    return f"Name the proxy in server.http.trusted-proxies. {_tell(http)}"


def _tell(http: ServerHttp) -> str:
    """What a proxy that is trusted has to write so that the server learns of the client's protocol."""
    if http.use_x_forwarded and http.forwarded_header == "forwarded":
        return (
            f'Let the proxy write Forwarded with proto, or set server.http.forwarded-header = "x-forwarded" ({PAGE}).'
        )
    return recipe("X-Forwarded-Proto")


def _compare(target: Target, http: ServerHttp, sight: Sight) -> Iterator[Finding]:
    peer = sight.peer or "a Unix socket"
    trusted_name = f'"{sight.peer}"' if sight.peer else '"unix"'
    if sight.direct:
        seen = f"The server itself answers, to {sight.peer}: no proxy stands between."
        yield Finding("direct", "right", seen)
    scheme_is_right = sight.scheme == target.scheme
    if not scheme_is_right:
        seen = (
            f"Asked over {target.scheme}, the server takes the request for one over {sight.scheme}. It came from {peer}"
        )
        seen += f", with {', '.join(sight.arrived)}." if sight.arrived else ", and no header said what the client used."
        why = "HSTS is sent or left out wrongly, and redirects to https go in circles."
        if read_target(sight.base_url).scheme != target.scheme:
            why = f"Its URLs say {sight.scheme}, {why}"
        if http.use_x_forwarded and not sight.trusted:
            code, fix = "proxy-not-trusted", f"Add {trusted_name} to server.http.trusted-proxies."
        elif http.use_x_forwarded:
            code, fix = "protocol-lost", _tell(http)
            if (
                http.forwarded_header == "x-forwarded"
                and "Forwarded" in sight.arrived
                and "X-Forwarded-Proto" not in sight.arrived
            ):
                fix = f'The proxy writes Forwarded: set server.http.forwarded-header = "forwarded". Or: {fix}'
            if "proto" not in http.forwarded_fields:
                fix = 'Add "proto" to server.http.forwarded-fields.'
        else:
            code, fix = (
                "proxy-not-trusted",
                f"Set server.http.use-x-forwarded = true and server.http.trusted-proxies = [{trusted_name}].",
            )
            if "X-Forwarded-Proto" not in sight.arrived:
                fix += f" {recipe('X-Forwarded-Proto')}"
        yield Finding(code, "wrong", seen, why, fix)
    yield from _url(target, sight, scheme_is_right)
    # With the wrong scheme it has been said already that the proxy is not trusted.
    if scheme_is_right or sight.trusted:
        yield from _address(http, sight, peer, trusted_name)


def _url(target: Target, sight: Sight, scheme_is_right: bool) -> Iterator[Finding]:
    told = read_target(sight.base_url)
    why = "The session object leads clients there; those that follow it do not arrive."
    fix = f'Set server.http.url = "{target.url}".'
    wrong = []
    if told.scheme != target.scheme and scheme_is_right:
        wrong.append("scheme")
    if told.host != target.host:
        wrong.append("host")
    # With the wrong scheme goes the wrong port; that is one mistake.
    if told.port != target.port and scheme_is_right and not wrong:
        wrong.append("port")
    if told.prefix != target.prefix:
        wrong.append("path")
    for what in wrong:
        seen = f"Asked as {target.url}, the server tells clients that it is {sight.base_url}: another {what}."
        more = " Or set lookup.default.hostname to the name alone." if what == "host" else ""
        yield Finding(f"wrong-{what}", "wrong", seen, why, fix + more)
    if told.url == target.url:
        yield Finding("url", "right", f"The server tells clients that it is {sight.base_url}.")


def _address(http: ServerHttp, sight: Sight, peer: str, trusted_name: str) -> Iterator[Finding]:
    why = "The log, limits and bans see one client instead of all; whoever guesses passwords locks everybody out."
    if sight.direct:
        return
    if sight.trusted and not sight.forwarded:
        seen = (
            f"The proxy ({peer}) does not say for whom it asks; it sent {', '.join(sight.arrived) or 'no such header'}."
        )
        fix = recipe("X-Forwarded-For")
        if http.forwarded_header == "forwarded":
            fix = 'Let the proxy write Forwarded, or set server.http.forwarded-header = "x-forwarded".'
        yield Finding("client-lost", "wrong", seen, why, fix)
    elif sight.client is None and sight.trusted:
        seen = f"The proxy ({peer}) says that it does not know the client."
        yield Finding("client-unknown", "note", seen, why, "Let the proxy name the client's address.")
    elif not sight.trusted and {"X-Forwarded-For", "Forwarded", "X-Real-Ip"} & set(sight.arrived):
        seen = f"{peer} forwards for clients ({', '.join(sight.arrived)}), and is not believed: every client is {peer}."
        fix = f"Set server.http.use-x-forwarded = true and add {trusted_name} to server.http.trusted-proxies."
        yield Finding("proxy-not-trusted", "wrong", seen, why, fix)
    else:
        yield Finding("client", "right", f"The server sees the client {sight.client or '(unknown)'}, through {peer}.")


def _forge(target: Target, http: ServerHttp, key: Key, plain: Sight, verify: bool) -> Iterator[Finding]:
    """Sends headers that only the proxy may send, and looks whether the server believes them."""
    if plain.direct:
        if plain.trusted:
            seen = f"Your own address {plain.peer} is one of the trusted proxies, so your headers are believed."
            fix = "Ask by the URL that leads through the proxy."
            yield Finding("not-through-a-proxy", "note", seen, "Whether others can forge headers was not tried.", fix)
        return
    other = "http" if plain.scheme == "https" else "https"
    tries = {
        "X-Forwarded-For": {"X-Forwarded-For": FORGED_ADDRESS},
        "X-Forwarded-Proto": {"X-Forwarded-Proto": other},
        "X-Forwarded-Host": {"X-Forwarded-Host": f"{FORGED_HOST}:81"},
        "Forwarded": {"Forwarded": f"for={FORGED_ADDRESS};proto={other};host={FORGED_HOST}"},
    }
    forged = False
    for header, sent in tries.items():
        reply, sight = look(target, key, sent, verify=verify)
        believed = _believed(plain, reply, sight, other, header)
        if believed:
            forged = True
            seen = f"A client's own {header} reaches the server and is believed: it decides {' and '.join(believed)}."
            why = "Anybody can be anybody: limits and bans are evaded, or turned against others."
            if "the client's address" not in believed:
                why = "Anybody decides what the server takes the connection for: URLs, HSTS and the redirect to https go wrong."
            code = f"forgeable-{header.lower()}"
            yield Finding(code, "wrong", seen, why, _replaced(header, http))
    _, sight = look(target, key, {"Connection": "close, X-Forwarded-For, X-Forwarded-Proto, Forwarded"}, verify=verify)
    if sight is not None and (sight.client, sight.scheme) != (plain.client, plain.scheme):
        forged = True
        seen = "A client can make the proxy drop its own headers, by naming them in Connection."
        why = "The server then takes the client for the proxy itself."
        yield Finding(
            "strippable", "wrong", seen, why, "Update the proxy: it removes the headers after it has set its own."
        )
    if not forged:
        yield Finding("not-forgeable", "right", "Forged X-Forwarded-* and Forwarded headers change nothing.")


def _believed(plain: Sight, reply: Reply, sight: Sight | None, other: str, header: str) -> list[str]:
    if sight is None:
        # The redirect to https answers those who seem to come over http.
        redirected = reply.status in (301, 302, 303, 307, 308) and other == "http"
        return ["the protocol"] if redirected else []
    found = []
    # From within a trusted network one may always say for whom one forwards. What tells then is whether the proxy put the
    # address of who asked behind what it was sent.
    added = plain.inside and FORGED_ADDRESS not in sight.arrived.get(header, "").rpartition(",")[2]
    if sight.client != plain.client and not added:
        found.append("the client's address")
    if sight.scheme != plain.scheme:
        found.append("the protocol")
    if FORGED_HOST in sight.host or FORGED_HOST in sight.base_url:
        found.append("the host")
    return found


def _replaced(header: str, http: ServerHttp) -> str:
    if header == "Forwarded":
        return f'{recipe("Forwarded")}; or set server.http.forwarded-header = "x-forwarded".'
    text = recipe(header)
    if header == "X-Forwarded-Host":
        text += '; or take "host" out of server.http.forwarded-fields.'
    if header == "X-Forwarded-For":
        text += ". And see that server.http.trusted-proxies has no network that clients come from."
    return text
