"""Named numbers that a task adds to and the job sums up. Only a successful attempt's counters are
kept, so retries never count twice.

What cannot be counted is an error where it is counted: other things than whole numbers, names that
are no text, more names than a task may have. The engine's own counters are in a group that no job
can name, and outside of these limits.
"""

from __future__ import annotations

from operator import index
from typing import Any

from mapreduce.plan.spec import COUNTERS_LEFT_OUT, MAX_JOB_COUNTERS

Totals = dict[str, dict[str, int]]
"""group -> name -> value: the form in which counters travel. The engine's own are in the group
`job`."""

JOB_GROUP = "job"
MAX_NAMES = 5_000
MAX_NAMES_BYTES = 256 << 10
"""Of the names and groups of one task's counters together, in UTF-8: they travel with every report
of progress."""
MAX_NAME_BYTES = 1_024
_MOST = (1 << 63) - 1


class TooManyCounters(ValueError):
    """More names than a task may count under."""


class Counter:
    """One number. `inc` takes any whole number, negative ones too."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value = 0

    @property
    def value(self) -> int:
        return self._value

    def inc(self, amount: int = 1) -> None:
        if type(amount) is not int:
            amount = _whole(amount)
        value = self._value + amount
        if not -_MOST <= value <= _MOST:
            raise OverflowError(
                f"a counter holds whole numbers of 64 bits: {self._value} and {amount} are "
                "beyond them"
            )
        self._value = value


class Counters:
    """The counters of one task attempt."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Counter]] = {}
        self._own: dict[str, Counter] = {}
        self._names = self._names_bytes = 0

    def counter(self, group: str, name: str) -> Counter:
        """The user's. Raises TypeError and ValueError where the names are not what they have to
        be."""
        if type(name) is str and type(group) is str:
            names = self._groups.get(group)
            if names is not None and name in names:
                return names[name]
        return self._made(group, name)

    def own(self, name: str) -> Counter:
        """One of the engine's own."""
        return self._own.setdefault(name, Counter())

    def totals(self) -> Totals:
        """A copy, in order of group and name. May be asked for by another thread while the task
        counts."""
        groups = {**self._groups, JOB_GROUP: self._own} if self._own else dict(self._groups)
        return {
            group: {name: names[name].value for name in sorted(names)}
            for group, names in sorted(groups.items())
        }

    def _made(self, group: str, name: str) -> Counter:
        if group == JOB_GROUP:
            raise ValueError(
                f"the counters of the group {JOB_GROUP!r} are the engine's own: "
                f"self.counter({name!r}, group=…) with another"
            )
        size = _size_of_name(name) + _size_of_name(group)
        if self._names >= MAX_NAMES or self._names_bytes + size > MAX_NAMES_BYTES:
            limit = f"{MAX_NAMES} counters, and {MAX_NAMES_BYTES >> 10} KiB of their names"
            raise TooManyCounters(
                f"too many counters: one task has at most {limit}; what there is one of for "
                "every record is output"
            )
        self._names, self._names_bytes = self._names + 1, self._names_bytes + size
        return self._groups.setdefault(group, {}).setdefault(name, Counter())


def add_totals(into: Totals, more: Totals) -> None:
    """Adds the second to the first, in place. As on the tracker, a job has at most MAX_JOB_COUNTERS
    names, and what is left out is told."""
    held = sum(map(len, into.values()))
    for group, names in more.items():
        target = into.setdefault(group, {})
        for name, value in names.items():
            if name in target:
                target[name] += value
            elif group == JOB_GROUP or held < MAX_JOB_COUNTERS:
                target[name], held = value, held + 1
            else:
                own = into.setdefault(JOB_GROUP, {})
                own[COUNTERS_LEFT_OUT] = own.get(COUNTERS_LEFT_OUT, 0) + 1


def _whole(amount: Any) -> int:
    try:
        return int(index(amount))
    except TypeError:
        raise TypeError(
            f"a counter counts whole numbers, not {amount!r:.80} (a {type(amount).__qualname__})"
        ) from None


def _size_of_name(name: Any) -> int:
    if type(name) is not str:
        raise TypeError(
            f"a counter's name and group are texts, not {name!r:.80} (a {type(name).__qualname__})"
        )
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ValueError(
            f"a counter's name is a text that UTF-8 can write, not {name!a:.80}"
        ) from None
    if not 0 < size <= MAX_NAME_BYTES:
        raise ValueError(
            f"a counter's name has 1 to {MAX_NAME_BYTES} bytes, not {size}: {name!r:.80}"
        )
    return size
