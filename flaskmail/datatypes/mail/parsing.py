"""Email/parse: a blob shown as an Email without storing it. RFC 8621 section 4.9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flaskmail.datatypes.mail import showing
from flaskmail.datatypes.mail.bodies import describe
from flaskmail.datatypes.mail.capability import MAIL
from flaskmail.datatypes.mail.importing import body_record, is_message, name_blobs
from flaskmail.datatypes.mail.properties import METADATA_PROPERTIES, PARSE_PROPERTIES
from flaskmail.errors import MethodError
from flaskmail.formats.mime import structure
from flaskmail.jmap.context import BlobContent, Context
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import account_id, check_arguments, text_list_or_null
from flaskmail.jmap.methods.get import wanted_properties
from flaskmail.jmap.storage import Json, Record
from flaskmail.values.checks import list_of, text

_KNOWN = {"blobIds": list_of(text), "properties": text_list_or_null, **showing.ARGUMENTS}


def _parse(ctx: Context, arguments: Record) -> Record:
    check_arguments(arguments, _KNOWN, ("blobIds",))
    given = arguments.get("properties")
    names = list(PARSE_PROPERTIES) if given is None else wanted_properties(ctx.types["Email"], given)
    if given is not None and "id" in given:
        names.insert(0, "id")
    ids: list[str] = list(dict.fromkeys(arguments["blobIds"]))
    if len(ids) > ctx.limits.maxParseItems:
        raise MethodError("requestTooLarge", f"At most {ctx.limits.maxParseItems} blobs are parsed at once.")
    parsed: dict[str, Record] = {}
    refused: list[str] = []
    missing: list[str] = []
    with ctx.store.read(account_id(arguments)) as reader:
        for blob_id in ids:
            # Also a look at the time.
            blob = ctx.find_blob(reader, blob_id)
            if blob is None:
                missing.append(blob_id)
                continue
            shown = _shown(blob, names, arguments) if blob.size <= ctx.limits.maxSizeEmail else None
            if shown is None:
                refused.append(blob_id)
            else:
                ctx.spend(showing.weight(shown, names, arguments))
                parsed[blob_id] = shown
    return {
        "accountId": arguments["accountId"],
        "parsed": parsed or None,
        "notParsable": refused or None,
        "notFound": missing or None,
    }


def _shown(blob: BlobContent, names: Sequence[str], arguments: Mapping[str, Json]) -> Record | None:
    raw = blob.read()
    message = structure.parse(raw)
    if not is_message(message.root.headers):
        return None
    record = body_record(describe(message), "1970-01-01T00:00:00Z", (), ())
    name_blobs(record, blob.id)
    showing.show(record, lambda start, end: raw[start:end], names, arguments)
    # RFC 8621 section 4.9: what only a stored Email has is null.
    return {name: None if name in METADATA_PROPERTIES else record[name] for name in names}


EMAIL_PARSE = Method("Email/parse", MAIL, _parse)
"""Email/parse. RFC 8621 section 4.9."""
