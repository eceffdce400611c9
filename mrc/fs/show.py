"""The verbs of `mrc fs` that show what a file holds: cat, text, head, tail, checksum."""

from __future__ import annotations

import bz2
import lzma
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from shlex import quote
from typing import Any

import crc32c

from minihdfs.client.reader import FileReader
from minihdfs.errors import FsError, IsADirectory
from mrc.fs.progress import Progress
from mrc.fs.targets import Found, Verb
from mrc.printing import out

BUFFER_BYTES = 4 << 20

DECODED: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", lzma.LZMADecompressor),
)
REFUSED = (
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\0\0sNaPpY", "snappy"),
    (b"SEQ\x06", "a SequenceFile"),
    (b"Obj\x01", "Avro"),
    (b"PAR1", "Parquet"),
)


def cat(verb: Verb, paths: Sequence[str]) -> int:
    data = sys.stdout.buffer
    for found in verb.each(paths):
        with verb.trying(), _open_file(found) as source:
            pour(source, data.write, None)
    data.flush()
    return verb.exit_code


def text(verb: Verb, paths: Sequence[str]) -> int:
    """As `cat`, with what is compressed decompressed. What could not be read is refused by the name
    of its format."""
    data = sys.stdout.buffer
    for found in verb.each(paths):
        with verb.trying(), _open_file(found) as source:
            front = source.read(16) or b""
            source.seek(0)
            for magic, name in REFUSED:
                if front.startswith(magic):
                    raise FsError(
                        f"{found.shown} is {name}, which is not decoded here",
                        next_command=f"mrc fs get {quote(found.shown)}",
                    )
            open_decoder = next((make for magic, make in DECODED if front.startswith(magic)), None)
            if open_decoder is None:
                pour(source, data.write, None)
            else:
                _decode(found, source, open_decoder, data.write)
    data.flush()
    return verb.exit_code


def _decode(
    found: Found,
    source: FileReader,
    open_decoder: Callable[[], Any],
    write: Callable[[bytes], object],
) -> None:
    """Member after member, as the tools of these formats do; zeros behind the last one are
    padding."""
    decoder, data, begun = open_decoder(), b"", False
    try:
        while data or (data := source.read(1 << 20) or b""):
            if not begun and not (data := data.lstrip(b"\0")):
                continue
            begun = True
            write(decoder.decompress(data))
            data = b""
            if decoder.eof:
                data, begun = decoder.unused_data, False
                decoder = open_decoder()
    except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FsError(f"{found.shown} does not decompress: {error}") from None
    if begun:
        raise FsError(f"{found.shown} ends in the middle of its compressed data")


def head(verb: Verb, path: str, count: int) -> int:
    data = sys.stdout.buffer
    for found in verb.each([path]):
        with verb.trying(), _open_file(found) as source:
            data.write(source.read(count))
    data.flush()
    return verb.exit_code


def tail(verb: Verb, path: str, *, count: int, follow: bool, pause_s: float) -> int:
    """With `follow`, goes on until it is interrupted, as bytes become known; a file that replaced
    it is shown from its beginning."""
    data = sys.stdout.buffer
    for found in verb.each([path]):
        with verb.trying():
            position, inode_id = -1, found.entry.status.inode_id
            while True:
                status = found.fs.find(found.path)
                if status is not None and (position < 0 or not status.is_directory):
                    with _open_file(found) as source:
                        if position < 0:
                            position = max(0, source.length - count)
                        elif status.inode_id != inode_id or source.length < position:
                            position = 0
                        inode_id = status.inode_id
                        source.seek(position)
                        position += pour(source, data.write, None)
                    data.flush()
                if not follow:
                    break
                time.sleep(pause_s)
    return verb.exit_code


def checksum(verb: Verb, paths: Sequence[str]) -> int:
    """The CRC of the whole file, which does not depend on how it is cut into blocks: Hadoop's
    COMPOSITE-CRC."""
    for found in verb.each(paths):
        with verb.trying(), _open_file(found) as source:
            value = 0
            while piece := source.read(BUFFER_BYTES):
                value = crc32c.crc32c(piece, value)
            out(f"{found.shown}\tCOMPOSITE-CRC32C\t{value:08x}")
    return verb.exit_code


def pour(
    source: FileReader, write: Callable[[memoryview], object], progress: Progress | None
) -> int:
    """Everything from the source's position on; returns how many bytes."""
    buffer = memoryview(bytearray(min(BUFFER_BYTES, max(1, source.length - source.tell()))))
    total = 0
    while count := source.readinto(buffer):
        left = buffer[:count]
        while left:
            written = write(left)
            left = left[written if isinstance(written, int) else len(left) :]
        total += count
        if progress is not None:
            progress.add(count)
    return total


def _open_file(found: Found) -> FileReader:
    if found.is_directory:
        raise IsADirectory(
            f"{found.shown} is a directory", next_command=f"mrc fs ls {quote(found.shown)}"
        )
    return found.fs.open(found.path)
