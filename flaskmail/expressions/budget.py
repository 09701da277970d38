"""What one evaluation carries: the variables, the captures, and what it may still spend."""

from __future__ import annotations

from collections.abc import Mapping

from flaskmail.expressions.errors import Refusal
from flaskmail.expressions.types import Value

BUDGET = 1_000_000
"""What one evaluation may spend. A call and an operator cost 1, and what they read and make costs its characters and members;
``matches`` costs a quarter of the size of its program for each octet."""


class Frame:
    """One evaluation. variables: by name; captures: the groups of the latest ``matches``; left: of the budget."""

    __slots__ = ("captures", "left", "variables")

    def __init__(self, variables: Mapping[str, Value], budget: int = BUDGET) -> None:
        self.variables = variables
        self.captures: tuple[str, ...] = ()
        self.left = budget

    def spend(self, amount: int) -> None:
        """Take from the budget, before the work is done; Refusal when it is used up."""
        self.left -= amount
        if self.left < 0:
            raise Refusal("the expression takes too much work with these values")
