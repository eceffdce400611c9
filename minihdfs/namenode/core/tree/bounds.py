"""How long what a client says may be before it is kept, or told to others: names of clients,
owners, datanodes, and lists of them."""

from __future__ import annotations

from minihdfs.errors import InvalidArgument

CLIENT_NAME_BYTES_MAX = 512
"""Hadoop's are like DFSClient_NONMAPREDUCE_-1234567890_1; tasks add their id."""
OWNER_BYTES_MAX = 255
PIPELINE_MAX = 512
"""Datanodes of one pipeline: as many as a block may have replicas."""


def check_text(what: str, text: str, limit: int) -> None:
    """Raises InvalidArgument for what is too long, or what no terminal or log should be given."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise InvalidArgument(f"{what} of {size} bytes: at most {limit} are taken")
    if not text.isprintable():
        raise InvalidArgument(f"{what} {text!a} has characters that cannot be printed")


def check_count(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise InvalidArgument(f"{count} {what}: at most {limit} are taken")
