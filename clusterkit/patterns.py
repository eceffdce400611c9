"""Patterns of paths as Hadoop has them, for every file system:
`*`, `?`, `[abc]`, `[a-z]`, `[^a]`, `{a,b}` and `\\` before any. None crosses a `/`."""

from __future__ import annotations

import re
from collections.abc import Iterator

_META = re.compile(r"[*?\[{\\]")


def is_pattern(text: str) -> bool:
    return _META.search(text) is not None


def is_hidden(name: str) -> bool:
    """Names that begin so are nobody's data: work in progress, markers, what programs keep for
    themselves."""
    return name.startswith(("_", "."))


def expanded(pattern: str) -> Iterator[str]:
    """The pattern with its braces multiplied out, nested ones too; an unclosed brace stands for
    itself."""
    opening = _find(pattern, "{", 0)
    depth, begin, parts = 0, opening + 1, []
    at = opening
    while opening >= 0 and at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 2
            continue
        if character == "{":
            depth += 1
        elif character == "," and depth == 1:
            parts.append(pattern[begin:at])
            begin = at + 1
        elif character == "}":
            depth -= 1
            if not depth:
                for part in [*parts, pattern[begin:at]]:
                    yield from expanded(pattern[:opening] + part + pattern[at + 1 :])
                return
        at += 1
    yield pattern


def matcher(component: str) -> re.Pattern[str]:
    """One component of a pattern (without braces) as a regular expression for the whole name."""
    out, at = [], 0
    while at < len(component):
        character = component[at]
        at += 1
        if character == "*":
            out.append(".*")
        elif character == "?":
            out.append(".")
        elif character == "\\" and at < len(component):
            out.append(re.escape(component[at]))
            at += 1
        elif character == "[" and (closing := component.find("]", at + 1)) > 0:
            inside, at = component[at:closing], closing + 1
            negated = inside[:1] in ("^", "!") and len(inside) > 1
            inside = inside[1:] if negated else inside
            escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside)
            out.append(f"[{'^' if negated else ''}{escaped}]")
        else:
            out.append(re.escape(character))
    try:
        return re.compile("".join(out), re.DOTALL)
    except re.error:  # a range that runs backwards: then the pattern is only a name
        return re.compile(re.escape(component), re.DOTALL)


def unescaped(component: str) -> str:
    """A component that is no pattern, as the name it means."""
    return re.sub(r"\\(.)", r"\1", component, flags=re.DOTALL)


def is_plain(component: str) -> bool:
    """Does the component match one name only?"""
    return not is_pattern(re.sub(r"\\.", "", component, flags=re.DOTALL))


def _find(pattern: str, wanted: str, at: int) -> int:
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == wanted:
            return at
        at += 1
    return -1
