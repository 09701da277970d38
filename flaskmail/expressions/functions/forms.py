"""Functions that the compiler knows itself, because they treat their arguments in a way of their own."""

from __future__ import annotations

from flaskmail.expressions.functions.declaration import Function, Parameter
from flaskmail.expressions.types import Type

_ANY = Type.ANY

FORMS: tuple[Function, ...] = (
    Function(
        "if_then",
        None,
        (Parameter("condition", _ANY), Parameter("then", _ANY), Parameter("else", _ANY)),
        _ANY,
        "`then` if the condition is true, else `else`; the other one is not evaluated.",
        (("if_then(2 > 1, 'yes', 'no')", "yes"),),
    ),
    Function(
        "matches",
        None,
        (Parameter("pattern"), Parameter("text or list", _ANY)),
        Type.INTEGER,
        "Whether a regular expression ([RE2 syntax](https://github.com/google/re2/wiki/Syntax)) is found in a text, "
        "or in a member of a list. "
        "The pattern must be a text as it stands. `$0` is then what was found, `$1` its first group, … of the latest `matches`; "
        "empty texts when it found nothing.",
        (("matches('^/(jmap|api)/', '/api/x')", 1), ("if_then(matches('^/([a-z]+)', '/api/x'), $1, '')", "api")),
    ),
    Function(
        "key_get",
        None,
        (Parameter("table"), Parameter("key")),
        _ANY,
        "The value under a key of the table `[lookup.<table>]`; an empty text when there is none. `''` is the table `default`.",
        (("key_get('default', 'hostname')", "mail.example.org"), ("key_get('', 'missing')", "")),
    ),
    Function(
        "key_exists",
        None,
        (Parameter("table"), Parameter("key")),
        Type.INTEGER,
        "Whether the table `[lookup.<table>]` has the key.",
        (("key_exists('default', 'hostname')", 1),),
    ),
    Function(
        "config_get",
        None,
        (Parameter("key"),),
        _ANY,
        "The value of a setting, by its key, a text as it stands; an empty text when it is not set. "
        "Sizes are octets, times seconds. "
        "Secrets cannot be read. `'server.hostname'` is `key_get('default', 'hostname')`.",
        (("config_get('server.hostname')", "mail.example.org"),),
    ),
)
"""Functions that the compiler knows itself."""
