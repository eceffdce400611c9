"""Takes what a map yields and holds it by key until it is written out, sorted and partitioned.

Fresh pairs go into one dict per exact type for str, bytes and int keys, and by their encoding for
all others, each key with the list of its values in the order they came. As long as every value is
the very same object and every key of one type (counting: `yield word, 1`), a dict of numbers stands
in for the lists: it says the same, in about half the time, and turns into lists at the first pair
that differs. Values are frozen as they come (values.py), and thawed for a combine.

With a combine, `fold` puts each fresh key's values, behind what an earlier fold left of it, through
the job's combine and keeps what that yields. Every value that reaches a reducer has then been
through combine at least once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from typing import Any

from mapreduce.engine import partition
from mapreduce.engine.codec import Section, encode_frames, section_of_encoding
from mapreduce.engine.keys import decode, encode
from mapreduce.engine.map_output import MapOutputWriter
from mapreduce.engine.pulse import Moves
from mapreduce.engine.values import ATOMS, Pickled, freeze, thaw
from mapreduce.formats.pairs import BadPair, Pair, as_pair

CombineFunction = Callable[[Any, Iterator[Any]], Iterable[Pair]]
_NATIVE: dict[type, Section] = {int: Section.INT, str: Section.STR, bytes: Section.BYTES}
_KIND = {section: kind for kind, section in _NATIVE.items()}
FOLD_RECORDS = 2_000_000
_NOTHING = object()
NO_KEY = object()


class _Lists(dict[Any, list[Any]]):
    """key -> its values."""

    def __missing__(self, key: Any) -> list[Any]:
        values = self[key] = []
        return values


class _EncodedLists:
    """The same for keys that do not compare natively: by encoding."""

    def __init__(self) -> None:
        self.by_encoding = _Lists()

    def __getitem__(self, key: Any) -> list[Any]:
        return self.by_encoding[encode(key)]


class _Tables(dict[type, Any]):
    """type of a key -> where its pairs go."""

    def __init__(self) -> None:
        super().__init__({kind: _Lists() for kind in _NATIVE})
        self.encoded = _EncodedLists()

    def __missing__(self, kind: type) -> _EncodedLists:
        return self.encoded


class Collector:
    """One map attempt's pairs."""

    def __init__(self, combine: CombineFunction | None = None, moves: Moves | None = None) -> None:
        self._combine = combine
        self._moves = moves or Moves()
        self._thaws = False  # some value is frozen
        self._combined: dict[Section, dict[Any, list[Any]]] = {}
        self.map_output_records = 0
        self.combine_output_records = 0
        self.records_held = 0  # taken since the last write, to the nearest batch
        self.failed_key: Any = NO_KEY  # the key whose combine raised
        self._clear_fresh()

    def _clear_fresh(self) -> None:
        self._tables = _Tables()
        self._counts: dict[Any, int] = {}
        self._constant: Any = _NOTHING
        self._counted_kind: type = str
        self._last_kind: type = str
        self._is_counting = True
        self.records_fresh = 0  # taken since the last fold or write, to the nearest batch

    def take(self, pairs: Iterator[Pair], limit: int) -> bool:
        """Takes about `limit` pairs; False when there are no more. Raises BadKey, BadPair,
        CannotPickle."""
        self._take(islice(pairs, limit))
        self.records_held += limit
        self.records_fresh += limit
        one_more = list(islice(pairs, 1))
        self._take(iter(one_more))
        return bool(one_more)

    def _take(self, pairs: Iterator[Pair]) -> None:
        if self._is_counting:
            self._take_counting(pairs)
        tables, kind = self._tables, self._last_kind
        lists = tables[kind]
        get, are_atoms = lists.get, ATOMS.issuperset
        for pair in pairs:  # a method call and a subscript less for keys of the kind that came last
            if type(pair) is not tuple:
                pair = as_pair(pair)
            key, value = pair
            if type(value) not in ATOMS and (
                type(value) is not tuple or not are_atoms(map(type, value))
            ):
                value = self._frozen(value)
            if type(key) is kind:
                values = get(key)
                if values is None:
                    lists[_writable(key)] = [value]
                else:
                    values.append(value)
            else:
                self._add(key, value)
                if type(key) in _NATIVE:
                    kind = self._last_kind = type(key)
                    lists = tables[kind]
                    get = lists.get

    def _take_counting(self, pairs: Iterator[Pair]) -> None:
        """Returns at the end of `pairs`, or earlier when they no longer can be counted."""
        if self._constant is _NOTHING:
            for pair in islice(pairs, 1):
                key, value = as_pair(pair)
                if type(key) not in _NATIVE or type(value) not in ATOMS:
                    self._stop_counting()
                    self._add(key, self._frozen(value))
                    return
                self._counted_kind, self._constant = type(key), value
                self._counts[_writable(key)] = 1
        counts, kind, constant = self._counts, self._counted_kind, self._constant
        for pair in pairs:
            if type(pair) is not tuple:
                pair = as_pair(pair)
            key, value = pair
            if value is constant and type(key) is kind:
                try:  # dearer than `get` for a new key, but most are not
                    counts[key] += 1
                except KeyError:
                    counts[_writable(key)] = 1
            else:
                self._stop_counting()
                self._add(key, self._frozen(value))
                return

    def _add(self, key: Any, value: Any) -> None:
        self._tables[type(key)][_writable(key)].append(value)

    def _frozen(self, value: Any) -> Any:
        if type(value) in ATOMS:
            return value
        value = freeze(value)
        if type(value) is Pickled:
            self._thaws = True
        return value

    def _given(self, values: Iterable[Any]) -> Iterator[Any]:
        """Values as a combine gets them."""
        values = self._moves.through(values)
        return map(thaw, values) if self._thaws else values

    def _stop_counting(self) -> None:
        table = self._tables[self._counted_kind] if self._counts else {}
        for key, times in self._counts.items():
            table[key] = [self._constant] * times
        self._counts, self._is_counting = {}, False

    @property
    def wants_fold(self) -> bool:
        """Whether the fresh lists have become so long that combining them now is cheaper than
        later. Counting needs no lists."""
        return (
            self._combine is not None
            and not self._is_counting
            and self.records_fresh >= FOLD_RECORDS
        )

    def fold(self) -> None:
        """Puts everything fresh through combine."""
        for section, items in self._fresh():
            kept = self._combined.setdefault(section, {})
            if section.is_encoded:
                for key, values in items:
                    kept[key] = self.combine_one(section, key, chain(kept.get(key, ()), values))
            else:
                self._fold_native(_KIND[section], kept, items)
        self._clear_fresh()

    def _fold_native(
        self, kind: type, kept: dict[Any, list[Any]], items: Iterable[tuple[Any, Iterable[Any]]]
    ) -> None:
        """combine_one for every key, in one loop: it runs once for each distinct word of a text."""
        combine, is_first_fold, count = self._combine, not kept, 0
        through, given = self._moves.through, self._given
        assert combine is not None
        key: Any = NO_KEY
        try:
            for key, values in items:
                if not is_first_fold and key in kept:
                    values = chain(kept[key], values)
                results = []
                for pair in through(combine(key, given(values))):
                    if type(pair) is not tuple:
                        pair = as_pair(pair)
                    result_key, result = pair
                    if result_key is not key and (
                        type(result_key) is not kind or result_key != key
                    ):
                        raise BadPair(_changed_key(key, result_key), "bad_record")
                    results.append(result if type(result) in ATOMS else self._frozen(result))
                kept[key] = results
                count += len(results)
        except BaseException:
            self.failed_key = key
            raise
        self.combine_output_records += count

    def combine_one(self, section: Section, key: Any, values: Iterator[Any]) -> list[Any]:
        """What combine yields for one key. `key` is an encoding in the encoded sections."""
        assert self._combine is not None
        given = decode(key) if section.is_encoded else key
        identity = key if section.is_encoded else encode(key)
        results = []
        try:
            for pair in self._moves.through(self._combine(given, self._given(values))):
                result_key, result = as_pair(pair)
                if result_key is not given and encode(result_key) != identity:
                    raise BadPair(_changed_key(given, result_key), "bad_record")
                results.append(self._frozen(result))
        except BaseException:
            self.failed_key = given
            raise
        self.combine_output_records += len(results)
        return results

    def _fresh(self) -> Iterator[tuple[Section, Iterable[tuple[Any, Iterable[Any]]]]]:
        """Every section that has fresh pairs, as (section, (key, values) …), in no order. Counts
        them as map output."""
        if self._counts:
            self.map_output_records += sum(self._counts.values())
            yield (
                _NATIVE[self._counted_kind],
                zip(
                    self._counts,
                    map(repeat, repeat(self._constant), self._counts.values()),
                    strict=True,
                ),
            )
        for kind, section in _NATIVE.items():
            if self._tables[kind]:
                self.map_output_records += sum(map(len, self._tables[kind].values()))
                yield section, self._tables[kind].items()
        by_section: dict[Section, list[tuple[bytes, list[Any]]]] = {}
        for encoding, values in self._tables.encoded.by_encoding.items():
            self.map_output_records += len(values)
            by_section.setdefault(section_of_encoding(encoding), []).append((encoding, values))
        yield from by_section.items()

    def write(self, writer: MapOutputWriter, partitions: int) -> None:
        """Writes everything as sorted frames, partition by partition, and is empty afterwards.
        Folds first where there is a combine."""
        if self._combine is not None:
            self.fold()
            held = self._combined
        else:
            held = {
                section: {key: _listed(values) for key, values in items}
                for section, items in self._fresh()
            }
        self._clear_fresh()
        parts = [
            (section, held[section], _partitioned(section, held[section], partitions))
            for section in sorted(held)
        ]
        for number in range(partitions):
            writer.begin(number)
            for section, table, buckets in parts:
                for frame, records in _frames(section, table, buckets[number]):
                    writer.write(frame, records)
        self._combined = {}
        self.records_held = 0


def _writable(key: Any) -> Any:
    """The key, when it is met for the first time. Raises BadKey for a text that cannot be
    written."""
    if type(key) is str and not key.isascii():
        encode(key)
    return key


def _listed(values: Iterable[Any]) -> list[Any]:
    return values if isinstance(values, list) else list(values)


def _changed_key(key: Any, result_key: Any) -> str:
    return (
        f"combine was given the key {key!r:.80} and yielded {result_key!r:.80}: a combine "
        "yields the key it was given"
    )


def _partitioned(section: Section, table: dict[Any, list[Any]], partitions: int) -> list[list[Any]]:
    """The table's keys, sorted, by partition."""
    keys = sorted(table)
    buckets: list[list[Any]] = [[] for _ in range(partitions)]
    for key, code in zip(keys, _hashes(section, keys), strict=True):
        buckets[code % partitions].append(key)
    return buckets


def _hashes(section: Section, keys: list[Any]) -> Iterator[int]:
    if section is Section.STR:
        return partition.hashes_of_str(keys)
    if section is Section.BYTES:
        return partition.hashes_of_bytes(keys)
    return (
        partition.hashes_of_int(keys)
        if section is Section.INT
        else partition.hashes_of_encodings(keys)
    )


def _frames(
    section: Section, table: dict[Any, list[Any]], keys: list[Any]
) -> Iterator[tuple[bytes, int]]:
    lists = [table[key] for key in keys]
    counts: list[int] | None = list(map(len, lists))
    if all(map(int.__eq__, counts or (), repeat(1))):
        counts = None
    elif counts and 0 in counts:  # a combine that yielded nothing
        keys, lists = [k for k in keys if table[k]], [values for values in lists if values]
        counts = list(map(len, lists))
    return encode_frames(section, keys, counts, list(chain.from_iterable(lists)))
