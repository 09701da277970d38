"""Octets to text, whatever the label says.

Labels are those of the WHATWG Encoding Standard (https://encoding.spec.whatwg.org/#names-and-labels), because that is
what the programs that write mail follow: ``iso-8859-1`` means windows-1252, ``gb2312`` means gb18030. On top come the
code pages and the seven-bit charsets that mail has and the web has not. A label never reaches Python's codec registry
unless it is in the table, so ``zlib`` or ``rot13`` are merely unknown.
"""

from __future__ import annotations

import re
from typing import Final

_WHATWG: Final = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e"
    " iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7"
    " iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8"
    " iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591"
    " iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5"
    " windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
    "hz": "hz-gb-2312",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601"
    " windows-949",
    "iso2022_kr": "csiso2022kr iso-2022-kr",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
}

_MAIL_ONLY: Final = {
    "cp1252": "646 iso646-us us iso_646.irv:1991 cp367 csascii iso-8859-1-windows-3.1-latin-1 latin-1 ansi",
    "utf-7": "utf-7 utf7 unicode-1-1-utf-7 unicode-2-0-utf-7 csunicode11utf7 x-unicode-2-0-utf-7",
    "utf-32": "utf-32 utf32 ucs-4 iso-10646-ucs-4",
    "utf-32-be": "utf-32be",
    "utf-32-le": "utf-32le",
    "iso2022_jp_1": "iso-2022-jp-1",
    "iso2022_jp_2": "iso-2022-jp-2 csiso2022jp2",
    "iso2022_jp_3": "iso-2022-jp-3",
    "cp950": "cp950 windows-950 ms950",
    "gb18030": "cp936 ms936 windows-936 x-cp936 gb-2312 gb-18030 cn-gb euc-cn x-euc-cn euccn gb2312_charset",
    "cp932": "cp932 x-ms-cp932 windows-932",
    "cp949": "cp949 ms949 uhc x-windows-949 ks_c_5601 ksc5601-1987 euckr",
    "johab": "johab",
    "euc_jp": "eucjp ujis",
    "cp437": "cp437 ibm437 437 cspc8codepage437",
    "cp720": "cp720",
    "cp737": "cp737",
    "cp775": "cp775 ibm775 cspc775baltic",
    "cp850": "cp850 ibm850 850 cspc850multilingual cp-850",
    "cp852": "cp852 ibm852 852 cspcp852 cp-852",
    "cp855": "cp855 ibm855 855",
    "cp857": "cp857 ibm857 857",
    "cp858": "cp858 ibm00858 cp00858 ccsid00858",
    "cp860": "cp860 ibm860",
    "cp861": "cp861 ibm861",
    "cp862": "cp862 ibm862 dos-862",
    "cp863": "cp863 ibm863",
    "cp864": "cp864 ibm864",
    "cp865": "cp865 ibm865",
    "cp869": "cp869 ibm869",
    "cp037": "cp037 ibm037 ebcdic-cp-us",
    "cp500": "cp500 ibm500",
    "cp1140": "cp1140 ibm01140",
    "cp1006": "cp1006",
    "hp-roman8": "hp-roman8 roman8 r8",
    "koi8-t": "koi8-t",
    "kz1048": "kz-1048 kz1048 rk1048 strk1048-2002",
    "ptcp154": "ptcp154 pt154 cp154 cyrillic-asian",
    "mac-greek": "x-mac-greek",
    "mac-turkish": "x-mac-turkish",
    "mac-latin2": "x-mac-ce x-mac-centraleurroman",
    "mac-iceland": "x-mac-icelandic",
}

_CODECS: Final = {
    label: codec for table in (_MAIL_ONLY, _WHATWG) for codec, labels in table.items() for label in labels.split()
}

_ASCII: Final = frozenset(
    [
        "ansi_x3.4-1968",
        "ascii",
        "us-ascii",
        "646",
        "iso646-us",
        "us",
        "iso_646.irv:1991",
        "cp367",
        "csascii",
        "iso-ir-6",
    ]
)
_GUESS: Final = frozenset(
    ("unknown-8bit", "x-unknown", "unknown", "default", "charset", "none", "x-user-defined", "binary", "8bit")
)

# Python's codecs of the first column lack characters that real mail has; the second column knows them.
_WIDER: Final = {
    "euc_jp": ("euc_jis_2004",),
    "iso2022_jp": ("iso2022_jp_ext", "iso2022_jp_2004", "iso2022_jp_2"),
    "big5hkscs": ("cp950",),
}

_MAY_GIVE_SURROGATES: Final = frozenset(
    ("utf-7", "gb18030", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "hz", "big5hkscs")
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_C1_AS_1252: Final = {
    byte: char for byte in range(0x80, 0xA0) if (char := bytes([byte]).decode("cp1252", "ignore")) != ""
}


def is_known(label: str) -> bool:
    """Whether ``label`` (any case, surrounding white space ignored) names a charset that can be decoded."""
    label = label.strip().lower()
    return label in _CODECS or label in _ASCII or label in _GUESS


def decode(data: bytes, label: str | None) -> tuple[str, bool]:
    """The text of ``data`` and whether something about it was wrong. Never raises; the text holds no surrogates.

    ``label`` is the charset as the message names it; None means that it names none. No label, US-ASCII over octets with the
    high bit set, and labels that say "unknown" are guessed: UTF-8 if the octets are valid UTF-8, else windows-1252
    (RFC 8621 section 4.1.4 allows to). Malformed octets become U+FFFD. The flag is true when octets were malformed or the label
    is unknown; for a guess that came out as UTF-8 it stays false. A byte order mark is removed.
    """
    name = "us-ascii" if label is None else label.strip().lower()
    if name in _ASCII:
        try:
            return data.decode("ascii"), False
        except UnicodeDecodeError:
            return _guess(data, True)
    codec = _CODECS.get(name)
    if codec is None:
        return _guess(data, name not in _GUESS, unknown=name not in _GUESS)
    if codec == "cp1252":
        return _windows_1252(data), False
    if codec == "utf-8":
        return _utf_8(data)
    if codec.startswith("utf-16") and data[:2] in (b"\xfe\xff", b"\xff\xfe"):
        codec = "utf-16"
    text, problem = _with_codec(data, codec)
    if codec in _MAY_GIVE_SURROGATES and _SURROGATE.search(text):
        text, problem = _SURROGATE.sub("�", text), True
    return text.removeprefix("\ufeff"), problem


def sniff(data: bytes) -> str:
    """The text of unlabelled octets: UTF-8 if they are valid UTF-8, else windows-1252."""
    return _guess(data, False)[0]


def _guess(data: bytes, doubtful: bool, *, unknown: bool = False) -> tuple[str, bool]:
    try:
        return data.decode("utf-8").removeprefix("\ufeff"), unknown
    except UnicodeDecodeError:
        return _windows_1252(data), doubtful


def _windows_1252(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        # The Encoding Standard maps the five octets that Python leaves undefined to the C1 controls.
        return data.decode("latin-1").translate(_C1_AS_1252)


def _utf_8(data: bytes) -> tuple[str, bool]:
    try:
        return data.decode("utf-8").removeprefix("\ufeff"), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").removeprefix("\ufeff"), True


def _with_codec(data: bytes, codec: str) -> tuple[str, bool]:
    for name in (codec, *_WIDER.get(codec, ())):
        try:
            return data.decode(name), False
        except UnicodeError:
            continue
    try:
        return data.decode(codec, "replace"), True
    except UnicodeError:
        return _guess(data, True)[0], True
