"""Jobs in plain Python: `from mapreduce import Job`. Everything else is loaded when asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mapreduce.api.job import Job as Job

__all__ = ["Job"]
_LAZY = {"Job": "mapreduce.api.job"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'mapreduce' has no attribute {name!r}")
