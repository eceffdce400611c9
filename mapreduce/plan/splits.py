"""How input files are cut into splits, one map each.

Without a word from the user: pieces of 16 MiB inside blocks, so that a map reads one replica; for a
very large input the size doubles until there are at most 10,000 maps, but never beyond a block. A
piece that would leave a crumb behind (less than a tenth) takes it along. With `split_bytes` the
size is exactly that, wherever blocks end. A compressed file is one split, as only its first byte is
a beginning.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import attrgetter

import msgspec

from clusterkit.errors import UsageError
from mapreduce.errors import InputRefused
from mapreduce.formats.containers import COMPRESSED, HEAD_BYTES, recognise, refusal
from mapreduce.plan.spec import DEFAULT_SPLIT_BYTES, MAX_MAPS, Split
from mapreduce.storage.api import FileInfo, Span, Storage

_CRUMB = 0.1
_OFFSET = attrgetter("offset")


def text_splits(
    storage: Storage, files: Sequence[FileInfo], *, split_bytes: int, least: int
) -> list[Split]:
    """See formats.registry."""
    made = make_splits(storage, files, split_bytes=split_bytes, least=least)
    return uncut(storage, files, made)


def make_splits(
    storage: Storage, files: Sequence[FileInfo], *, split_bytes: int = 0, least: int = 1
) -> list[Split]:
    """Splits in the order of the files. Empty files give none; input that is all empty gives one
    empty split, so that every job has a map.

    `least`: cut smaller where that many splits cannot be had otherwise (the inline runner wants
    two)."""
    total = sum(info.length for info in files)
    if total == 0:
        return [Split(files[0].path, 0, 0, stamp=files[0].stamp)]
    if split_bytes:
        wanted = sum(-(-info.length // split_bytes) for info in files)
        if wanted > MAX_MAPS:
            raise UsageError(
                f"split_bytes {split_bytes} would make {wanted} maps of {total} bytes; at most "
                f"{MAX_MAPS} are allowed",
                next_command=f"--split-bytes {-(-total // MAX_MAPS)} or more",
            )
        return [split for info in files for split in _exact(storage, info, split_bytes)]
    located = [(info, storage.locate(info.path, 0, info.length)) for info in files if info.length]
    size = _size(located)
    splits = [split for info, spans in located for split in _inside_blocks(info, spans, size)]
    while len(splits) < least and size > 1:
        size = (
            -(-size // 2)
            if size <= max(split.length for split in splits)
            else max(split.length for split in splits)
        )
        splits = [split for info, spans in located for split in _inside_blocks(info, spans, size)]
    return splits


def uncut(storage: Storage, files: Sequence[FileInfo], splits: Sequence[Split]) -> list[Split]:
    """The splits, but one for a file that can only be read from its beginning. Only files that
    would be cut are looked into: the others' only map sees how they begin. Raises InputRefused for
    a format that is no lines."""
    count = Counter(split.path for split in splits)
    whole = {
        info.path: info
        for info in files
        if count[info.path] > 1 and _is_compressed(storage, info.path)
    }
    found, done = [], set[str]()
    for split in splits:
        if split.path not in whole:
            found.append(split)
        elif split.path not in done:
            done.add(split.path)
            found.append(msgspec.structs.replace(split, length=whole[split.path].length))
    return found


def _is_compressed(storage: Storage, path: str) -> bool:
    reader = storage.open(path)
    try:
        form = recognise(reader.read_at(0, HEAD_BYTES))
    finally:
        reader.close()
    if form and form not in COMPRESSED:
        raise InputRefused(f"input {storage.uri(path)} {refusal(form)}")
    return bool(form)


def _size(located: Sequence[tuple[FileInfo, Sequence[Span]]]) -> int:
    """16 MiB, doubled while there are too many maps and a larger size makes fewer."""
    lengths = [span.length for _info, spans in located for span in spans]
    size = DEFAULT_SPLIT_BYTES
    while sum(_pieces(length, size) for length in lengths) > MAX_MAPS and size < max(lengths):
        size *= 2
    return size


def _pieces(length: int, size: int) -> int:
    """How many splits a span makes."""
    whole, rest = divmod(length, size)
    return max(whole + (rest > size * _CRUMB or not whole), 1)


def _inside_blocks(info: FileInfo, spans: Sequence[Span], size: int) -> Iterator[Split]:
    for span in spans:
        count, at, end = _pieces(span.length, size), span.offset, span.offset + span.length
        for number in range(count):
            stop = end if number == count - 1 else at + size
            yield Split(info.path, at, stop - at, list(span.hosts), info.stamp)
            at = stop


def _exact(storage: Storage, info: FileInfo, size: int) -> Iterator[Split]:
    spans = storage.locate(info.path, 0, info.length) if info.length else ()
    for at in range(0, info.length, size):
        length = min(size, info.length - at)
        yield Split(info.path, at, length, _hosts(spans, at, at + length), info.stamp)


def _hosts(spans: Sequence[Span], start: int, end: int) -> list[str]:
    """Of the block that holds most of the range. `spans` are in order."""
    first = max(bisect_right(spans, start, key=_OFFSET) - 1, 0)
    touched = spans[first : bisect_left(spans, end, key=_OFFSET)]
    best = max(
        touched,
        key=lambda span: min(end, span.offset + span.length) - max(start, span.offset),
        default=None,
    )
    return list(best.hosts) if best is not None else []
