"""Named numbers that a task adds to and the job sums up. Only a successful attempt's counters are kept, so retries never count twice."""

from __future__ import annotations

Totals = dict[str, dict[str, int]]
"""group -> name -> value: the form in which counters travel. The engine's own are in the group `job`."""

JOB_GROUP = "job"


class Counter:
    """One number. `inc` takes any int, negative ones too."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        self.value += amount


class Counters:
    """The counters of one task attempt."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Counter]] = {}

    def counter(self, group: str, name: str) -> Counter:
        names = self._groups.setdefault(group, {})
        found = names.get(name)
        if found is None:
            found = names[name] = Counter()
        return found

    def totals(self) -> Totals:
        """A copy, in order of group and name."""
        return {group: {name: names[name].value for name in sorted(names)} for group, names in sorted(self._groups.items())}


def add_totals(into: Totals, more: Totals) -> None:
    """Adds the second to the first, in place."""
    for group, names in more.items():
        target = into.setdefault(group, {})
        for name, value in names.items():
            target[name] = target.get(name, 0) + value
