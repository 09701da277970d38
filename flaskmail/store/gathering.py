"""What a transaction gathers, in every store (``Txn.gather``, ``Txn.settle``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flaskmail.jmap.storage import G, Gathered, Txn


class Gathering:
    """The objects of one transaction, by their names."""

    def __init__(self) -> None:
        self._made: dict[str, Gathered] = {}

    def one(self, name: str, make: Callable[[], G]) -> G:
        """See ``Txn.gather``."""
        if name not in self._made:
            self._made[name] = make()
        return cast(G, self._made[name])

    def settle(self, txn: Txn) -> None:
        """See ``Txn.settle``."""
        settled = 0
        # Settling one may make others, which stand at the end.
        while settled < len(self._made):
            list(self._made.values())[settled].settle(txn)
            settled += 1
