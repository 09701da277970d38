"""Foo/copy (RFC 8620 section 5.4) for every type."""

from __future__ import annotations

from collections.abc import Mapping

from flaskmail.errors import MethodError, SetError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType, Prepared
from flaskmail.jmap.failures import as_method_error
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import account_id, check_arguments, expect_state, invalid_arguments, state_text
from flaskmail.jmap.methods.creation import Creations
from flaskmail.jmap.methods.set import check_size, creations_check, run_set
from flaskmail.jmap.storage import Reader, Record
from flaskmail.values.checks import boolean, identifier, optional, text

_KNOWN = {
    "fromAccountId": identifier,
    "ifFromInState": optional(text),
    "ifInState": optional(text),
    "create": creations_check,
    "onSuccessDestroyOriginal": boolean,
    "destroyFromIfInState": optional(text),
}


def copy_method(kind: DataType) -> Method:
    """Foo/copy; with ``onSuccessDestroyOriginal`` the response of the implied Foo/set follows its own."""

    def call(ctx: Context, arguments: Record) -> list[tuple[str, Record]]:
        check_arguments(arguments, _KNOWN, ("fromAccountId", "create"))
        response, originals = _copy(ctx, kind, arguments)
        responses = [(f"{kind.name}/copy", response)]
        if arguments.get("onSuccessDestroyOriginal") and originals:
            responses.append(_destroy(ctx, kind, arguments, originals))
        return responses

    return Method(f"{kind.name}/copy", kind.capability, call, writes=True)


def check_accounts(ctx: Context, arguments: Record) -> str:
    """The ``fromAccountId`` of a /copy. MethodError: ``invalidArguments`` when it is the account itself,
    ``fromAccountNotFound`` when the user has no such account."""
    source: str = arguments["fromAccountId"]
    # RFC 8620 section 5.4: the accounts must differ.
    if source == account_id(arguments):
        raise invalid_arguments([("fromAccountId", "must be another account than accountId")])
    if source not in ctx.accounts:
        raise MethodError("fromAccountNotFound", "There is no such account to copy from.")
    return source


def _copy(ctx: Context, kind: DataType, arguments: Record) -> tuple[Record, list[str]]:
    """The response, and the ids of the originals that were copied."""
    source_id, target_id = check_accounts(ctx, arguments), account_id(arguments)
    create: Mapping[str, Record] = arguments["create"]
    check_size(ctx, len(create))
    with ctx.store.read(source_id) as source:
        expect_state(source, kind.name, arguments.get("ifFromInState"))

        def prepare(reader: Reader, sent: Record) -> Prepared:
            original = sent.get("id")
            if not isinstance(original, str):
                raise SetError("invalidProperties", "The id of the record to copy is required.", ["id"])
            return kind.prepare_copy(ctx, source, reader, original, {k: v for k, v in sent.items() if k != "id"})

        copies = Creations(ctx, kind, create, prepare)
        with ctx.store.read(target_id) as reader:
            expect_state(reader, kind.name, arguments.get("ifInState"))
            copies.prepare(reader)
        with ctx.store.write(target_id) as txn:
            old_state = state_text(txn, kind.name)
            expect_state(txn, kind.name, arguments.get("ifInState"))
            copies.commit(txn)
            txn.settle()
            created = copies.answers(txn, server_set_only=True) if copies.created else {}
            new_state = state_text(txn, kind.name)
    ctx.created_ids.update(copies.ids)
    response = {
        "fromAccountId": source_id,
        "accountId": target_id,
        "oldState": old_state,
        "newState": new_state,
        "created": created or None,
        "notCreated": {key: error.wire() for key, error in copies.failed.items()} or None,
    }
    return response, list(dict.fromkeys(create[key]["id"] for key in copies.created))


def _destroy(ctx: Context, kind: DataType, arguments: Record, originals: list[str]) -> tuple[str, Record]:
    """The implied Foo/set (RFC 8620 section 5.4), which may fail on its own while the copy stands."""
    account, ctx.account = ctx.account, ctx.accounts[arguments["fromAccountId"]]
    implied = {
        "accountId": arguments["fromAccountId"],
        "ifInState": arguments.get("destroyFromIfInState"),
        "destroy": originals,
    }
    try:
        if ctx.account.is_read_only:
            raise MethodError("accountReadOnly", "The originals cannot be destroyed in a read-only account.")
        return f"{kind.name}/set", run_set(ctx, kind, implied)
    except Exception as error:
        return "error", as_method_error(error, f"{kind.name}/set").wire()
    finally:
        ctx.account = account
