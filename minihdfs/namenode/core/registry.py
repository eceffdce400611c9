"""The tables at the end of each room, merged: which request has which handler, and which edit
which number and applier.

A mistake in them ends the import, so it is met by the first test and by no user: a request without
a handler, one with two, a number used twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from clusterkit.records import Record, number_of
from minihdfs.namenode.core.request import Request

if TYPE_CHECKING:  # the state is made of the rooms' nouns, and knows no room's calls
    from minihdfs.namenode.core.state import State

Handler = Callable[["State", Any], Any]
Again = Callable[["State", Any, Any], Any]
Applier = Callable[["State", Any, int], None]


class Call(NamedTuple):
    """`handler(state, request)` gives the value of the answer, raises FsError to refuse and Waits
    to be parked. `again(state, request, answer)` makes that value of what the retry table kept;
    without it the kept answer is the value (None for a `void` request)."""

    handler: Handler
    again: Again | None = None


Calls = dict[type[Request], Call]
Messages = dict[type, Handler]
Edits = dict[type[Record], Applier]
"""Each edit's number on disk stands in its class, and is never used again."""


def merged_calls(*tables: Calls) -> Calls:
    """Raises TypeError for a request that stands in two tables, or in none."""
    merged: Calls = {}
    for table in tables:
        for kind, call in table.items():
            if kind in merged:
                raise TypeError(f"{kind.__name__} has two handlers")
            merged[kind] = call
    # By name: a dataclass with slots leaves the class it was made of among the subclasses.
    handled = {kind.__qualname__ for kind in merged}
    without = {kind.__qualname__ for kind in Request.__subclasses__()} - handled
    if without:
        raise TypeError(f"requests without a handler: {', '.join(sorted(without))}")
    return merged


def merged_edits(*tables: Edits) -> Edits:
    """Raises TypeError for an edit without a number, or one with another's."""
    merged: Edits = {}
    numbers: dict[int, str] = {}
    for table in tables:
        for kind, applier in table.items():
            number = number_of(kind)
            if number in numbers:
                raise TypeError(f"edit {number} is {numbers[number]}, and {kind.__name__}")
            numbers[number] = kind.__name__
            merged[kind] = applier
    return merged
