"""Whatever a method raises, as the error that its client sees."""

from __future__ import annotations

import logging
from secrets import token_hex

from flaskmail.errors import AccountMissing, MethodError, OverQuota, StoreDamaged, StoreError

log = logging.getLogger("flaskmail.jmap")


def as_method_error(error: BaseException, method: str) -> MethodError:
    """The method-level error (RFC 8620 section 3.6.2) for an exception out of ``method``.

    What nobody expected is ``serverFail``: the log gets the traceback under an error id, the client only the id.
    """
    if isinstance(error, MethodError):
        return error
    if isinstance(error, AccountMissing):
        return MethodError("accountNotFound", "There is no such account any more.")
    if isinstance(error, OverQuota):
        return MethodError("overQuota", "The account has no room left.")
    if isinstance(error, StoreError) and not isinstance(error, StoreDamaged):
        log.warning("%s: the store is unavailable: %s", method, error)
        return MethodError("serverUnavailable", "The store cannot do this now; try again later.")
    error_id = token_hex(8)
    log.error("error %s in %s", error_id, method, exc_info=error)
    return MethodError("serverFail", f"Something went wrong here; the log has it as error {error_id}.")
