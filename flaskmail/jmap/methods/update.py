"""Updates of /set (RFC 8620 section 5.3): patches, rules, and updates that are only right together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flaskmail.errors import OverQuota, SetError
from flaskmail.jmap.context import Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.methods.get import read_whole
from flaskmail.jmap.methods.xrefs import Lookup, references_in, substituted_patch, xref_names
from flaskmail.jmap.records import check_blobs, check_update, default_value, same
from flaskmail.jmap.storage import Json, Record, Txn
from flaskmail.values.pointer import PatchError, patched


@dataclass(slots=True)
class _Change:
    """One update that a patch makes out of an old record. asked: top-level values as the client wants them; effective: those
    that differ."""

    id: str
    old: Record
    asked: Record
    effective: Record


class Updates:
    """The updates of one call. updated: id -> what changed beyond what was asked, or None; failed: key as sent -> SetError."""

    def __init__(self, ctx: Context, kind: DataType, txn: Txn, lookup: Lookup) -> None:
        self._ctx, self._kind, self._txn, self._lookup = ctx, kind, txn, lookup
        self._xrefs = xref_names(kind)
        self._old: dict[str, Record] = {}
        self.updated: dict[str, Record | None] = {}
        self.failed: dict[str, SetError] = {}
        self._refused: dict[str, _Change] = {}
        self._referring: dict[str, Record] = {}
        self._valid: dict[str, tuple[_Change, Record, Record]] = {}

    def run(self, update: Mapping[str, Record], going: set[str]) -> None:
        """Applies the patches; ``going`` are the ids that the same call destroys."""
        ids = {key: self._lookup(key[1:]) if key[:1] == "#" else key for key in update}
        self._read(update, [id for id in ids.values() if id is not None])
        for key, patch in update.items():
            id = ids[key]
            try:
                if id is None or id not in self._old:
                    raise SetError("notFound", f"There is no such {self._kind.name}.")
                if id in going:
                    # RFC 8620 section 5.3: the server may skip the update of what the same call destroys.
                    raise SetError("willDestroy", "The same call destroys it.")
                change = self._change(id, patch)
            except PatchError as error:
                self.failed[key] = SetError("invalidPatch", str(error))
            except SetError as error:
                self.failed[key] = error
                if id is None or self._refers(patch):
                    self._referring[key] = patch
            else:
                try:
                    self._apply(change)
                except (SetError, OverQuota) as error:
                    self.failed[key] = _as_set_error(error)
                    self._refused[key] = change
        self._write()

    def _refers(self, patch: Record) -> bool:
        """Whether a patch holds a creation reference."""
        return any(
            "/#" in pointer or any(True for _ in references_in(value))
            for pointer, value in patch.items()
            if pointer.partition("/")[0] in self._xrefs
        )

    def _read(self, update: Mapping[str, Record], ids: list[str]) -> None:
        """Reads once what all patches need."""
        names = dict.fromkeys(self._kind.update_needs())
        for patch in update.values():
            for pointer in patch:
                name = pointer.partition("/")[0]
                prop = self._kind.props.get(name)
                if prop is not None and not prop.computed:
                    names[name] = None
        for record in self._txn.get(self._kind.name, ids, list(names)):
            self._old[record["id"]] = {**self._old.get(record["id"], {}), **record}

    def _change(self, id: str, patch: Record) -> _Change:
        """What a patch does. Raises PatchError, or SetError when the declaration does not allow it."""
        old = self._old[id]
        patch = self._kind.normal_patch(patch)
        if self._xrefs:
            patch = substituted_patch(self._xrefs, patch, self._lookup)
        shown = self._with_computed(id, old, patch)
        asked = patched(shown, patch, self._default)
        effective = check_update(self._kind, shown, asked)
        check_blobs(self._kind, self._txn, effective)
        return _Change(id, old, asked, effective)

    def _with_computed(self, id: str, old: Record, patch: Record) -> Record:
        """The old record with those computed properties that are sent: back as they are, they are right."""
        names = {name: None for pointer in patch if (name := pointer.partition("/")[0]) not in old}
        wanted = [name for name in names if _is_made(self._kind, name)]
        if not wanted:
            return old
        return {**read_whole(self._ctx, self._txn, self._kind, [id], wanted, {})[0], **old}

    def _default(self, name: str) -> Json:
        prop = self._kind.props.get(name)
        return None if prop is None else default_value(prop)

    def _apply(self, change: _Change) -> None:
        """Validates and writes one change. SetError leaves everything as it was."""
        if not change.effective:
            self.updated.setdefault(change.id)
            return
        new = {**change.old, **change.effective}
        self._kind.validate(self._ctx, self._txn, change.old, new)
        differing = _difference(change.old, new)
        if change.id in self._valid:
            self._write()
        self._old[change.id] = new
        self._valid[change.id] = (change, new, differing)
        if not self._kind.independent:
            self._write()

    def _write(self) -> None:
        """Writes what was validated."""
        valid, self._valid = self._valid, {}
        differing = {id: values for id, (_, _, values) in valid.items() if values}
        if differing:
            self._txn.update_many(self._kind.name, differing)
        for change, new, values in valid.values():
            self._done(change, new, values)

    def _done(self, change: _Change, new: Record, differing: Record) -> None:
        self._kind.updated(self._ctx, self._txn, change.old, new)
        self._old[change.id] = new
        # RFC 8620 section 5.3: what changed in a way that the patch did not ask for is told.
        told = {
            name: value
            for name, value in differing.items()
            if not (name in change.asked and same(change.asked[name], value)) and not self._kind.props[name].internal
        }
        before = self.updated.get(change.id)
        self.updated[change.id] = {**(before or {}), **told} or None

    def retry(self, going: set[str]) -> bool:
        """Tries again what the type's rules refused, once the call has done all else, because what is right in the final state
        is right (RFC 8620 section 5.3): one by one, the last first, and then together those that want what each other has; and
        what refers to a record that was created only after it had been refused. Answers whether anything was updated."""
        before = len(self.failed)
        self._refer_again(going)
        for key in reversed(list(self._refused)):
            try:
                self._apply(self._again(self._refused[key]))
            except (SetError, OverQuota):
                continue
            self._write()
            del self._refused[key], self.failed[key]
        changes = _swapping({key: self._again(change) for key, change in self._refused.items()})
        if changes:
            self._together(changes)
        return len(self.failed) < before

    def _refer_again(self, going: set[str]) -> None:
        """Makes changes of those patches whose references can be told by now."""
        referring, self._referring = self._referring, {}
        for key in referring:
            del self.failed[key]
        if referring:
            self.run(referring, going)

    def _together(self, changes: Mapping[str, _Change]) -> None:
        """Writes the changes, validates each against all, and takes them back when any stays wrong."""
        new = {key: {**change.old, **change.effective} for key, change in changes.items()}
        written = {key: dict(record) for key, record in new.items()}
        for key, change in changes.items():
            self._txn.update(self._kind.name, change.id, _difference(change.old, new[key]))
        try:
            for key, change in changes.items():
                self._kind.validate(self._ctx, self._txn, change.old, new[key])
        except (SetError, OverQuota):
            for key, change in changes.items():
                self._txn.update(self._kind.name, change.id, _difference(written[key], change.old))
            return
        for key, change in changes.items():
            completed = _difference(written[key], new[key])
            if completed:
                self._txn.update(self._kind.name, change.id, completed)
            self._done(change, new[key], _difference(change.old, new[key]))
            del self._refused[key], self.failed[key]

    def _again(self, change: _Change) -> _Change:
        """The same change of the record as it is by now."""
        return _Change(change.id, self._old[change.id], change.asked, change.effective)


def _swapping(changes: Mapping[str, _Change]) -> dict[str, _Change]:
    """Those changes that set a property to what another one of them has, and that has what yet another one wants."""
    kept = dict(changes)
    while kept:
        had = {(name, value): key for key, c in kept.items() for name, value in c.old.items() if isinstance(value, str)}
        wanting = {
            key: change
            for key, change in kept.items()
            if any(
                isinstance(value, str) and had.get((name, value), key) != key
                for name, value in change.effective.items()
            )
        }
        if len(wanting) == len(kept):
            break
        kept = wanting
    return kept if len({change.id for change in kept.values()}) == len(kept) else {}


def _difference(one: Record, other: Record) -> Record:
    """Those values of ``other`` that ``one`` does not have."""
    return {
        name: value
        for name, value in other.items()
        if name not in one or not (one[name] is value or same(one[name], value))
    }


def _is_made(kind: DataType, name: str) -> bool:
    prop = kind.props.get(name)
    return kind.accepts(name) if prop is None else prop.computed


def _as_set_error(error: SetError | OverQuota) -> SetError:
    return error if isinstance(error, SetError) else SetError("overQuota", str(error))
