"""How a bulk import files messages: parsing, the mailbox of a folder, and Emails that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from flaskmail.datatypes.mail import counters
from flaskmail.datatypes.mail.folders import mailbox_for
from flaskmail.datatypes.mail.importing import file_message, newest_received, parsed_record
from flaskmail.errors import OverQuota
from flaskmail.formats.mime import dates, structure
from flaskmail.formats.mime.headers import Headers
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import Prepared
from flaskmail.jmap.storage import Txn

_UNFINISHED = "mail.import"


class MailFiler:
    """Files messages into one account. target: the id of the mailbox that the archive's top goes into, None for the inbox;
    folders below the top are made below the target, or at the top of the account when there is none."""

    def __init__(self, ctx: Context, target: str | None = None) -> None:
        self._ctx, self._target = ctx, target
        self._mailboxes: dict[tuple[str, ...], str] = {}
        self._checked: Txn | None = None

    @property
    def _account(self) -> str:
        assert self._ctx.account is not None
        return self._ctx.account.id

    def prepare(self, raw: bytes, received: str | None, keywords: Iterable[str]) -> Prepared:
        """Parses a message. received: a UTCDate; None for the newest Received field, else the Date field, else now."""
        message = structure.parse(raw)
        moment = received or newest_received(message.root.headers) or _sent(message.root.headers)
        record, text = parsed_record(message, moment, keywords, ())
        return Prepared(record, text)

    def known(self) -> set[str]:
        """Blob ids of the messages that the account holds."""
        with self._ctx.store.read(self._account) as reader:
            return {email["blobId"] for email in reader.get("Email", None, ("blobId",))}

    def unfinished(self) -> dict[str, str]:
        """Blob id -> Email's id of everything that came in since an import began that did not come to its end."""
        with self._ctx.store.read(self._account) as reader:
            since = reader.note(_UNFINISHED)
            if since is None:
                return {}
            created = reader.changes("Email", int(since), None).created
            return {email["blobId"]: email["id"] for email in reader.get("Email", created, ("blobId",))}

    def begin(self, txn: Txn) -> None:
        """Notes the state of Email before the import, unless one that was interrupted has noted it."""
        if txn.note(_UNFINISHED) is None:
            txn.set_note(_UNFINISHED, str(txn.state("Email")))

    def end(self, txn: Txn) -> None:
        """Takes the note away."""
        txn.set_note(_UNFINISHED, None)

    def refuse_over_quota(self, txn: Txn) -> None:
        """OverQuota when the account holds more than its quota."""
        quota = self._ctx.account.quota if self._ctx.account is not None else None
        if quota is not None and txn.used() > quota:
            raise OverQuota(f"The account may hold {quota:,} octets, and no further message fits.")

    def mailbox(self, txn: Txn, folder: Sequence[str]) -> str:
        """The mailbox of a folder, made when missing. SetError when its name is not allowed."""
        key = tuple(folder)
        if not key and self._target is not None:
            return self._target
        if txn is not self._checked:
            # Clients may have removed some since the last batch; what was made in one that failed was never there.
            there = txn.existing("Mailbox", self._mailboxes.values())
            self._mailboxes = {key: id for key, id in self._mailboxes.items() if id in there}
            self._checked = txn
        found = self._mailboxes.get(key)
        if found is None:
            found = self._mailboxes[key] = mailbox_for(self._ctx, txn, key, self._target)
        return found

    def file(self, txn: Txn, prepared: Prepared, mailbox_id: str, blob_id: str) -> str:
        """Stores a prepared message whose octets are stored as ``blob_id``; answers the Email's id. Raises SetError."""
        prepared.record["mailboxIds"] = {mailbox_id: True}
        id: str = file_message(self._ctx, txn, prepared, blob_id)["id"]
        return id

    def add(self, txn: Txn, email_id: str, mailbox_id: str) -> None:
        """Puts an Email into one more mailbox; nothing happens when it is there, or gone."""
        for old in txn.get("Email", [email_id], ("threadId", "mailboxIds", "keywords")):
            if mailbox_id not in old["mailboxIds"]:
                new = old | {"mailboxIds": {**old["mailboxIds"], mailbox_id: True}}
                txn.update("Email", email_id, {"mailboxIds": new["mailboxIds"]})
                counters.email_updated(txn, old, new)


def _sent(headers: Headers) -> datetime | None:
    value = headers.last("date")
    if value is None:
        return None
    moment = dates.parse(value[:1000].decode("ascii", "replace").replace("\r", "").replace("\n", "").strip())
    if moment is None:
        return None
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return moment if datetime(1970, 1, 1, tzinfo=UTC) <= moment <= datetime.now(UTC) else None
