"""What plugins add to the session object (RFC 8620 section 2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from typing import Any

from flaskmail.accounts.principals import Principal
from flaskmail.jmap.context import AccountAccess
from flaskmail.jmap.storage import Record
from flaskmail.plugins import Plugins, ask

log = logging.getLogger("flaskmail.plugins")

KIND = "jmap-session"


class SessionExtras:
    """What the hooks session_capabilities and discovery_metadata add. open: the capabilities that have nothing to say of
    themselves, so that plugins may."""

    def __init__(self, plugins: Plugins, open: Collection[str]) -> None:
        self._open = frozenset(open)
        self._capabilities = ask(plugins, "session_capabilities")
        self._metadata = ask(plugins, "discovery_metadata")

    def of(
        self, server: object, principal: Principal, accounts: Mapping[str, AccountAccess]
    ) -> Callable[[Record], None] | None:
        """What completes the session of a principal, before its state is worked out; None when nobody adds anything."""
        if self._capabilities is None and self._metadata is None:
            return None

        def complete(session: Record) -> None:
            if self._capabilities is not None:
                self._fill(session["capabilities"], self._capabilities(server, principal, None))
                for access in accounts.values():
                    of_account = session["accounts"][access.id]["accountCapabilities"]
                    self._fill(of_account, self._capabilities(server, principal, access))
            if self._metadata is not None:
                # A copy of all of it: what a plugin does to it stays with the plugins.
                for members in self._metadata(server, deepcopy(session), KIND):
                    for name, value in members.items():
                        if name not in session and name != "state":
                            session[name] = value

        return complete

    def _fill(self, capabilities: dict[str, Any], found: list[Mapping[str, Any]]) -> None:
        filled: set[str] = set()
        for members in found:
            for urn, value in members.items():
                if urn not in self._open:
                    log.warning("a plugin describes the capability %s, which is not a plugin's", ascii(urn))
                elif urn in capabilities and urn not in filled:
                    capabilities[urn] = dict(value)
                    filled.add(urn)
