"""The face that every core has, and what it hands back.

A core decides; it never acts. It is given an event and the time, and returns the edits it has
already applied to its own memory and the messages that may leave *once those edits are durable*.
See docs/ARCHITECTURE.md, "Applied, durable, spoken".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Event = Any
"""A frozen dataclass of the core's own `events` module: a fact in the past tense or a request."""


class Instant(NamedTuple):
    """A moment in integer microseconds. Durations and deadlines use `mono_us`; `wall_us` is
    recorded in edits and shown."""

    mono_us: int
    wall_us: int


@dataclass(frozen=True, slots=True)
class Send:
    """One message for one addressee. `to` is opaque to the core: it came in with an event (a reply
    token) or names a peer."""

    to: Any
    message: Any


@dataclass(frozen=True, slots=True)
class Edit:
    """One durable change with its envelope. `op` is a frozen dataclass of the core's own `edits`
    module.

    `client_id`/`call_id` name the request that caused it (b""/0 when none did) and `answer` what
    that request was told, so that the retry table can be rebuilt from the journal alone. `log_us`
    is how much time the log has seen: a core that forgets by age computes it when it leads and
    copies it when it applies, because no clock of whoever comes later has anything to do with it.
    """

    txid: int
    epoch: int
    wall_us: int
    op: Any
    client_id: bytes = b""
    call_id: int = 0
    answer: Any = None
    log_us: int = 0
    asked: int = 0  # what was asked, as a checksum; 0 = not known


@dataclass(slots=True)
class Effects:
    """What one step asks for: edits (applied in memory, in order) that must be durable before any
    of the sends leaves."""

    journal: list[Edit] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)


class Core(Protocol):
    """A deterministic state machine: no clock, socket, thread, global random, logger or protobuf
    inside."""

    def step(self, event: Event, now: Instant) -> Effects:
        """The only entry. Bad input gets an error reply, never an exception; an exception is a
        broken invariant and ends the process."""
        ...

    def next_deadline(self) -> int | None:
        """`mono_us` at which the core wants a `Tick`, or None."""
        ...

    def apply(self, edit: Edit) -> None:
        """The only mutator of durable state: shared by the live path (inside step) and replay."""
        ...

    def check_invariants(self) -> None:
        """Raises AssertionError when the state contradicts itself; called after every step under
        test."""
        ...


@dataclass(frozen=True, slots=True)
class Tick:
    """The event a driver sends when a core's deadline has passed."""
