from __future__ import annotations

from typing import Any

import pytest

from flaskmail.errors import SetError
from flaskmail.jmap.conditions import EVERYTHING, SortBy
from flaskmail.jmap.datatype import DataType, Filter, Prop, SortTerm
from flaskmail.jmap.records import check_update, record_to_create, same
from flaskmail.values.checks import anything, boolean, id_set, identifier, list_of, optional, text

RIGHT: dict[str, Any] = {"name": "Thing", "capability": "urn:x", "props": {"title": Prop(text)}}


def declared(**members: Any) -> type[DataType]:
    return type("Thing", (DataType,), {**RIGHT, **members})


def test_a_right_declaration() -> None:
    assert declared().name == "Thing"


A_FILTER = Filter(text, lambda value: EVERYTHING)
A_SORT = SortTerm(lambda comparator, up, collation: SortBy("title", up))


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"name": "a b"}, "name is 'a b'"),
        ({"name": None}, "name is None"),
        ({"capability": ""}, "capability is ''"),
        ({"id_prefix": "AB"}, "id_prefix is 'AB'"),
        ({"search": ("a b",)}, "'a b' is not a plain name"),
        ({"search": ("a", "a")}, "search column 'a' stands twice"),
        ({"props": []}, "props is list"),
        ({"props": {"id": Prop(text)}}, "'id' is every type's own"),
        ({"props": {"": Prop(text)}}, "property name ''"),
        ({"props": {"#a": Prop(text)}}, "property name '#a'"),
        ({"props": {"a": text}}, "'a' is function, not a Prop"),
        ({"props": {"a": Prop(None)}}, "'a' has a check that cannot be called"),
        ({"props": {"a": Prop(text, computed=True, indexed=True)}}, "cannot have indexed"),
        ({"props": {"a": Prop(text, computed=True, internal=True)}}, "cannot have internal"),
        ({"props": {"a": Prop(text, computed=True, segment="x")}}, "cannot have segment"),
        ({"props": {"a": Prop(id_set, members=True, indexed=True)}}, "cannot be indexed as a whole"),
        ({"props": {"a": Prop(anything, default=None, members=True)}}, "a default that is no object"),
        ({"props": {"a": Prop(text, counter=True, immutable=True)}}, "cannot be immutable"),
        ({"props": {"a": Prop(text, server_set=True, xref="Thing")}}, "has an xref"),
        ({"props": {"a": Prop(text, default=None)}}, "its own check refuses"),
        ({"order": "nope"}, "order names 'nope', which is no property"),
        ({"order": "title"}, "order names 'title', which is not immutable"),
        ({"props": {"a": Prop(text, computed=True)}, "order": "a"}, "which is computed"),
        ({"props": {"a": Prop(text, immutable=True)}, "group": "a"}, "which is not indexed"),
        ({"methods": ("get", "fetch")}, "method 'fetch' is none of"),
        ({"methods": ("get", "get")}, "method 'get' stands twice"),
        ({"methods": ("get", "queryChanges")}, "'queryChanges' needs 'query'"),
        ({"methods": ("get", "copy")}, "'copy' needs 'set'"),
        ({"methods": ("get",), "filters": {"a": A_FILTER}}, "filters are declared, but not"),
        ({"methods": ("get",), "sorts": {"a": A_SORT}}, "sorts are declared, but not"),
        ({"methods": ("get",), "set_arguments": {"a": text}}, "set_arguments are declared, but not"),
        ({"get_arguments": {"ids": text}}, "'ids' is taken"),
        ({"query_arguments": {"limit": text}}, "'limit' is taken"),
        ({"set_arguments": {"a": None}}, "'a' has a check that cannot be called"),
        ({"filters": {"operator": A_FILTER}}, "cannot be told from a FilterOperator"),
        ({"filters": {"a": text}}, "filter 'a' is function, not a Filter"),
        ({"sorts": {"a": text}}, "sort 'a' is function, not a SortTerm"),
        ({"sorts": {"a": SortTerm(A_SORT.build, arguments={"collation": text})}}, "an argument 'collation'"),
    ],
)
def test_wrong_declarations_fail_when_the_class_is_made(members: Any, told: str) -> None:
    with pytest.raises(TypeError) as refused:
        declared(**members)
    assert told in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(TypeError) as refused:
        declared(name="", capability="", id_prefix="", props={"id": Prop(text), "a": 1}, order="b")
    assert str(refused.value).count("\n- ") == 6


class Thing(DataType):
    name = "Thing"
    capability = "urn:x"
    props = {
        "title": Prop(text),
        "flags": Prop(list_of(text), default=["new"]),
        "made": Prop(text, default=lambda: "now"),
        "owner": Prop(identifier, server_set=True),
        "seen": Prop(boolean, default=False),
        "note": Prop(optional(text), default=None, immutable=True),
    }


def test_defaults_are_fresh_and_server_set_ones_are_left_to_the_type() -> None:
    one, other = (record_to_create(Thing(), {"title": "a"}) for _ in range(2))
    assert one == {"title": "a", "flags": ["new"], "made": "now", "seen": False, "note": None}
    assert one["flags"] is not other["flags"]


def test_many_wrong_properties_make_a_short_description() -> None:
    with pytest.raises(SetError) as refused:
        record_to_create(Thing(), {f"p{n}": n for n in range(100)})
    assert len(refused.value.properties) == 101
    assert len(refused.value.description or "") < 1000


def test_an_update_keeps_what_differs() -> None:
    old = {"id": "x1", "title": "a", "owner": "o", "seen": False, "note": None}
    assert check_update(Thing(), old, {**old, "title": "b"}) == {"title": "b"}
    for wrong in ({"owner": "p"}, {"note": "n"}, {"seen": 0}, {"id": "x2"}, {"title": None}):
        with pytest.raises(SetError) as refused:
            check_update(Thing(), old, wrong)
        assert refused.value.properties == tuple(wrong)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, True, False),
        (0, False, False),
        (1, 1.0, True),
        ([{"a": 1}], [{"a": True}], False),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": 1}, {"b": 1}, False),
        ([1], [1, 2], False),
        (None, False, False),
        ({}, [], False),
    ],
)
def test_sameness_of_values(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
