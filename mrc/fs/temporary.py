"""Names for what is still being copied: one of its own for every copy, so that nobody else's file,
whole or half, is ever taken for it."""

from __future__ import annotations

import os
import secrets

MAX_NAME_BYTES = 255
_ENDING = "._COPYING_"


def temporary_name(name: str, limit: int = MAX_NAME_BYTES) -> str:
    """Beside `name`, hidden (no job reads it as input), at most `limit` bytes whatever the name's
    length."""
    rest = f".{secrets.token_hex(8)}{_ENDING}"
    front = os.fsencode(name)[: max(0, limit - len(rest) - 1)].decode(
        "utf-8", "ignore"
    )  # never half a character
    return f".{front}{rest}"
