"""Absolute paths of the file system: what is a path, and the few questions everybody asks of one.

A path is `/` or `/a/b`: components of 1–255 bytes of UTF-8, none of them `.` or `..`, without `/`,
NUL or `:` (Hadoop's shells and URIs cannot say a colon). Lone surrogates are refused, because such
a name has no UTF-8. One trailing `/` and doubled `/` are taken as HDFS's own client takes them:
dropped. Nothing is normalised otherwise; comparison is by code point, which for UTF-8 is byte
order.
"""

from __future__ import annotations

from functools import lru_cache

from minihdfs.errors import InvalidPath
from minihdfs.model import MAX_COMPONENT_BYTES, MAX_PATH_BYTES

ROOT = "/"


def components(path: str) -> tuple[str, ...]:
    """`/a/b` → ("a", "b"), `/` → (). Raises InvalidPath naming the path and the cause."""
    if not isinstance(path, str) or path[:1] != "/":
        raise InvalidPath(f"{_shown(path)} is not an absolute path: it must begin with /")
    if len(path) > MAX_PATH_BYTES:
        raise InvalidPath(f"path of {len(path)} characters is longer than {MAX_PATH_BYTES} bytes")
    return _components(path)


@lru_cache(maxsize=16384)
def _components(path: str) -> tuple[str, ...]:
    short = path.isascii() and 1 < len(path) <= MAX_COMPONENT_BYTES and path[-1] != "/"
    if short and "//" not in path and "/." not in path and ":" not in path and "\0" not in path:
        return tuple(path[1:].split("/"))  # nearly every path: it needs no closer look
    names = tuple(name for name in path.split("/") if name)
    for name in names:
        check_component(name, path)
    if sum(len(name.encode()) + 1 for name in names) > MAX_PATH_BYTES:
        raise InvalidPath(f"path is longer than {MAX_PATH_BYTES} bytes: {_shown(path)}")
    return names


def check_component(name: str, path: str = "") -> None:
    """Raises InvalidPath unless `name` can be one component."""
    where = f" in {_shown(path)}" if path else ""
    if name in ("", ".", ".."):
        raise InvalidPath(f"{_shown(name)} cannot be a name{where}")
    for bad in ("/", "\0", ":"):
        if bad in name:
            raise InvalidPath(f"{_shown(name)}{where}: a name cannot contain {bad!r}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidPath(
            f"{_shown(name)}{where}: a name must be valid Unicode that UTF-8 can say"
        ) from None
    if size > MAX_COMPONENT_BYTES:
        raise InvalidPath(f"name of {size} bytes is longer than {MAX_COMPONENT_BYTES}{where}")


def join(*names: str) -> str:
    """Components → path. `join()` is the root."""
    return "/" + "/".join(names)


def normal(path: str) -> str:
    """The one spelling of a path: without doubled or trailing slashes."""
    return join(*components(path))


def parent(path: str) -> str:
    """The directory above; the root is its own parent."""
    return join(*components(path)[:-1])


def name(path: str) -> str:
    """The last component; "" for the root."""
    names = components(path)
    return names[-1] if names else ""


def child(path: str, name_: str) -> str:
    check_component(name_)
    return join(*components(path), name_)


def is_under(path: str, ancestor: str) -> bool:
    """True for `ancestor` itself and everything below it."""
    above = components(ancestor)
    return components(path)[: len(above)] == above


def _shown(text: object) -> str:
    """For messages: quoted, at most 200 characters, never raising on surrogates."""
    shown = ascii(text) if isinstance(text, str) and not _encodable(text) else repr(text)
    return shown if len(shown) <= 200 else shown[:197] + "..."


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
