"""Ten thousand random expressions have the value that a second, naive evaluator finds."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

from flaskmail.expressions import EvaluationError, ExpressionError, Type, compile_expression

spec = importlib.util.spec_from_file_location("naive", Path(__file__).with_name("naive.py"))
naive = importlib.util.module_from_spec(spec)
spec.loader.exec_module(naive)

TYPES = {name: Type[type.upper()] for name, type in naive.VARIABLES.items()}


def outcome(tree, values, *, strict=False):
    try:
        return naive.Naive(values, strict).value(tree)
    except (naive.Fails, OverflowError):
        return naive.Fails


def attempt(call, *arguments, **options):
    """What the call gives, and the error of the expression."""
    try:
        return call(*arguments, **options), None
    except ExpressionError as error:
        return None, error


def exactly(one, other) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(exactly, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("seed", range(20))
def test_generated_expressions_agree_with_a_naive_evaluator(seed):
    rng = random.Random(f"expressions {seed}")
    told = {"value": 0, "fails": 0, "refused": 0}
    for _ in range(500):
        tree = naive.tree(rng, rng.choice(["text", "integer", "float", "list"]), rng.randrange(1, 5))
        text = naive.render(rng, tree)
        first = naive.variables(rng)
        compiled, error = attempt(compile_expression, text, variables=TYPES)
        if error is not None:
            assert 0 <= error.position <= len(text)
            assert outcome(tree, first, strict=True) is naive.Fails, (text, error)
            told["refused"] += 1
            continue
        for values in (first, naive.variables(rng), first):  # the third is answered from the cache
            wanted = outcome(tree, values)
            found, error = attempt(compiled.evaluate, values)
            if error is not None:
                assert isinstance(error, EvaluationError)
                assert 0 <= error.position <= len(text)
                assert wanted is naive.Fails, (text, values, error)
                told["fails"] += 1
                continue
            assert exactly(found, wanted), (text, values)
            told["value"] += 1
            # What it says that it does not read does not matter.
            assert exactly(compiled.evaluate({name: values[name] for name in compiled.uses}), found)
    assert told["value"] > 600
    assert told["fails"] > 5
    assert told["refused"] > 5
