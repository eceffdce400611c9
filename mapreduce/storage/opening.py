"""Which storage a URI means. The adaptors are loaded when asked for: a job on local files never
loads the file system's client."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from clusterkit.errors import UsageError
from mapreduce.storage.api import AT_ONCE, Storage, Waiting

_ADAPTORS = {
    "file": ("mapreduce.storage.local", "LocalStorage"),
    "hdfs": ("mapreduce.storage.minihdfs", "MinihdfsStorage"),
}


def open_storage(uri: str, waiting: Waiting = AT_ONCE, user: str = "") -> Storage:
    """`file:///` or `hdfs://HOST:PORT` (a path behind it is ignored). `user` is who asks, for a
    storage that wants to know [default: this process's]. An adaptor's class has `from_uri(uri, *,
    user, waiting)`. Raises UsageError for another scheme."""
    scheme = uri.partition(":")[0]
    if scheme not in _ADAPTORS:
        raise UsageError(
            f"{uri}: no storage is known by the scheme {scheme!r}; known: "
            f"{', '.join(sorted(_ADAPTORS))}"
        )
    module, name = _ADAPTORS[scheme]
    storage: Storage = getattr(importlib.import_module(module), name).from_uri(
        uri, user=user or None, waiting=waiting
    )
    return storage


def preload_adaptors() -> None:
    """Loads every adaptor and what it would load at its first call: for a process that forks many
    which will call."""
    for module, _name in _ADAPTORS.values():
        preload: Callable[[], None] = getattr(
            importlib.import_module(module), "preload", lambda: None
        )
        preload()
