"""What counts as a (key, value) pair: a tuple or a list of two. A string of two letters, a set or a
dict of two unpacks as well, and would be taken for a pair that nobody meant; so nothing else is
one."""

from __future__ import annotations

from typing import Any

Pair = tuple[Any, Any]


class BadPair(Exception):
    """What a method of the job yielded is not what it has to be; the text says how. `kind` is the
    failure report's."""

    def __init__(self, message: str, kind: str = "raised") -> None:
        super().__init__(message)
        self.kind = kind


def as_pair(item: Any) -> Pair:
    """The pair that `item` is. Raises BadPair; the text goes on from the name of the method that
    yielded it."""
    if isinstance(item, tuple | list):
        if len(item) == 2:
            return item[0], item[1]
        what = (
            f"yielded something that is not a (key, value) pair but {len(item)} things: yield "
            "key, value"
        )
        raise BadPair(what)
    raise BadPair(
        f"gave a {type(item).__qualname__} object where a (key, value) pair is wanted: yield "
        "key, value"
    )
