"""Merges sorted runs into one, holding one frame of each. Equal keys come in the order of the runs,
then in the order within a run.

A round takes from every run what lies below a bound, concatenates it and sorts: the pieces are
sorted already, and timsort finds the runs and gallops (several times faster than a heap of Python
objects). The bound is the lowest last key among the held frames that have successors in their
section. What equals the bound is then streamed run by run, so that one heavy key never has to fit
in memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol

from mapreduce.engine.codec import Frame, Section

Pair = tuple[Any, Any]
_KEY = itemgetter(0)


class Run(Protocol):
    """SegmentReader's face."""

    @property
    def section(self) -> Section | None: ...

    def next_frame(self) -> Frame: ...


def merge(
    runs: Sequence[Run], on_round: Callable[[], object] = lambda: None
) -> Iterator[tuple[Section, Iterator[list[Pair]]]]:
    """(section, its pairs in order, in pieces) for each section. The pieces must be read to their
    end before the next section is asked for."""
    while True:
        section = min((run.section for run in runs if run.section is not None), default=None)
        if section is None:
            return
        heads = [_Head(run, section) for run in runs if run.section is section]
        yield section, _rounds(heads, on_round)


class _Head:
    """What a merge holds of one run in one section."""

    __slots__ = ("_run", "_section", "pairs")

    def __init__(self, run: Run, section: Section) -> None:
        self._run, self._section = run, section
        self.pairs: list[Pair] = []
        self.refill()

    @property
    def has_more(self) -> bool:
        return self._run.section is self._section

    def refill(self) -> None:
        """Holds something unless the section has ended."""
        while not self.pairs and self.has_more:
            self.pairs = self._run.next_frame().pairs()

    def take_below(self, bound: Any) -> list[Pair]:
        return self._take(bisect_left(self.pairs, bound, key=_KEY))

    def take_equal(self, bound: Any) -> Iterator[list[Pair]]:
        while self.pairs and self.pairs[0][0] == bound:
            yield self._take(bisect_right(self.pairs, bound, key=_KEY))
            self.refill()

    def _take(self, count: int) -> list[Pair]:
        taken, self.pairs = self.pairs[:count], self.pairs[count:]
        return taken


def _rounds(heads: list[_Head], on_round: Callable[[], object]) -> Iterator[list[Pair]]:
    heads = [head for head in heads if head.pairs]
    while heads:
        on_round()
        if len(heads) == 1:
            yield heads[0].pairs
            heads[0].pairs = []
        else:
            bounds = [head.pairs[-1][0] for head in heads if head.has_more]
            if not bounds:
                yield _sorted([head.pairs for head in heads])
                return
            bound = min(bounds)
            yield _sorted([head.take_below(bound) for head in heads])
            for head in heads:
                for piece in head.take_equal(bound):
                    on_round()
                    yield piece
        for head in heads:
            head.refill()
        heads = [head for head in heads if head.pairs]


def _sorted(pieces: list[list[Pair]]) -> list[Pair]:
    pairs = list(chain.from_iterable(pieces))
    pairs.sort(key=_KEY)
    return pairs
