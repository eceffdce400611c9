"""Splits cover every byte once, stay inside blocks, and are exactly as large as asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterkit.errors import UsageError
from mapreduce.plan import splits as splits_module
from mapreduce.plan.spec import MAX_MAPS
from mapreduce.plan.splits import make_splits
from mapreduce.storage.api import FileInfo, Span
from mapreduce.storage.memory import MemoryStorage

MIB = 1 << 20


class Blocks(MemoryStorage):
    """Files by length only."""

    def __init__(self, block_bytes: int) -> None:
        super().__init__()
        self.block = block_bytes

    def locate(self, path: str, offset: int, length: int) -> list[Span]:
        cuts = range(offset, offset + length, self.block)
        return [
            Span(at, min(self.block, offset + length - at), (f"host{at // self.block}",))
            for at in cuts
        ]


def file(length: int, path: str = "/f") -> FileInfo:
    return FileInfo(path, False, length)


def covered(splits: list[splits_module.Split], files: list[FileInfo]) -> None:
    at = {info.path: 0 for info in files}
    for split in splits:
        assert split.offset == at[split.path]
        at[split.path] += split.length
    assert at == {info.path: info.length for info in files}


file_lengths = st.lists(st.integers(0, 300 * MIB), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(
    file_lengths,
    st.sampled_from([1 * MIB, 20 * MIB, 128 * MIB]),
    st.integers(0, 90 * MIB),
    st.integers(1, 3),
)
def test_every_byte_once(lengths: list[int], block: int, split_bytes: int, least: int) -> None:
    files = [file(length, f"/{i}") for i, length in enumerate(lengths)]
    split_bytes = split_bytes if split_bytes > 100_000 else 0
    splits = make_splits(Blocks(block), files, split_bytes=split_bytes, least=least)
    if not sum(lengths):
        assert [(s.path, s.offset, s.length) for s in splits] == [("/0", 0, 0)]
        return
    covered(splits, files)
    assert all(split.length for split in splits)
    if split_bytes:
        assert all(
            split.offset % split_bytes == 0 and split.length <= split_bytes for split in splits
        )
    else:
        assert all(
            split.offset // block == (split.offset + split.length - 1) // block for split in splits
        )
        assert all(split.hosts == [f"host{split.offset // block}"] for split in splits)
        assert len(splits) >= min(least, sum(lengths))


def test_sixteen_mebibytes_inside_blocks_without_crumbs() -> None:
    lengths = [split.length // MIB for split in make_splits(Blocks(40 * MIB), [file(81 * MIB)])]
    assert lengths == [16, 16, 8, 16, 16, 8, 1]
    assert [split.length for split in make_splits(Blocks(128 * MIB), [file(17 * MIB)])] == [
        17 * MIB
    ]


def test_a_very_large_input_gets_larger_splits_up_to_a_block() -> None:
    large = [file(400_000 * MIB)]
    splits = make_splits(Blocks(128 * MIB), large)
    assert splits[0].length == 64 * MIB
    splits = make_splits(Blocks(32 * MIB), large)
    assert splits[0].length == 32 * MIB
    assert len(splits) == 12_500


def test_two_maps_where_the_input_allows() -> None:
    assert [s.length for s in make_splits(Blocks(MIB), [file(5)], least=2)] == [3, 2]
    assert [s.length for s in make_splits(Blocks(MIB), [file(1)], least=2)] == [1]


def test_more_splits_than_anybody_wants_are_refused() -> None:
    with pytest.raises(UsageError, match="would make 1000000 maps"):
        make_splits(Blocks(MIB), [file(1_000_000)], split_bytes=1)


def test_what_is_planned_is_what_the_tracker_takes() -> None:
    assert len(make_splits(Blocks(MIB), [file(MAX_MAPS)], split_bytes=1)) == MAX_MAPS
    with pytest.raises(UsageError, match=f"at most {MAX_MAPS}"):
        make_splits(Blocks(MIB), [file(MAX_MAPS + 1)], split_bytes=1)
