"""The three standard streams as a process really has them. One that is closed fails when it is
used, in words: nothing of ours that is opened later takes its number, no input is empty because
nobody could read it, and no output is lost with exit 0."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from clusterkit.errors import EXIT_FAILED

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

STANDARD_STREAMS = STANDARD_INPUT, STANDARD_OUTPUT = "standard input", "standard output"


class _Output(io.FileIO):
    """Errors of standard output say whose they are."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def take_standard_streams() -> None:
    """Once, at the beginning of a process."""
    for number, how in (
        (0, os.O_WRONLY),
        (1, os.O_RDONLY),
        (2, os.O_WRONLY),
    ):  # reading 0 and writing 1 fail as they should
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, how)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(_Input(0, "rb", closefd=False)))
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(2, "wb", closefd=False)),
            errors="backslashreplace",
            line_buffering=True,
        )
    before = sys.stdout
    raw = _Output(1, "wb", closefd=False)
    encoding = before.encoding if before is not None else "utf-8"
    lines = before is not None and before.isatty()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=lines
    )


class _Input(io.FileIO):
    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            return super().readinto(buffer)
        except OSError as error:
            error.filename = STANDARD_INPUT
            raise


def leave_output() -> None:
    """Nobody can take what is still buffered: the interpreter's last flush would only say so once
    more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def flush_output(code: int) -> int:
    """The exit code, which is a failure when output is lost."""
    try:
        sys.stdout.flush()
    except OSError:
        leave_output()
        return code or EXIT_FAILED
    return code
