"""Which passwords people may choose for themselves."""

from __future__ import annotations

import unicodedata

from flaskmail.accounts.faults import BadPassword


def check_strength(password: str, name: str, min_length: int) -> None:
    """Raises BadPassword, with a sentence for whoever chose it, for a password that is easily guessed.

    name: of the account; min_length: characters of the NFC form, which is what is hashed."""
    chosen = unicodedata.normalize("NFC", password)
    if len(chosen) < min_length:
        raise BadPassword(f"the password has {len(chosen)} characters, at least {min_length} are needed")
    plain = chosen.casefold()
    names = {name, name.partition("@")[0], name.partition("@")[2]} - {""}
    if any(plain.replace(each, "") == "" for each in names):
        raise BadPassword("the password is made of the account's name alone")
    # Length says nothing of what repeats itself.
    if len(set(plain)) < 4:
        raise BadPassword("the password has fewer than four different characters")
