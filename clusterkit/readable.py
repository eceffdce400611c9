"""Text of strangers made safe to show: names, owners, job names and errors come from whoever may
write to the cluster."""

from __future__ import annotations

import re

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
"""Controls, formats (bidirectional ones among them), halves of characters, what no font has, line
and paragraph separators."""
_SUSPECT = re.compile(r"[^\x20-\x7e]")


def is_hidden(character: str) -> bool:
    import unicodedata

    return unicodedata.category(character) in _HIDDEN


def clean(text: str, keep: str = "") -> str:
    """What would act on a terminal, turn text round or begin a line of its own becomes `?`; `keep`
    says what may stay of it."""
    return _SUSPECT.sub(
        lambda found: "?" if found[0] not in keep and is_hidden(found[0]) else found[0], text
    )
