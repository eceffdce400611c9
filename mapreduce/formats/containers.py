"""What a file begins with: the formats that are no lines of text, by their magic numbers.

A job reads lines. A file that holds them compressed is decompressed where Python's library can
(gzip, bzip2, xz); every other format is refused by its name, whatever `encoding_errors` says and
whether the records are `str` or `bytes`: the newline bytes inside a Parquet or zip file separate
nothing, so its "lines" are noise in any decoding. Magic numbers that are letters alone (`ORC`)
count only before bytes that are no text.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

HEAD_BYTES = 512
"""As much of a file's beginning as `recognise` wants; fewer bytes only of a shorter file."""
GZIP, BZIP2, XZ = "gzip", "bzip2", "xz"
COMPRESSED = frozenset({GZIP, BZIP2, XZ})
BYTE_ORDER_MARK = codecs.BOM_UTF8


@dataclass(frozen=True, slots=True)
class _Magic:
    prefix: bytes
    name: str
    at: int = 0
    is_text: bool = False  # the number alone could begin a text


_MAGICS = (
    _Magic(b"\x1f\x8b\x08", GZIP),
    _Magic(b"\xfd7zXZ\x00", XZ),
    _Magic(b"\x28\xb5\x2f\xfd", "zstd"),
    _Magic(b"\x04\x22\x4d\x18", "lz4"),
    _Magic(b"\x02\x21\x4c\x18", "lz4"),
    _Magic(b"\xff\x06\x00\x00sNaPpY", "snappy"),
    _Magic(b"\x89LZO\x00", "lzop"),
    _Magic(b"\x1f\x9d", "compress (.Z)"),
    _Magic(b"\x1f\xa0", "compress (.Z)"),
    _Magic(b"LZIP", "lzip", is_text=True),
    _Magic(b"PK\x03\x04", "zip"),
    _Magic(b"PK\x05\x06", "zip"),
    _Magic(b"7z\xbc\xaf\x27\x1c", "7z"),
    _Magic(b"Rar!\x1a\x07", "rar"),
    _Magic(b"ustar", "tar", at=257),
    _Magic(b"PAR1", "Parquet", is_text=True),
    _Magic(b"PARE", "Parquet", is_text=True),
    _Magic(b"Obj\x01", "Avro"),
    _Magic(b"ORC", "ORC", is_text=True),
    _Magic(b"RCF", "RCFile", is_text=True),
    _Magic(b"ARROW1\x00\x00", "Arrow"),
    _Magic(b"FEA1", "Feather", is_text=True),
    _Magic(b"\x89HDF\r\n\x1a\n", "HDF5"),
    _Magic(b"SQLite format 3\x00", "SQLite"),
    _Magic(b"\xff\xfe\x00\x00", "UTF-32 text"),
    _Magic(b"\x00\x00\xfe\xff", "UTF-32 text"),
    _Magic(b"\xff\xfe", "UTF-16 text"),
    _Magic(b"\xfe\xff", "UTF-16 text"),
    _Magic(b"\x89PNG\r\n\x1a\n", "PNG"),
    _Magic(b"\xff\xd8\xff", "JPEG"),
    _Magic(b"\x7fELF", "ELF"),
)
_BZIP2_BLOCKS = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # behind 0x50…0x5f; of lz4 as well
_SEQUENCE_FILE_VERSIONS = range(1, 7)
_ADVICE = {
    "UTF-16 text": "iconv -f UTF-16 -t UTF-8",
    "UTF-32 text": "iconv -f UTF-32 -t UTF-8",
    "zstd": "zstd -d",
    "lz4": "lz4 -d",
    "zip": "unzip -p",
    "tar": "tar -xf",
    "lzop": "lzop -d",
    "compress (.Z)": "uncompress",
}


def recognise(head: bytes) -> str:
    """The name of the format that begins so; "" for what may be lines of text."""
    for magic in _MAGICS:
        if head.startswith(magic.prefix, magic.at) and not (magic.is_text and _reads_as_text(head)):
            return magic.name
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] in _BZIP2_BLOCKS:
        return BZIP2
    if head[1:4] == _ZSTD_SKIPPABLE and 0x50 <= head[0] <= 0x5F:
        return "zstd"
    if head[:3] == b"SEQ" and len(head) > 3 and head[3] in _SEQUENCE_FILE_VERSIONS:
        return "SequenceFile"
    return ""


def refusal(name: str) -> str:
    """Why a file of that format is not read, behind "input PATH"."""
    advice = f" (`{_ADVICE[name]}`)" if name in _ADVICE else ""
    return f"is {name}, not lines of text: convert it first{advice}"


def _reads_as_text(head: bytes) -> bool:
    """No control characters but those of text, and UTF-8 up to a character that the head's end may
    have cut."""
    if any(byte < 0x20 and byte not in b"\t\n\r\f\v\x1b" for byte in head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
