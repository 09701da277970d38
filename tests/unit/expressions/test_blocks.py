"""Settings that hold a value, an expression, or a list of rules."""

from __future__ import annotations

import pytest

from flaskmail.expressions import HTTP_TYPES, EvaluationError, ExpressionErrors, Type, compile_setting


def compiled(raw, **options):
    return compile_setting(raw, variables=HTTP_TYPES, **options)


def refused(raw, **options):
    with pytest.raises(ExpressionErrors) as caught:
        compiled(raw, **options)
    return caught.value.errors


ACCESS = [
    {"if": "matches('^/api(/.*)?$', url_path) && remote_ip != '127.0.0.1'", "then": 404},
    {"if": "listener == 'public'", "then": "400 + 3"},
    {"else": "200"},
]


class TestRight:
    def test_the_first_true_condition_decides(self):
        ready = compiled(ACCESS, expected=Type.INTEGER)
        values = {"url_path": "/api/x", "remote_ip": "192.0.2.1", "listener": "public"}
        assert ready.evaluate(values) == 404
        assert ready.evaluate(values | {"url_path": "/"}) == 403
        assert ready.evaluate(values | {"url_path": "/", "listener": "a"}) == 200
        assert ready.uses == {"url_path", "remote_ip", "listener"}
        assert ready.type == Type.INTEGER
        assert ready.constant is None

    @pytest.mark.parametrize(("raw", "wanted"), [("1 + 1", 2), (200, 200), (True, 1), (0.5, 0.5), ("'a'", "a")])
    def test_a_single_value(self, raw, wanted):
        assert compiled(raw).constant == wanted

    def test_captures_hold_in_what_follows_from_their_condition(self):
        rules = [
            {"if": "matches('^/(a+)', url_path)", "then": "$1"},
            {"if": "listener == 'x' || matches('^/(b+)', url_path)", "then": "'b' + $1"},
            {"else": "'none'"},
        ]
        ready = compiled(rules)
        assert ready.evaluate({"url_path": "/aab", "listener": ""}) == "aa"
        assert ready.evaluate({"url_path": "/bba", "listener": ""}) == "bbb"
        assert ready.evaluate({"url_path": "/", "listener": "x"}) == "b"
        assert ready.evaluate({"url_path": "/", "listener": ""}) == "none"

    def test_captures_of_an_earlier_rule_are_gone(self):
        rules = [
            {"if": "matches('^/(a+)', url_path) && is_tls", "then": "'tls'"},
            {"if": "method == 'GET' || matches('^(x)', url_path)", "then": "'[' + $1 + ']'"},
            {"else": "''"},
        ]
        assert compiled(rules).evaluate({"url_path": "/aa", "is_tls": 0, "method": "GET"}) == "[]"

    def test_rules_that_never_hold_are_left_away(self):
        ready = compiled([{"if": "1 > 2", "then": "listener"}, {"if": "true", "then": "method"}, {"else": "url"}])
        assert ready.uses == {"method"}

    def test_rules_may_be_pairs(self):
        rules = ((("if", "is_tls"), ("then", "1")), (("else", "2"),))
        assert compiled(rules).evaluate({"is_tls": 0}) == 2


class TestWrong:
    @pytest.mark.parametrize(
        ("raw", "path", "said"),
        [
            ([], "", "empty list"),
            ([{"if": "1"}, {"else": "1"}], "[0]", "Missing 'then' in 'if' condition 1"),
            ([{"else": "1"}], "[0]", "Found 'else' before 'if'"),
            ([{"if": "is_tls", "then": "1"}], "", "Missing 'else'"),
            ([{"then": "1"}, {"else": "1"}], "[0]", "Found 'then' without 'if'"),
            ([{"if": "is_tls", "then": 1}, {"else": 1}, {"else": 2}], "[2]", "Multiple 'else' found"),
            ([{"if": "is_tls", "then": 1}, {"else": 1, "then": 2}], "[1]", "Found 'then' in 'else' block"),
            ([{"if": "is_tls", "then": 1}, {"else": 1, "if": "1"}], "[1]", "Found 'if' in 'else' block"),
            ([{"if": "is_tls", "then": 1}, {"else": 1}, {"if": "is_tls", "then": 1}], "[2]", "must be the last"),
            (
                [{"if": "is_tls", "thne": 1, "then": 1}, {"else": 1}],
                "[0]",
                "Invalid property 'thne' found in 'if' block",
            ),
            (["1", {"else": 1}], "[0]", "where a table"),
            ([{"if": "1 +", "then": 1}, {"else": 1}], "[0].if", "a value is missing"),
            ([{"if": "is_tls", "then": "oops"}, {"else": 1}], "[0].then", "unknown variable"),
            ([{"if": "is_tls", "then": 1}, {"else": "1 / 0"}], "[1].else", "division by zero"),
            ([{"if": "'false'", "then": 1}, {"else": 1}], "[0].if", "a text as a condition"),
            ([{"if": "is_tls", "then": "$1"}, {"else": 1}], "[0].then", "without a matches()"),
            ([{"if": "matches('(a)', url)", "then": "$1"}, {"else": "$1"}], "[1].else", "without a matches()"),
            ([{"if": None, "then": 1}, {"else": 1}], "[0].if", "where an expression is wanted"),
            (None, "", "where an expression is wanted"),
            ({"if": "1"}, "", "where an expression is wanted"),
            (float("nan"), "", "not finite"),
            ([{"if": "is_tls", "then": 1}] * 201, "", "more than 200"),
        ],
    )
    def test_each_mistake_is_named_with_its_place(self, raw, path, said):
        found = [error for error in refused(raw) if said in error.message]
        assert [error.path for error in found] == [path]

    def test_all_mistakes_are_told_at_once(self):
        errors = refused(
            [{"if": "oops", "then": "1 +"}, {"if": "is_tls"}, {"els": 1}, {"else": "'a"}], expected=Type.TEXT
        )
        assert [error.path for error in errors] == ["[0].if", "[0].then", "[1]", "[2]", "[3].else"]
        assert str(ExpressionErrors(errors)).count("\n") == 4
        assert errors[2].problem("f", "server.http.url").key == "server.http.url[1]"

    def test_what_is_wrong_with_the_block_is_told_without_a_place_in_an_expression(self):
        [error] = refused([{"if": "is_tls", "then": "1"}, {"else": 1}, {"else": 2}])
        told = "f: url[2]: found multiple 'else', expected tables {if, then}, and at last one {else}"
        assert str(error.problem("f", "url")) == told
        error, _ = refused([{"if": "is_tls", "then": "1"}, {"els": 1}])
        assert "found invalid property 'els' in 'if' block, expected" in str(error.problem("f", "url"))

    def test_all_names_that_nobody_knows_are_told_at_once(self):
        text = "!foo && if_then(bar(1), -is_tls, [baz][qux]) > len(url, lst)"
        for raw, path in ((text, ""), ([{"if": "is_tls", "then": text}, {"else": 1}], "[0].then")):
            errors = refused(raw)
            assert [text[error.position :][:3] for error in errors] == ["foo", "bar", "baz", "qux", "lst"]
            assert {error.path for error in errors} == {path}
        # Beside what is wrong otherwise.
        assert [error.position for error in refused("len(1, 2) + foo")] == [0, 12]
        assert len(refused("foo +")) == 1

    def test_a_mistaken_name_has_a_hint(self):
        [error, _] = refused([{"if": "is_tls", "then": 1, "elze": 2}])
        assert error.hint == "else"

    def test_a_result_of_the_wrong_type_is_told(self):
        [error] = refused([{"if": "is_tls", "then": "'a'"}, {"else": 200}], expected=Type.NUMBER)
        assert (error.path, error.message) == ("[0].then", "a value of the type text where number is wanted")

    def test_a_failure_says_which_rule_it_was(self):
        ready = compiled([{"if": "1 / is_tls > 0", "then": 1}, {"else": 2}])
        with pytest.raises(EvaluationError) as caught:
            ready.evaluate({"is_tls": 0})
        assert (caught.value.path, caught.value.position, caught.value.text) == ("[0].if", 2, "1 / is_tls > 0")
