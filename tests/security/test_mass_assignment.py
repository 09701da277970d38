"""Members that a body does not have are refused, wherever they stand in it: nobody becomes somebody by adding them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from flaskmail.accounts.principals import Principal
from flaskmail.errors import RequestError
from flaskmail.management import api
from flaskmail.management.operation import Operation
from flaskmail.testing import make_server

from ..management.test_matrix import CELLS, OWN, Cell, World, inventory

EXTRA = {
    "isAdmin": True,
    "admin": True,
    "accountId": "a1",
    "id": "a1",
    "role": "admin",
    "principal": "admin",
    "permissions": ["all-domains"],
    "owner": "admin",
    "is_admin": True,
    "__proto__": {"admin": True},
    "constructor": {},
    "grant": {"kind": "local"},
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_server(config='[lookup.default]\nhostname = "mail.own.example"\n') as made:
        yield World(made)


@pytest.fixture(scope="module")
def asker(world: World) -> Principal:
    return world.asker("somebody", ("user", "admin"))


def bodies() -> list[Operation]:
    return [one for one in api().operations if one.body is not None]


def structs(kind: Any) -> Iterator[inspect.StructType]:
    """Every object that a declared body may hold."""
    left, seen = [inspect.type_info(kind)], set()
    while left:
        one = left.pop()
        if isinstance(one, inspect.StructType):
            if one.cls in seen:
                continue
            seen.add(one.cls)
            yield one
            left += [field.type for field in one.fields]
        for name in ("types", "item_type", "item_types", "value_type", "type"):
            found = getattr(one, name, None)
            left += [
                inner for inner in (found if isinstance(found, tuple) else (found,)) if isinstance(inner, inspect.Type)
            ]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


@pytest.mark.parametrize("operation", bodies(), ids=lambda one: one.name)
def test_no_shape_takes_what_it_does_not_name(operation: Operation) -> None:
    found = list(structs(operation.body))
    assert found, operation.name
    for one in found:
        assert one.forbid_unknown_fields, one.cls
        assert not {field.encode_name for field in one.fields} & {"isAdmin", "accountId", "principal", "grant"}


@pytest.mark.parametrize("operation", bodies(), ids=lambda one: one.name)
def test_extra_members_are_400_and_do_nothing(world: World, asker: Principal, operation: Operation) -> None:
    before, tried = inventory(world), 0
    for cell in CELLS[operation.name](OWN):
        count = len(list(objects(cell.body)))
        for place in range(count):
            for name, value in EXTRA.items():
                body = copy.deepcopy(cell.body)
                target = list(objects(body))[place]
                if name in target or name in known(operation, target):
                    continue
                target[name] = value
                with pytest.raises(RequestError) as error:
                    world.ask(operation, Cell(cell.values, cell.query, body), asker)
                assert error.value.status == 400, (name, body)
                assert json.dumps(name)[1:-1] in error.value.detail + json.dumps(error.value.extra), (name, body)
                tried += 1
    assert tried
    assert inventory(world) == before


def known(operation: Operation, target: dict[str, Any]) -> set[str]:
    """Members that the object may have in some of its shapes."""
    return {
        field.encode_name
        for one in structs(operation.body)
        for field in one.fields
        if not one.tag_field or target.get(one.tag_field) == one.tag
    }


class Inner(msgspec.Struct):
    a: int = 0


class Outer(msgspec.Struct):
    inner: list[Inner | None] | None = None


def test_the_walk_finds_what_is_nested() -> None:
    assert {one.cls for one in structs(Outer)} == {Outer, Inner}
