"""`mrc fs find`: Hadoop's expressions, walked here: -name, -iname, -print, -print0, all of which
must hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clusterkit import patterns
from clusterkit.errors import UsageError
from mrc.fs.targets import Found, Verb
from mrc.printing import out, out_name


def find(verb: Verb, words: Sequence[str]) -> int:
    paths, wanted, with_nul = _parsed(words)
    for found in verb.each(paths or ["."]):
        with verb.trying():
            for each in _walk(verb, found):
                if all(pattern.fullmatch(each.entry.name) for pattern in wanted):
                    out_name(each.shown) if with_nul else out(each.shown)
    return verb.exit_code


def _walk(verb: Verb, found: Found) -> Iterator[Found]:
    yield found
    yield from verb.below(found)


def _parsed(words: Sequence[str]) -> tuple[list[str], list[re.Pattern[str]], bool]:
    """(paths, patterns of names, -print0). Raises UsageError."""
    rest = list(words)
    paths: list[str] = []
    while rest and not rest[0].startswith("-"):
        paths.append(rest.pop(0))
    wanted: list[re.Pattern[str]] = []
    with_nul = False
    while rest:
        word = rest.pop(0)
        if word in ("-name", "-iname"):
            if not rest:
                raise UsageError(
                    f"find: {word} wants a pattern", next_command="mrc fs find /path -name '*.txt'"
                )
            pattern = patterns.matcher(rest.pop(0)).pattern
            wanted.append(
                re.compile(pattern, re.DOTALL | (re.IGNORECASE if word == "-iname" else 0))
            )
        elif word == "-print0":
            with_nul = True
        elif word not in ("-print", "-a", "-and"):
            raise UsageError(
                f"find: {word} is not known: -name, -iname, -print, -print0",
                next_command="mrc fs find --help",
            )
    return paths, wanted, with_nul
