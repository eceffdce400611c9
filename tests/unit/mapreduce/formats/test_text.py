"""Lines of splits: each exactly once, wherever the file is cut and however it is read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapreduce.formats import text
from mapreduce.formats.errors import BadRecord
from mapreduce.formats.text import TextInput
from mapreduce.formats.text_output import line


class Bytes:
    """A reader that notes what it was asked for."""

    def __init__(self, data: bytes) -> None:
        self.data, self.asked = data, list[tuple[int, int]]()

    def read_at(self, offset: int, length: int) -> bytes:
        self.asked.append((offset, length))
        return self.data[offset : offset + length]

    def stamp(self) -> str:
        return ""

    def close(self) -> None:
        pass


def records(
    data: bytes, offset: int = 0, length: int | None = None, **how: Any
) -> list[tuple[int, Any]]:
    """(offset, record) of every record of one split."""
    source = TextInput(Bytes(data), offset, len(data) - offset if length is None else length, **how)
    return [
        (batch.offset(i), record)
        for batch in source.batches()
        for i, record in enumerate(batch.records)
    ]


def oracle(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    for raw in _split(data):
        found.append(
            (at, raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\n") else raw)
        )
        at += len(raw)
    return found


def _split(data: bytes) -> list[bytes]:
    pieces = data.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


@pytest.fixture(params=[(1, 1, 1), (3, 2, 1), (8, 5, 3), (1 << 22, 1 << 18, 1 << 16)], ids=str)
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads so small that every border case happens."""
    for name, value in zip(
        ("READ_BYTES", "BATCH_BYTES", "_TAIL_BYTES"), request.param, strict=True
    ):
        monkeypatch.setattr(text, name, value)


data = st.text(alphabet="ab\r\n\né", max_size=30).map(str.encode)


@pytest.mark.usefixtures("sizes")
def test_every_line_once_wherever_the_file_is_cut() -> None:
    @settings(max_examples=120, deadline=None)
    @given(data, st.lists(st.integers(0, 45), max_size=5))
    def check(content: bytes, cuts: list[int]) -> None:
        edges = sorted({0, len(content), *(cut for cut in cuts if cut <= len(content))})
        found: list[tuple[int, Any]] = []
        for start, end in itertools.pairwise(edges):
            part = records(content, start, end - start, record_type="bytes")
            assert all(start <= offset < end for offset, _record in part)
            found += part
        assert found == oracle(content)
        assert records(content) == [(offset, record.decode()) for offset, record in oracle(content)]

    check()


def test_a_split_inside_a_huge_line_reads_only_itself() -> None:
    content = b"x" * 50_000_000 + b"\nlast"
    reader = Bytes(content)
    assert list(TextInput(reader, 10_000_000, 1_000_000).batches()) == []
    assert sum(length for _offset, length in reader.asked) == 1_000_001
    ((offset, first),) = records(content, 0, 1000, record_type="bytes")
    assert (offset, len(first)) == (0, 50_000_000)
    assert records(content, 49_999_999, 6) == [(50_000_001, "last")]


def test_reads_begin_at_large_aligned_offsets() -> None:
    reader = Bytes(b"line\n" * 2_000_000)
    list(TextInput(reader, 1_000_000, 8_000_000).batches())
    assert [offset for offset, _length in reader.asked[1:]] == [4 << 20, 8 << 20]


def test_only_a_line_end_is_cut() -> None:
    assert records(b"a\r\r\n\rb\x0b\x0c\x1c\xe2\x80\xa8c\n\r\n\r") == [
        (0, "a\r"),
        (4, "\rb\x0b\x0c\x1c\u2028c"),
        (14, ""),
        (16, "\r"),
    ]


def test_text_that_is_not_utf8() -> None:
    content = b"good\nb\xe9d\r\ngood\n"
    with pytest.raises(BadRecord, match="byte 0xe9 at 6, invalid continuation byte") as caught:
        records(content)
    assert (caught.value.offset, caught.value.record) == (5, b"b\xe9d")
    assert [r for _, r in records(content, encoding_errors="replace")] == [
        "good",
        "b\ufffdd",
        "good",
    ]
    assert [r for _, r in records(content, record_type="bytes")] == [b"good", b"b\xe9d", b"good"]
    assert [r for _, r in records(b"\xc3\n\xa9", encoding_errors="replace")] == ["\ufffd", "\ufffd"]


def test_offsets_count_bytes() -> None:
    assert records("é\n日本\r\nz".encode()) == [(0, "é"), (3, "日本"), (11, "z")]


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("k", 1, b"k\t1\n"),
        ("é", None, "é\n".encode()),
        (None, "v", b"v\n"),
        (None, None, b"\n"),
        (b"\xff", b"\xfe", b"\xff\t\xfe\n"),
        (b"\xff", "é", b"\xff\t\xc3\xa9\n"),
        (1.5, (1, "a"), b"1.5\t(1, 'a')\n"),
        ("", "", b"\t\n"),
        (True, b"", b"True\t\n"),
    ],
)
def test_a_line_of_output(key: Any, value: Any, written: bytes) -> None:
    assert line(key, value) == written
