"""Email: a message, as it came in, with the mailboxes that it is in and its keywords. RFC 8621 section 4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flaskmail.datatypes.mail import counters, showing
from flaskmail.datatypes.mail.capability import MAIL
from flaskmail.datatypes.mail.creating import METADATA, compose
from flaskmail.datatypes.mail.headers import header_property
from flaskmail.datatypes.mail.importing import check_mailboxes, file_message, message_record, prepare_message
from flaskmail.datatypes.mail.properties import (
    DEFAULT_PROPERTIES,
    EMAIL_PROPS,
    MAX_KEYWORDS,
    folded_keywords,
)
from flaskmail.datatypes.mail.searching import (
    EMAIL_FILTERS,
    EMAIL_SORTS,
    QUERY_CHECKS,
    SEARCH_COLUMNS,
    header_matches,
    without_zero_fraction,
)
from flaskmail.errors import SetError, StoreDamaged
from flaskmail.formats.mime import forms
from flaskmail.jmap.conditions import Scalar
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import REQUIRED, DataType, Prepared
from flaskmail.jmap.records import default_value, invalid_properties
from flaskmail.jmap.storage import Finding, Json, Reader, Record, Txn
from flaskmail.values import checks
from flaskmail.values.pointer import PatchError

TOLD = ("blobId", "threadId", "size")
"""What a created Email's answer holds besides its id (RFC 8621 sections 4.6 to 4.8)."""

_CHUNK = 1000


class Email(DataType):
    """RFC 8621 section 4. Only ``mailboxIds`` and ``keywords`` ever change."""

    name = "Email"
    capability = MAIL
    id_prefix = "m"
    order = "receivedAt"
    group = "threadId"
    search = SEARCH_COLUMNS
    independent = True
    props = EMAIL_PROPS
    filters = EMAIL_FILTERS
    sorts = EMAIL_SORTS
    get_arguments = showing.ARGUMENTS
    query_arguments = QUERY_CHECKS

    # ---- /get
    def default_properties(self) -> Sequence[str]:
        """RFC 8621 section 4.2."""
        return DEFAULT_PROPERTIES

    def accepts(self, name: str) -> bool:
        """``header:…`` properties (RFC 8621 section 4.1.3)."""
        return header_property(name) is not None

    def needs(self, names: Sequence[str], arguments: Mapping[str, Json]) -> Sequence[str]:
        """What header fields and body values are made from."""
        return showing.needs(names, arguments)

    def compute(
        self, ctx: Context, reader: Reader, records: list[Record], names: Sequence[str], arguments: Mapping[str, Json]
    ) -> None:
        """Header fields, body values, and the body properties asked for. MethodError when that is too much for one request."""
        for record in records:
            ctx.check_time()

            def read(start: int, end: int | None, blob_id: str = record.get("blobId", "")) -> bytes:
                return reader.read_blob(blob_id, start, end)

            showing.show(record, read, names, arguments)
            ctx.spend(showing.weight(record, names, arguments))

    # ---- /set, /copy
    def prepare_create(self, ctx: Context, reader: Reader, sent: Record) -> Prepared:
        """Makes the message that the client describes (RFC 8621 section 4.6)."""
        metadata, wrong = metadata_of(sent)
        try:
            raw = compose(sent, lambda id: ctx.find_blob(reader, id), ctx.limits, ctx.now(), _domain(ctx))
        except SetError as error:
            if error.type != "invalidProperties" or not wrong:
                raise
            raise SetError(error.type, error.description, (*wrong, *error.properties)) from None
        if wrong:
            raise invalid_properties(wrong)
        _check_keywords(metadata["keywords"])
        # RFC 8621 section 4.1.1: the time of creation, whatever Received fields the client writes.
        return prepare_message(raw, metadata["receivedAt"] or ctx.now(), metadata["keywords"], metadata["mailboxIds"])

    def prepare_copy(self, ctx: Context, source: Reader, reader: Reader, id: str, sent: Record) -> Prepared:
        """RFC 8621 section 4.7: the same message; mailboxIds are needed, keywords and receivedAt may be other ones."""
        wrong = {name: "cannot be changed by a copy" for name in sent if name not in METADATA}
        for original in source.get("Email", [id], ("blobId", "keywords", "receivedAt")):
            kept = {"keywords": original["keywords"], "receivedAt": original["receivedAt"]}
            metadata, more = metadata_of(kept | {name: sent[name] for name in METADATA if name in sent})
            if wrong or more:
                raise invalid_properties(wrong | more)
            _check_keywords(metadata["keywords"])
            raw = source.read_blob(original["blobId"])
            return prepare_message(raw, metadata["receivedAt"], metadata["keywords"], metadata["mailboxIds"])
        raise SetError("notFound", f"There is no Email {id} to copy.")

    def commit_create(self, ctx: Context, txn: Txn, prepared: Prepared) -> Record:
        """Files the message. ``prepared.extra``: its octets, or the id of the blob that holds them."""
        blob_id = prepared.extra if isinstance(prepared.extra, str) else None
        if blob_id is not None and txn.blob(blob_id) is None:
            raise SetError("invalidProperties", f"There is no blob {blob_id}.", ["blobId"])
        return file_message(ctx, txn, prepared, blob_id)

    def told_on_create(self) -> Sequence[str]:
        """RFC 8621 section 4.6: id, blobId, threadId and size."""
        return TOLD

    def normal_patch(self, patch: Record) -> Record:
        """Keywords have no case (RFC 8621 section 4.1.1), so they may be named in any."""
        out: Record = {}
        for pointer, value in patch.items():
            name = pointer.lower() if pointer.startswith("keywords/") else pointer
            if name in out:
                raise PatchError(f"{checks.shown(name)} is patched twice; keywords have no case.")
            out[name] = value
        return out

    def update_needs(self) -> Sequence[str]:
        """What the counters look at."""
        return ("threadId", "mailboxIds", "keywords")

    def validate(self, ctx: Context, txn: Txn, old: Record | None, new: Record) -> None:
        """Mailboxes exist; keywords are few and in lower case."""
        if old is None or new["mailboxIds"].keys() != old["mailboxIds"].keys():
            check_mailboxes(txn, new["mailboxIds"])
        # RFC 8621 section 4.1.1: servers return keywords in lower case.
        new["keywords"] = folded_keywords(new["keywords"])
        if old is None or len(new["keywords"]) > len(old["keywords"]):
            _check_keywords(new["keywords"])

    def updated(self, ctx: Context, txn: Txn, old: Record, new: Record) -> None:
        """Keeps the counters."""
        counters.email_updated(txn, old, new)

    def destroyed(self, ctx: Context, txn: Txn, old: Record) -> None:
        """Keeps the counters; the last Email of a Thread takes it along."""
        counters.email_destroyed(txn, old)

    # ---- /query
    def scan(self, reader: Reader, id: str, name: str, args: Sequence[Scalar]) -> bool:
        """The ``header`` filter (RFC 8621 section 4.4.1): a field of that name, with the text in its value when one is given;
        without case."""
        if name != "header":
            return super().scan(reader, id, name, args)
        wanted = str(args[0]).lower()
        for record in reader.get("Email", [id], ("blobId", "_head")):
            fields = showing.header_fields(reader.read_blob(record["blobId"], 0, record["_head"]))
            return header_matches(((wanted, forms.as_text(value)) for value in fields.all(wanted)), tuple(args))
        return False

    def collapses(self, arguments: Mapping[str, Json]) -> bool:
        """``collapseThreads`` (RFC 8621 section 4.4)."""
        return bool(arguments.get("collapseThreads"))

    # ---- upkeep
    def search_text(self, reader: Reader, ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """From the message, as when it came in."""
        texts = {}
        for record in reader.get(self.name, ids, ("blobId", "receivedAt")):
            try:
                raw = reader.read_blob(record["blobId"])
            except (KeyError, StoreDamaged):
                continue
            _, texts[record["id"]] = message_record(raw, record["receivedAt"], (), ())
        return texts

    def verify(self, reader: Reader) -> list[Finding]:
        """Every Email has its blob, of its size, and is in Mailboxes that are there. Threads are checked by Thread."""
        findings = []
        for email, kept in self._homes(reader):
            blob = reader.blob(email["blobId"])
            if blob is None or blob.size != email["size"]:
                what = "is not there" if blob is None else f"has {blob.size} octets, not {email['size']}"
                findings.append(Finding(reader.account_id, f"The message of Email {email['id']} {what}."))
            if len(kept) < len(email["mailboxIds"]) or not kept:
                what = "a Mailbox that is not there" if email["mailboxIds"] else "no Mailbox"
                findings.append(Finding(reader.account_id, f"Email {email['id']} is in {what}."))
        return findings

    def mend(self, txn: Txn) -> list[Finding]:
        """Takes Emails out of Mailboxes that are not there; into the inbox when they would be in none. A message that is lost
        cannot be made again."""
        mended = []
        inbox = txn.grouped("Mailbox", "role", ["inbox"]).get("inbox") or []
        for email, kept in list(self._homes(txn)):
            homes = kept or dict.fromkeys(inbox[:1], True)
            if homes and homes.keys() != email["mailboxIds"].keys():
                txn.update(self.name, email["id"], {"mailboxIds": homes})
                counters.email_updated(txn, email, email | {"mailboxIds": homes})
                what = f"Email {email['id']} was taken out of a Mailbox that is not there."
                mended.append(Finding(txn.account_id, what, mended=True))
        return mended + self.verify(txn)

    def _homes(self, reader: Reader) -> Iterator[tuple[Record, Record]]:
        """Every Email, and those of its mailboxIds that are there."""
        mailboxes = set(reader.ids("Mailbox"))
        names = ("blobId", "size", "threadId", "mailboxIds", "keywords")
        ids = reader.ids(self.name)
        for start in range(0, len(ids), _CHUNK):
            for email in reader.get(self.name, ids[start : start + _CHUNK], names):
                yield email, {id: True for id in email["mailboxIds"] if id in mailboxes}


def metadata_of(sent: Record) -> tuple[Record, dict[str, str]]:
    """The metadata of a create, import or copy with defaults filled in, and what is wrong by property.
    ``receivedAt``: None when it was not sent; a fraction of zero is left out (RFC 8620 section 1.4)."""
    wrong: dict[str, str] = {}
    out: Record = {"receivedAt": None}
    for name in METADATA:
        prop = EMAIL_PROPS[name]
        if name not in sent:
            if prop.default is REQUIRED:
                wrong[name] = "is required"
            elif name != "receivedAt":
                out[name] = default_value(prop)
            continue
        value = without_zero_fraction(sent[name]) if name == "receivedAt" else sent[name]
        what = prop.check(value)
        if what is not None:
            wrong[name] = what
        out[name] = value
    return out, wrong


def _check_keywords(keywords: Mapping[str, Json]) -> None:
    if len(keywords) > MAX_KEYWORDS:
        # RFC 8621 section 4.6.
        raise SetError("tooManyKeywords", f"An Email may have {MAX_KEYWORDS} keywords.", maxKeywords=MAX_KEYWORDS)


def _domain(ctx: Context) -> str:
    return ctx.username.rpartition("@")[2] or "localhost"
