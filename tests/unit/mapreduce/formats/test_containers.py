"""What a file begins with: compressed lines are read, other formats refused by name, text is text
whatever its first letters."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from mapreduce.formats import text
from mapreduce.formats.containers import HEAD_BYTES, recognise
from mapreduce.formats.errors import BadInput, BadRecord
from mapreduce.formats.text import TextInput
from mapreduce.storage.memory import MemoryStorage

LINES = "".join(f"line {number} é\r\n" for number in range(20_000)).encode()
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def read(data: bytes, **how: Any) -> list[tuple[int, Any]]:
    storage = MemoryStorage()
    storage.put("/f", data)
    source = TextInput(storage.open("/f"), 0, len(data), **how)
    found = [
        (batch.offset(i), record)
        for batch in source.batches()
        for i, record in enumerate(batch.records)
    ]
    assert source.bytes_done == len(data)
    return found


@pytest.mark.parametrize("form", COMPRESS)
@pytest.mark.parametrize(
    "how", [{}, {"record_type": "bytes"}, {"encoding_errors": "replace"}], ids=str
)
def test_compressed_lines_are_the_lines_that_were_compressed(
    form: str, how: dict[str, str]
) -> None:
    assert recognise(COMPRESS[form](LINES)[:HEAD_BYTES]) == form
    assert read(COMPRESS[form](LINES), **how) == read(LINES, **how)
    assert read(COMPRESS[form](b"")) == []


@pytest.mark.parametrize("form", COMPRESS)
def test_several_streams_in_one_file_are_one_text(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "READ_BYTES", 1 << 10)
    assert read(COMPRESS[form](LINES[:100]) + COMPRESS[form](LINES[100:])) == read(LINES)


@pytest.mark.parametrize("form", COMPRESS)
def test_damaged_or_cut_data_is_an_error_of_the_input(form: str) -> None:
    whole = COMPRESS[form](LINES)
    with pytest.raises(BadInput, match=f"is {form} data that ends in the middle"):
        read(whole[:-20])
    with pytest.raises(BadInput, match=f"is {form} data that"):
        read(whole[: len(whole) // 2] + b"damage!!" + whole[len(whole) // 2 :])


def test_what_is_not_utf8_in_compressed_lines_is_found_where_it_is_in_the_text() -> None:
    with pytest.raises(BadRecord) as caught:
        read(gzip.compress(b"good\nb\xe9d\n"))
    assert (caught.value.offset, caught.value.record) == (5, b"b\xe9d")


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "a")
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO(b""))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x28\xb5\x2f\xfd\x24\x01", "zstd"),
        (b"\x50\x2a\x4d\x18\x04\x00\x00\x00", "zstd"),
        (b"\x04\x22\x4d\x18\x64", "lz4"),
        (b"\xff\x06\x00\x00sNaPpY\x01", "snappy"),
        (b"PAR1\x15\x04\x15\x10", "Parquet"),
        (b"Obj\x01\x04\x16avro.schema", "Avro"),
        (b"SEQ\x06\x19org.apache.hadoop.io.Text", "SequenceFile"),
        (b"ORC\x0a\x0b\x00\x00", "ORC"),
        (b"SQLite format 3\x00\x10", "SQLite"),
        ("\ufeffzwei\n".encode("utf-16-le"), "UTF-16 text"),
        ("\ufeffzwei\n".encode("utf-16-be"), "UTF-16 text"),
        ("\ufeffzwei\n".encode("utf-32-le"), "UTF-32 text"),
        ("\ufeffzwei\n".encode("utf-32-be"), "UTF-32 text"),
        (_zip(), "zip"),
        (_tar(), "tar"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_formats_are_refused_by_name(data: bytes, name: str) -> None:
    for how in ({}, {"record_type": "bytes"}, {"encoding_errors": "replace"}):
        with pytest.raises(BadInput, match=f"^is {name}, not lines of text"):
            read(data, **how)


@pytest.mark.parametrize(
    "data",
    [
        b"ORCHIDS\tare flowers\n",
        b"PAR1S\n",
        b"SEQ 1\n",
        b"BZh9 is a name\n",
        b"PK\n",
        b"FEA1, a part\n",
        b"Obj\n",
    ],
)
def test_a_text_that_begins_like_a_magic_number_is_a_text(data: bytes) -> None:
    assert [record for _offset, record in read(data)] == data.decode().splitlines()


def test_the_byte_order_mark_is_dropped_at_the_beginning_of_the_file_only() -> None:
    mark = b"\xef\xbb\xbf"
    assert read(mark + b"one\ntwo" + mark + b"\n") == [(3, "one"), (7, "two\ufeff")]
    assert read(mark + b"one\n", record_type="bytes") == [(3, b"one")]
    assert read(mark) == []
    assert read(mark + b"\n" + mark) == [(3, ""), (4, "\ufeff")]
    assert read(gzip.compress(mark + b"one")) == [(3, "one")]
    with pytest.raises(BadRecord) as caught:
        read(mark + b"\xff\n")
    assert (caught.value.offset, caught.value.record) == (3, b"\xff")


def test_a_file_that_has_become_shorter_is_not_taken_for_all_of_it() -> None:
    storage = MemoryStorage()
    storage.put("/f", b"a\nb\n")
    with pytest.raises(BadInput, match="it has become shorter"):
        list(TextInput(storage.open("/f"), 0, 100).batches())
