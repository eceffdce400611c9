"""What chmod is given: octal modes, and chmod(1)'s symbolic ones (`u+rwx,go-w,a+X,+t`)."""

from __future__ import annotations

import re

from clusterkit.errors import UsageError

_CLAUSE = re.compile(r"([ugoa]*)((?:[+=-][rwxXt]*)+)")
_STEP = re.compile(r"([+=-])([rwxXt]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
STICKY = 0o1000


def changed(mode: str, permission: int, *, is_directory: bool) -> int:
    """`permission` as `mode` makes it. Raises UsageError."""
    if re.fullmatch(r"[0-7]{1,4}", mode):
        value = int(mode, 8)
        if value & 0o6000:
            raise UsageError(
                f"chmod: {mode}: set-user and set-group bits mean nothing in this file system"
            )
        return value
    for clause in mode.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise UsageError(
                f"chmod: {mode!r} is no mode: octal as 644, or symbolic as u+x,go-w",
                next_command="mrc fs chmod 644 /path",
            )
        who = set(match[1]) or {"a"}
        for sign, letters in _STEP.findall(match[2]):
            permission = _step(
                permission,
                "ugo" if "a" in who else "".join(sorted(who)),
                sign,
                letters,
                is_directory,
            )
    return permission


def _step(permission: int, who: str, sign: str, letters: str, is_directory: bool) -> int:
    bits = 0
    for letter in letters:
        if letter == "X":
            bits |= 1 if is_directory or permission & 0o111 else 0
        elif letter != "t":
            bits |= _BITS[letter]
    mask = sum(bits << _SHIFT[one] for one in who) | (STICKY if "t" in letters else 0)
    if sign == "+":
        return permission | mask
    if sign == "-":
        return permission & ~mask
    kept = permission & ~sum(7 << _SHIFT[one] for one in who)
    return kept & ~(STICKY if who == "ugo" else 0) | mask
