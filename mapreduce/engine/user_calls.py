"""The job's methods as the engine calls them.

A StopIteration that leaves a method is an error, as it is in any generator: where it reached a loop
of ours it would end the loop and lose every record that follows. What a method returns is looked at
before it is read, and what it yielded last is remembered, so that a failure which shows only in the
engine (a key of the wrong kind, a value that cannot be written) names the line that yielded it.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from types import FunctionType, GeneratorType
from typing import Any

from mapreduce.api.job import Job
from mapreduce.formats.pairs import BadPair, Pair

_WANTED = "where (key, value) pairs are wanted: yield them, one by one"
_NEVER_READ = (Iterator, AsyncIterator, Coroutine, list, tuple, Mapping)


class UserCalls:
    def __init__(self, job: Job | None) -> None:
        self._job = job
        self._last: Any = None  # what it returned, when that is a generator
        self.method = ""  # the one called last

    def pairs_of(self, name: str) -> Callable[..., Iterator[Pair]]:
        """The method `name`, which gives pairs."""
        function = getattr(self._job, name)

        def call(*arguments: Any) -> Iterator[Pair]:
            self.method = name
            try:
                result = function(*arguments)
                if type(result) is not GeneratorType:
                    self._last = None
                    return _iterated(name, result)
            except StopIteration as error:
                raise _as_error(name, error) from None
            self._last = result
            return result

        return call

    def refuse_yields(self, name: str) -> None:
        """Before anything runs: a setup or teardown written as a generator would never run."""
        function = inspect.unwrap(getattr(self._job, name))
        kinds = (
            inspect.isgeneratorfunction,
            inspect.iscoroutinefunction,
            inspect.isasyncgenfunction,
        )
        if any(kind(function) for kind in kinds):
            self.method, self._last = name, None
            raise BadPair(
                "yields, and nobody reads what it yields: only map, combine and reduce yield pairs"
            )

    def once(self, name: str) -> None:
        """Calls setup or teardown."""
        self.refuse_yields(name)
        self.method, self._last = name, None
        try:
            result = getattr(self._job, name)()
        except StopIteration as error:
            raise _as_error(name, error) from None
        if result is not None and isinstance(result, _NEVER_READ):
            raise BadPair(
                f"returned a {type(result).__qualname__}, and nobody reads it: only map, combine "
                "and reduce give pairs"
            )

    def place(self) -> str:
        """Where the method called last is defined, for the end of a message; "" where `yield_line`
        says it better."""
        code = (
            getattr(inspect.unwrap(getattr(self._job, self.method)), "__code__", None)
            if self.method
            else None
        )
        return (
            f" ({self.method} is in {code.co_filename}, line {code.co_firstlineno})"
            if code and not self.yield_line()
            else ""
        )

    def yield_line(self) -> str:
        """The line that yielded last as a traceback shows it; "" where no generator stands at
        one."""
        generator, frames = self._last, []
        while isinstance(generator, GeneratorType) and generator.gi_frame is not None:
            frames.append(
                traceback.FrameSummary(
                    generator.gi_code.co_filename,
                    generator.gi_frame.f_lineno,
                    generator.gi_code.co_name,
                )
            )
            generator = generator.gi_yieldfrom
        return "".join(traceback.format_list(frames)).rstrip("\n")


def _iterated(name: str, result: Any) -> Iterator[Pair]:
    """What a method that is no generator returned, as an iterator."""
    kind = type(result).__qualname__
    if isinstance(result, Mapping):
        raise BadPair(f"gave a {kind} object {_WANTED}, or return its items()")
    if isinstance(result, str | bytes | bytearray) or (
        not isinstance(result, Iterable) and not hasattr(type(result), "__getitem__")
    ):
        raise BadPair(f"gave a {kind} object {_WANTED}")
    if isinstance(result, tuple) and not all(isinstance(item, tuple | list) for item in result):
        raise BadPair(f"returned a tuple {_WANTED}, or return a list of them")
    items = iter(result)
    runs_no_code = type(items) in _ITERATORS_OF_CONTAINERS
    return items if runs_no_code or not _is_of_c(items) else _heard(name, items)


_CONTAINERS: tuple[Iterable[Any], ...] = ([], (), set(), {}.items(), {}.keys(), {}.values())
_ITERATORS_OF_CONTAINERS = frozenset(type(iter(container)) for container in _CONTAINERS)


def _is_of_c(items: Iterator[Any]) -> bool:
    """Whether its end leaves no frame: `map`, `filter`, `zip` and all that itertools has."""
    return not isinstance(getattr(type(items), "__next__", None), FunctionType)


def _heard(name: str, items: Iterator[Pair]) -> Iterator[Pair]:
    """`items` to their end. `map(function, lines)` passes on a StopIteration of its function as if
    the lines had come to theirs; what tells them apart is the function's frame. An iterator of the
    user's that a `zip` reads ends in its own `__next__`."""
    while True:
        try:
            pair = next(items)
        except StopIteration as error:
            assert error.__traceback__ is not None
            inside = error.__traceback__.tb_next
            if inside is not None and inside.tb_frame.f_code.co_name != "__next__":
                raise _as_error(name, error) from None
            return
        yield pair


def _as_error(name: str, error: StopIteration) -> RuntimeError:
    """In the same place, with the same frames."""
    return RuntimeError(f"{name} raised StopIteration").with_traceback(error.__traceback__)
