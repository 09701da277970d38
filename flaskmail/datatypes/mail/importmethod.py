"""Email/import: uploaded messages become Emails. RFC 8621 section 4.8."""

from __future__ import annotations

from flaskmail.datatypes.mail.capability import MAIL
from flaskmail.datatypes.mail.email import TOLD, metadata_of
from flaskmail.datatypes.mail.importing import is_message, parsed_record
from flaskmail.datatypes.mail.properties import MAX_KEYWORDS
from flaskmail.errors import SetError
from flaskmail.formats.mime import structure
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import Prepared
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import account_id, check_arguments, expect_state, state_text
from flaskmail.jmap.methods.creation import Creations
from flaskmail.jmap.methods.set import check_size, creations_check
from flaskmail.jmap.records import invalid_properties
from flaskmail.jmap.storage import Reader, Record
from flaskmail.values.checks import identifier, optional, text

_MEMBERS = ("blobId", "mailboxIds", "keywords", "receivedAt")


def _import(ctx: Context, arguments: Record) -> Record:
    check_arguments(arguments, {"ifInState": optional(text), "emails": creations_check}, ("emails",))
    emails, expected = arguments["emails"], arguments.get("ifInState")
    check_size(ctx, len(emails))

    def prepare(reader: Reader, sent: Record) -> Prepared:
        return _prepare(ctx, reader, sent)

    creations = Creations(ctx, ctx.types["Email"], emails, prepare)
    with ctx.store.read(account_id(arguments)) as reader:
        expect_state(reader, "Email", expected)
        creations.prepare(reader)
    with ctx.store.write(account_id(arguments)) as txn:
        expect_state(txn, "Email", expected)
        old_state = state_text(txn, "Email")
        creations.commit(txn)
        txn.settle()
        # RFC 8621 section 4.8: all four, also the blobId that was sent.
        created = {key: {name: email[name] for name in ("id", *TOLD)} for key, email in creations.created.items()}
        new_state = state_text(txn, "Email")
    ctx.created_ids.update(creations.ids)
    return {
        "accountId": arguments["accountId"],
        "oldState": old_state,
        "newState": new_state,
        "created": created or None,
        "notCreated": {key: error.wire() for key, error in creations.failed.items()} or None,
    }


def _prepare(ctx: Context, reader: Reader, sent: Record) -> Prepared:
    metadata, wrong = metadata_of(sent)
    wrong |= {name: "is no property of an EmailImport" for name in sent if name not in _MEMBERS}
    if "blobId" not in sent:
        wrong["blobId"] = "is required"
    elif (what := identifier(sent["blobId"])) is not None:
        wrong["blobId"] = what
    if wrong:
        raise invalid_properties(wrong)
    if len(metadata["keywords"]) > MAX_KEYWORDS:
        raise SetError("tooManyKeywords", f"An Email may have {MAX_KEYWORDS} keywords.", maxKeywords=MAX_KEYWORDS)
    blob = ctx.find_blob(reader, sent["blobId"])
    if blob is None:
        # RFC 8621 section 4.8: the blobId is the property that is wrong.
        raise SetError("invalidProperties", f"There is no blob {sent['blobId']}.", ["blobId"])
    if blob.size > ctx.limits.maxSizeEmail:
        raise SetError("tooLarge", f"A message may have {ctx.limits.maxSizeEmail} octets.")
    raw = blob.read()
    message = structure.parse(raw)
    if not is_message(message.root.headers):
        raise SetError("invalidEmail", "The blob is no message: it does not begin with header fields.")
    record, found = parsed_record(message, metadata["receivedAt"], metadata["keywords"], metadata["mailboxIds"])
    # A part of a message is stored as a message of its own.
    stored = reader.blob(blob.id) is not None
    return Prepared(record, found, blob.id if stored else raw)


EMAIL_IMPORT = Method("Email/import", MAIL, _import, writes=True)
"""Email/import. RFC 8621 section 4.8."""
