"""Golden scripts: a story in commands, and below each group of commands what the core did.

    # What this script shows, in one sentence.
    command arg key=value
    command
    ---
    what happened, one line each

    next command …

A group is separated from the next by a blank line. `MRC_REWRITE=1 pytest tests/scripts` writes what
happened into the files: read the diff.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

REWRITE = "MRC_REWRITE"


def run_script(path: Path, run: Callable[[str, list[str], dict[str, str]], list[str]]) -> None:
    """`run(verb, arguments, options)` carries out one command and returns the lines it caused."""
    text = path.read_text(encoding="utf-8")
    blocks = [
        _play(block, run, path) if not _is_comment(block) else block
        for block in text.strip("\n").split("\n\n")
    ]
    played = "\n\n".join(blocks) + "\n"
    if os.environ.get(REWRITE):
        path.write_text(played, encoding="utf-8")
        return
    assert played == text, (
        f"{path.name}: behaves differently; run with {REWRITE}=1 and read the diff"
    )


def _is_comment(block: str) -> bool:
    return all(line.startswith("#") for line in block.splitlines())


def _play(
    block: str, run: Callable[[str, list[str], dict[str, str]], list[str]], path: Path
) -> str:
    commands = block.partition("\n---")[0].splitlines()
    lines: list[str] = []
    for command in commands:
        if command.startswith("#"):
            continue
        verb, *words = shlex.split(command, comments=True)
        options = dict(word.split("=", 1) for word in words if "=" in word)
        try:
            lines += run(verb, [word for word in words if "=" not in word], options)
        except (AssertionError, ValueError, KeyError) as error:
            raise AssertionError(f"{path.name}: `{command}`: {error!r}") from error
    return "\n".join([*commands, "---", *(lines or ["(nothing)"])])
