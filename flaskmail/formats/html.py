"""The text that a person sees in HTML mail, for the search index and the preview.

No tree is built: tree builders take quadratic time on deep nesting and on tags with many attributes (RFC 8621 section 9
warns of such bodies), and the text needs neither. One pass over the tags does, in linear time.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final

MAX_INPUT: Final = 2_000_000
"""Characters of HTML that are looked at; text after them is not found."""

_MARKUP = re.compile(r"<(?=[a-zA-Z/!?])")
_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]*+)")
_INLINE: Final = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "label",
        "mark",
        "nobr",
        "o",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "st1",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "w",
        "wbr",
    ]
)
_VOID: Final = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "frame",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
# Elements of which nothing is seen, and in which tags are no tags.
_RAW_TEXT: Final = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.I) for name in ("script", "style", "title", "iframe", "noembed", "xmp")
}
_NEVER_SEEN: Final = frozenset(("template", "datalist", "object", "svg", "math", "audio", "video", "canvas"))
_STYLED_AWAY = re.compile(r"display\s*+:\s*+none|visibility\s*+:\s*+hidden", re.I)
_ATTRIBUTE_VALUE = re.compile(r"""=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'>]++)""")
_HIDDEN = re.compile(r"(?:^|\s)hidden(?=[\s=/]|\Z)", re.I)
_HUGE_NUMBER = re.compile(r"&#(?:[0-9]{9,}+|[xX][0-9a-fA-F]{9,}+);?")
_BREAK: Final = "\x1f"
# Most tags have no attributes; these need no closer look.
_JOINING_TAGS: Final = frozenset(
    spelt for name in _INLINE for tag in (name, "/" + name) for spelt in (tag, tag.upper())
)
_BREAKING_TAGS: Final = frozenset(
    spelt
    for name in ("br", "br/", "br /", "p", "div", "td", "tr", "table", "tbody", "li", "ul", "center", "h1", "h2", "h3")
    for tag in (name, "/" + name)
    for spelt in (tag, tag.upper())
)
_QUOTATION_MARK = re.compile("[\"']")
_LOOKAHEAD: Final = 8
_MARKS: Final = 500


def to_text(html: str, limit: int = 1_000_000) -> str:
    """The visible text of ``html``, at most ``limit`` characters: one line for each block, white space collapsed.

    Inline elements join what they touch (``<b>wor</b>ld`` is "world"). Scripts, styles, the title, comments, and elements with
    ``hidden``, ``display: none`` or ``visibility: hidden`` of their own are left out; an element that is hidden but never
    closed counts as visible. Never raises; takes linear time.
    """
    html = html[:MAX_INPUT]
    pieces = _visible(html, limit)
    text = "".join(pieces)
    if "&" in text:
        text = unescape(_HUGE_NUMBER.sub("�", text))
    lines = (" ".join(line.split()) for line in text.split(_BREAK))
    return "\n".join(line for line in lines if line)[:limit]


def _visible(html: str, limit: int) -> list[str]:
    """The text nodes that are seen, entities still in them, with a mark wherever a block begins or ends."""
    out: list[str] = []
    # White space and entities shrink later; four times as much source as text is plenty.
    room = 4 * limit + 1000
    at, size = 0, len(html)
    hiding, depth, resume = "", 0, 0
    may_hide = True
    while room > 0:
        markup = _MARKUP.search(html, at)
        start = markup.start() if markup else size
        if start > at and not hiding:
            out.append(html[at:start])
            room -= start - at
        if start == size:
            if not hiding:
                break
            # What was hidden was never closed: read it again, as visible.
            at, hiding, may_hide = resume, "", False
            continue
        end = html.find(">", start)
        tag = html[start + 1 : end]
        if not hiding and end > 0:
            if tag in _JOINING_TAGS:
                at = end + 1
                continue
            if tag in _BREAKING_TAGS:
                out.append(_BREAK)
                at = end + 1
                continue
        found = _NAME.match(html, start + 1)
        if found is None:
            at = _after_declaration(html, start, end)
            continue
        if end < 0:
            at = size
            continue
        if tag.count('"') % 2 or "'" in tag:
            end = _tag_end(html, start)
        at = end + 1
        name = found[1].lower()
        closing = tag[0] == "/"
        if hiding == "p" == name:
            # A paragraph ends where the next one begins.
            hiding = ""
        if hiding:
            if name == hiding:
                depth += -1 if closing else 1
                if depth <= 0:
                    hiding = ""
            elif not closing and name in _RAW_TEXT:
                at = _after_raw_text(html, name, at)
            continue
        if name not in _INLINE:
            out.append(_BREAK)
        if closing:
            continue
        if name in _RAW_TEXT:
            at = _after_raw_text(html, name, at)
        elif may_hide and _is_hidden(name, html[found.end() : end]):
            hiding, depth, resume = name, 1, at
    return out


def _after_declaration(html: str, start: int, end: int) -> int:
    """The offset after the comment, declaration or processing instruction at ``start``; end: that of the next ">"."""
    if html.startswith("<!--", start):
        # "<!-->" is a whole comment.
        end = html.find("-->", start + 2)
        return len(html) if end < 0 else end + 3
    return len(html) if end < 0 else end + 1


def _tag_end(html: str, start: int) -> int:
    """The offset of the ">" that ends the tag at ``start``: the first outside of quotation marks; -1 when there is none.

    Looks at a few only, then takes the first of all: a forgotten quotation mark shall not swallow the text.
    """
    first = end = html.find(">", start)
    scanned, opened, marks = start, "", 0
    for _ in range(_LOOKAHEAD):
        if end < 0:
            break
        for mark in _QUOTATION_MARK.finditer(html, scanned, end):
            opened = "" if mark[0] == opened else opened or mark[0]
            marks += 1
            if marks > _MARKS:
                return first
        if not opened:
            return end
        scanned, end = end, html.find(">", end + 1)
    return first


def _after_raw_text(html: str, name: str, at: int) -> int:
    found = _RAW_TEXT[name].search(html, at)
    return found.start() if found else len(html)


def _is_hidden(name: str, attributes: str) -> bool:
    if name in _VOID:
        return False
    if name in _NEVER_SEEN:
        return not attributes.endswith("/")
    if not attributes or attributes.endswith("/"):
        return False
    if _STYLED_AWAY.search(attributes):
        return True
    return "hidden" in attributes.lower() and _HIDDEN.search(_ATTRIBUTE_VALUE.sub("", attributes)) is not None
