"""The capability ``urn:ietf:params:jmap:core``: the limits of the server. RFC 8620 section 2."""

from __future__ import annotations

from flaskmail.jmap.context import Limits
from flaskmail.jmap.method import Capability
from flaskmail.jmap.storage import Record
from flaskmail.values.collations import COLLATIONS

CORE = "urn:ietf:params:jmap:core"
"""The URN of the protocol itself."""

_LIMITS = (
    "maxSizeUpload",
    "maxConcurrentUpload",
    "maxSizeRequest",
    "maxConcurrentRequests",
    "maxCallsInRequest",
    "maxObjectsInGet",
    "maxObjectsInSet",
)


def _session(limits: Limits) -> Record:
    return {name: getattr(limits, name) for name in _LIMITS} | {"collationAlgorithms": sorted(COLLATIONS)}


CAPABILITY = Capability(CORE, _session)
"""The limits and the collations that sorts may name; accounts do not list it."""
