"""CRC-32C, typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from crc32c import crc32c as _untyped_crc32c

crc32c = cast(Callable[..., int], _untyped_crc32c)
"""crc32c(data, value=0) of any bytes-like object, continued from `value`."""
