from __future__ import annotations

import pytest

from flaskmail.oauth.errors import OAuthError
from flaskmail.oauth.parameters import MAX_FIELDS, MAX_FORM, parse_parameters, required
from flaskmail.oauth.scope import grantable, narrowed, parse_scope

SUPPORTED = ("openid", "email", "urn:x")


def test_parameters_are_decoded():
    assert parse_parameters(b"a=1&b=%C3%A9+x&c=&d") == {"a": "1", "b": "é x"}


@pytest.mark.parametrize(
    "encoded",
    [
        b"a=1&a=1",
        b"a=1&b=2&a=",
        b"a=%FF",
        "a=é".encode(),
        b"a=%00",
        b"a=" + b"x" * MAX_FORM,
        b"&".join(b"p%d=1" % n for n in range(MAX_FIELDS + 1)),
    ],
)
def test_what_is_repeated_or_no_form_is_refused(encoded):
    with pytest.raises(OAuthError) as caught:
        parse_parameters(encoded)
    assert (caught.value.error, caught.value.status) == ("invalid_request", 400)


def test_a_repeated_name_is_not_echoed_unless_it_is_harmless():
    with pytest.raises(OAuthError) as caught:
        parse_parameters(b"%22%5Cx=1&%22%5Cx=2")
    assert '"' not in caught.value.description
    assert "\\" not in caught.value.description


def test_a_missing_parameter_is_named():
    with pytest.raises(OAuthError, match="code"):
        required({}, "code")


def test_scopes_are_read_once_each_in_their_order():
    assert parse_scope(" b a  b ") == ("b", "a")
    assert parse_scope(None) == ()


@pytest.mark.parametrize("text", ["é", 'a"b', "a\\b", "a\tb"])
def test_what_is_no_scope_is_refused(text):
    with pytest.raises(OAuthError) as caught:
        parse_scope(text)
    assert caught.value.error == "invalid_scope"


def test_scopes_are_cut_to_what_exists_and_what_the_client_may_have():
    assert grantable(("email", "other", "openid"), SUPPORTED, None, ()) == ("email", "openid")
    assert grantable(("email", "openid"), SUPPORTED, ("openid",), ()) == ("openid",)
    assert grantable((), SUPPORTED, None, ("urn:x",)) == ("urn:x",)
    with pytest.raises(OAuthError):
        grantable(("email",), SUPPORTED, ("openid",), ())


def test_a_refreshed_token_has_no_more_than_was_granted():
    assert narrowed((), ("a", "b")) == ("a", "b")
    assert narrowed(("b",), ("a", "b")) == ("b",)
    with pytest.raises(OAuthError):
        narrowed(("b", "c"), ("a", "b"))
