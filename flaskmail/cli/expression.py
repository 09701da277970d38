"""``flaskmail expression``: evaluate an expression with the settings at hand."""

from __future__ import annotations

import difflib
from typing import Any, NoReturn

import click

from flaskmail.cli.common import MISCONFIGURED, REFUSED, as_json, local_command, write_json
from flaskmail.config import Settings, load
from flaskmail.errors import ConfigError
from flaskmail.expressions import HTTP, HTTP_TYPES, ExpressionError, Function, Refusal, Type, compile_expression
from flaskmail.expressions.types import integer_of, text_of, type_of
from flaskmail.policy.plan import functions_at_hand, names


@click.command(
    cls=local_command("it is evaluated with the settings there."),
    short_help="Evaluate an expression with the settings.",
)
@click.argument("expression", metavar="EXPR")
@click.option("--var", "given", multiple=True, metavar="NAME=VALUE", help="The value of a variable; may be repeated.")
@as_json
def expression(expression: str, given: tuple[str, ...], machine: bool) -> None:
    """Evaluate the expression EXPR with the settings in force, and print the type of its value and the value.

    Variables of an HTTP request that it uses get their values from --var; `--var 'headers=name: value'` adds a header field
    each time. The exit status is 1 when the expression is wrong or fails. One that begins with a minus is written after `--`.
    """
    variables = _variables(given)
    try:
        settings = load()
    except ConfigError as error:
        _misconfigured(error)
    lookups, warnings = names(settings)
    readable = {**settings.readable(), "server.hostname": lookups["default"]["hostname"]}
    try:
        try:
            compiled = compile_expression(expression, variables=HTTP_TYPES, lookups=lookups, config_get=readable)
        except ExpressionError:
            # A function that is not ours may be a plugin's; without such names nothing of a plugin is run.
            functions = _functions(settings)
            compiled = compile_expression(
                expression, variables=HTTP_TYPES, functions=functions, lookups=lookups, config_get=readable
            )
        value = compiled.evaluate(variables)
    except ExpressionError as error:
        _refuse(error, machine)
    if "hostname" in expression:
        for warning in warnings:
            click.echo(f"Warning: {warning}", err=True)
    if machine:
        write_json({"type": str(type_of(value)), "value": value})
    else:
        click.echo(f"{type_of(value)}: {_shown(value)}")


def _functions(settings: Settings) -> tuple[Function, ...]:
    try:
        return functions_at_hand(settings)
    except ConfigError as error:
        _misconfigured(error)


def _misconfigured(error: ConfigError) -> NoReturn:
    click.echo("The settings are wrong:", err=True)
    for problem in error.problems:
        click.echo(f"  {problem}", err=True)
    raise SystemExit(MISCONFIGURED) from None


def _variables(given: tuple[str, ...]) -> dict[str, Any]:
    """The values of ``--var``, of the types that the variables have."""
    found: dict[str, Any] = {"headers": []} if any(one.startswith("headers=") for one in given) else {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r} is not NAME=VALUE", param_hint="--var")
        type = HTTP_TYPES.get(name)
        if type is None:
            close = difflib.get_close_matches(name, HTTP_TYPES, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else f"; there are {', '.join(one.name for one in HTTP)}"
            raise click.BadParameter(f"there is no variable {name!r}{hint}", param_hint="--var")
        if type is Type.LIST:
            found[name].append(text)
        elif type is Type.INTEGER:
            try:
                found[name] = {"true": 1, "false": 0}[text] if text in ("true", "false") else integer_of(text)
            except Refusal:
                raise click.BadParameter(f"{name} is an integer of 64 bits, not {text!r}", param_hint="--var") from None
        else:
            found[name] = text
    return found


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(repr(one) if isinstance(one, str) else _shown(one) for one in value)}]"
    text = text_of(value)
    return text if text.isprintable() else ascii(text)


def _refuse(error: ExpressionError, machine: bool) -> NoReturn:
    if machine:
        told: dict[str, Any] = {"error": error.message, "position": error.position}
        write_json(told | ({"hint": error.hint} if error.hint else {}))
    else:
        click.echo(f"Error: {error}", err=True)
        click.echo("\n".join(f"  {line}" for line in error.excerpt().splitlines()), err=True)
        if error.message.endswith("has no value"):
            click.echo("Give it one with --var NAME=VALUE.", err=True)
    raise SystemExit(REFUSED)
