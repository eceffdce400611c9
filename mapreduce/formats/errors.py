"""What is wrong with a job's input, as exceptions that become the job's report."""

from __future__ import annotations


class BadRecord(Exception):
    """A line that is not what the job said its input is."""

    def __init__(self, message: str, offset: int, record: bytes) -> None:
        super().__init__(message)
        self.offset, self.record = offset, record


class BadInput(Exception):
    """A file that is not the one that was planned, or in no form that can be read. Trying again
    does not help: it fails the job at once. The message goes on behind "input PATH"."""
