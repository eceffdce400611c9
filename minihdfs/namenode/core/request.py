"""What every request has, whatever it asks for.

A request is a frozen dataclass with its `caller`; it gets exactly one `Send(to=caller.reply_to,
message=Answer | Refusal)`, perhaps in a later step (parked). It stands in the room of what it is
about, followed by its handler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. (client_id, call_id) identifies the call for the retry table when client_id is not
    empty."""

    reply_to: Any
    user: str
    groups: tuple[str, ...] = ()
    client_id: bytes = b""
    call_id: int = 0
    retry: bool = False
    host: str = ""  # address seen: a datanode there is "local" to this client
    patient: bool = True  # False: it has waited long enough, and is answered with what is known


@dataclass(frozen=True, slots=True)
class Request:
    """`retried`: its repetition is told what the first transmission was told and does nothing.
    HDFS calls some of these idempotent, but one that was overtaken by the caller's next change
    would undo it: a mkdirs or a recoverLease that arrives again after the delete or the next
    create, a deletion of nothing after something came there. `void`: it is answered with None."""

    retried: ClassVar[bool] = False
    void: ClassVar[bool] = False

    caller: Caller
