"""Address lists of RFC 5322 section 3.4, read as generously as mail is written."""

from __future__ import annotations

import re
from typing import Final, TypedDict

from flaskmail.formats.mime import params, words

MAX_ADDRESSES: Final = 20_000
"""Addresses of one field that are read; the rest are left out."""

MAX_WORDS: Final = 2_000
"""Words, spaces and marks of one address that are kept; what follows them, up to the next comma, is left out."""


class Address(TypedDict):
    """An EmailAddress of RFC 8621 section 4.1.2.3; name: display name or None; email: addr-spec, as far as it is one."""

    name: str | None
    email: str


class Group(TypedDict):
    """An EmailAddressGroup of RFC 8621 section 4.1.2.4; name: None for addresses outside of groups."""

    name: str | None
    addresses: list[Address]


_ATOM: Final = r'[^\s"(),:;<>@\[\]\\]++'
_PLAIN: Final = r'[^\s"(),:;<>@\[\]\\=]++'
# What nearly all fields hold: one address, with a display name that needs no decoding, or bare.
_SIMPLE = re.compile(rf'\s*+(?:"([^"\\]*+)"|({_PLAIN}(?:[ ]{_PLAIN})*+))?\s*+<({_ATOM}@{_ATOM})>\s*+\Z')
_BARE = re.compile(rf"\s*+({_ATOM}@{_ATOM})\s*+\Z")

_QUOTED: Final = r'(?P<quoted>"(?:[^"\\]++|\\.)*+")'
_ANGLE: Final = r'(?P<angle><(?:[^<>"]++|"(?:[^"\\]++|\\.)*+")*+>)'
_OTHERS: Final = (
    rf"(?P<space>\s++)|(?P<word>{words.ENCODED_WORD})|(?P<literal>\[[^\[\]\s]{{0,255}}\])"
    r"""|(?P<special>[,:;<>("@\[\]\\)])|(?P<atom>[^\s"(),:;<>@\[\]\\=]++|=)"""
)
_TOKEN = re.compile(f"{_QUOTED}|{_ANGLE}|{_OTHERS}", re.S)
# Once a quotation mark has no partner, no later one can be trusted to open a string; looking again would be quadratic.
_TOKEN_UNQUOTED = re.compile(rf"(?P<quoted>(?!))|(?P<angle><[^<>]*+>)|{_OTHERS}", re.S)
_IN_COMMENT = re.compile(r"\\.|[()]", re.S)
_QUOTED_PAIR = re.compile(r"\\(.)", re.S)
_SPACE = re.compile(r"\s+")


def parse(text: str) -> list[Group]:
    """The groups of ``text`` (unfolded), addresses outside of groups under the name None; RFC 8621 section 4.1.2.4.

    Never raises. What is no address still gives one when it is all there is between two commas, so that a person can
    read it. Takes time linear in the length.
    """
    if (found := _SIMPLE.match(text)) is not None:
        quoted, phrase, email = found.groups()
        name = phrase if quoted is None else quoted
        # No encoded word counts inside quotation marks (RFC 2047 section 5), and the bare phrase has no equals sign.
        return [
            {"name": None, "addresses": [{"name": words.nfc(name).strip() or None if name else None, "email": email}]}
        ]
    if (found := _BARE.match(text)) is not None:
        return [{"name": None, "addresses": [{"name": None, "email": found[1]}]}]
    return _Reader().read(text)


class _Reader:
    """Collects the tokens of one mailbox at a time."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.group: Group | None = None
        self.named = False
        self.count = 0
        self.tokens: list[tuple[str, str]] = []
        self.email: str | None = None
        self.comment: str | None = None

    def read(self, text: str) -> list[Group]:
        """Reads all of ``text``."""
        pattern = _TOKEN
        comments = True
        at, size = 0, len(text)
        while at < size and self.count < MAX_ADDRESSES:
            found = pattern.match(text, at)
            if found is None:
                at += 1
                continue
            kind = found.lastgroup or "special"
            token = found[0]
            if kind == "special":
                if token == '"' and pattern is _TOKEN:
                    pattern = _TOKEN_UNQUOTED
                elif token == "(" and comments:
                    end = _comment_end(text, at)
                    if end:
                        self.remark(text[at + 1 : end - 1])
                        at = end
                        continue
                    comments = False
                elif token == ",":
                    self.mailbox()
                elif token == ";":
                    self.mailbox()
                    self.group, self.named = None, False
                elif token == ":" and not self.named and self.email is None and self.tokens:
                    self.start_group()
                elif token in "<>":
                    # Half a pair of brackets only separates.
                    self.keep("space", " ")
                elif token not in '"(':
                    self.keep("atom", token)
            elif kind == "angle":
                if self.email is not None:
                    self.mailbox()
                self.email = _addr_spec(token[1:-1])
                self.comment = None
            elif kind != "space" or self.tokens:
                self.keep(kind, token)
            at = found.end()
        self.mailbox()
        return self.groups

    def remark(self, text: str) -> None:
        """Notes a comment; the one that directly follows an address is the name of who has no other."""
        if self.comment is None and (self.email is not None or self.tokens):
            self.comment = text
        if self.tokens:
            self.keep("space", " ")

    def keep(self, kind: str, token: str) -> None:
        """Adds to what the mailbox is made of."""
        if len(self.tokens) < MAX_WORDS:
            self.tokens.append((kind, token))

    def start_group(self) -> None:
        """Begins the group that the tokens so far are the name of."""
        self.group = {"name": _phrase(self.tokens), "addresses": []}
        self.groups.append(self.group)
        self.named = True
        self.tokens, self.comment = [], None

    def mailbox(self) -> None:
        """Ends a mailbox and adds it, if there is one, to its group."""
        email, name = self.email, None
        if email is None:
            email, rest = _without_angles(self.tokens)
            name = _phrase(rest)
        else:
            name = _phrase(self.tokens)
        if name is None and self.comment is not None:
            name = _name(_QUOTED_PAIR.sub(r"\1", self.comment))
        self.tokens, self.email, self.comment = [], None, None
        if not email and name is None:
            return
        if self.group is None:
            self.group = {"name": None, "addresses": []}
            self.groups.append(self.group)
        self.group["addresses"].append({"name": name, "email": email})
        self.count += 1


def _comment_end(text: str, start: int) -> int:
    """The offset after the comment that opens at ``start``, nested ones included; 0 when it does not end."""
    depth = 0
    for found in _IN_COMMENT.finditer(text, start):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth -= 1
            if not depth:
                return found.end()
    return 0


def _addr_spec(text: str) -> str:
    """What stands between angle brackets, without comments, white space and the obsolete route (RFC 5322 section 4.4)."""
    if "(" in text:
        text = params.without_comments(text)
    text = text.strip()
    if text.startswith("@") and ":" in text:
        text = text[text.index(":") + 1 :].strip()
    if _SPACE.search(text):
        head, at, domain = text.rpartition("@")
        local = head if '"' in head else _SPACE.sub("", head)
        text = local.strip() + at + _SPACE.sub("", domain)
    return text


def _without_angles(tokens: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """The addr-spec among tokens that had no angle brackets, and the tokens around it.

    Without an at sign all of it is the address: ``root``, ``undisclosed recipients``.
    """
    while tokens and tokens[-1][0] == "space":
        tokens.pop()
    at = next((index for index, token in enumerate(tokens) if token == ("atom", "@")), -1)
    if at < 0:
        text = "".join(" " if kind == "space" else token for kind, token in tokens)
        return words.nfc(words.decode(text)), []
    first, last = at, at + 1
    # RFC 5322 section 4.4: white space may stand around the at sign.
    while first > 0 and tokens[first - 1][0] == "space":
        first -= 1
    while last < len(tokens) and tokens[last][0] == "space":
        last += 1
    while first > 0 and tokens[first - 1][0] != "space":
        first -= 1
    while last < len(tokens) and (tokens[last][0] != "space" or _dot_follows(tokens, last)):
        last += 1
    email = "".join(token for kind, token in tokens[first:last] if kind != "space")
    return email, tokens[:first] + tokens[last:]


def _dot_follows(tokens: list[tuple[str, str]], at: int) -> bool:
    """Whether a domain goes on after the white space at ``at``: RFC 5322 section 4.4 allows it around a dot."""
    return at + 1 < len(tokens) and (tokens[at + 1][1].startswith(".") or tokens[at - 1][1] == ".")


def _phrase(tokens: list[tuple[str, str]]) -> str | None:
    """A display name: quoted strings without their marks, encoded words outside of them decoded."""
    out: list[str] = []
    run: list[str] = []
    for kind, token in tokens:
        if kind == "quoted":
            out.append(words.decode("".join(run)))
            run = []
            content = token[1:-1]
            out.append(_QUOTED_PAIR.sub(r"\1", content) if "\\" in content else content)
        else:
            run.append(" " if kind == "space" else token)
    out.append(words.decode("".join(run)))
    name = words.nfc("".join(out)).strip()
    return name or None


def _name(text: str) -> str | None:
    return words.nfc(words.decode(text)).strip() or None
