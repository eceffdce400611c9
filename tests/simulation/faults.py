"""The fault plan of a seed: made first, as data, then carried out. Each seed draws which kinds of
fault exist in it at all (swarm testing).

The kinds: a process crashes and starts again; it dies between append and fsync, or after the fsync
before it could speak; its append or fsync fails; the disk under its journal fills up for a while;
it stands still; a link is cut in one direction; a process is cut off from all; everything loses
power at once; messages are lost, doubled, late.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.kernel import MS, SECOND, CoreProcess, Kernel, Process

KINDS = (
    "crash",
    "die at append",
    "die at fsync",
    "fsync fails",
    "append fails",
    "disk full",
    "pause",
    "cut",
    "isolate",
    "power loss",
)


@dataclass(frozen=True, slots=True)
class Fault:
    at_us: int  # after the start
    kind: str
    target: str
    other: str
    length_us: int


def plan(rng: random.Random, names: list[str], duration_us: int) -> list[Fault]:
    """Some dozens of faults between processes, in the order of time."""
    kinds = [kind for kind in KINDS if rng.random() < 0.5]
    if not kinds:
        return []
    faults = []
    for _ in range(rng.randrange(4, 25)):
        target, other = rng.choice(names), rng.choice(names)
        length = int(rng.choice((200 * MS, SECOND, 5 * SECOND)) * rng.uniform(0.5, 2.0))
        kind = rng.choice(kinds)
        faults.append(
            Fault(
                rng.randrange(duration_us),
                kind,
                names[0] if kind == "disk full" else target,
                other,
                length,
            )
        )
    return sorted(faults, key=lambda fault: (fault.at_us, fault.kind, fault.target, fault.other))


def make_weather(rng: random.Random, kernel: Kernel) -> None:
    """How bad the network is throughout this seed."""
    network = kernel.network
    network.loss = rng.choice((0.0, 0.0, 0.01, 0.05))
    network.duplication = rng.choice((0.0, 0.01, 0.05))
    network.slow = rng.choice((0.0, 0.005, 0.02))


def schedule(kernel: Kernel, faults: list[Fault]) -> None:
    for fault in faults:
        kernel.after(fault.at_us, lambda fault=fault: strike(kernel, fault))  # type: ignore[misc]


def strike(kernel: Kernel, fault: Fault) -> None:
    process = kernel.processes[fault.target]
    kernel.note(f"fault {fault.kind} {fault.target}")
    if fault.kind == "crash":
        _down(kernel, process, fault.length_us)
    elif fault.kind == "power loss":
        for name in sorted(kernel.processes):
            if kernel.processes[name].mortal:
                _down(kernel, kernel.processes[name], fault.length_us)
    elif fault.kind == "pause":
        process.pause()
        kernel.after(fault.length_us, process.resume)
    elif fault.kind == "cut":
        _cut(kernel, [(fault.target, fault.other)], fault.length_us)
    elif fault.kind == "isolate":
        others = [name for name in sorted(kernel.processes) if name != fault.target]
        _cut(
            kernel,
            [(fault.target, name) for name in others] + [(name, fault.target) for name in others],
            fault.length_us,
        )
    elif isinstance(process, CoreProcess) and process.up:
        if fault.kind == "fsync fails":
            process.journal.fail_next_sync = True
        elif fault.kind == "append fails":
            process.journal.fail_next_append = True
        elif fault.kind == "disk full":
            process.set_full(True)
            return kernel.after(fault.length_us, lambda: process.set_full(False))
        else:
            process.die_at(fault.kind.removeprefix("die at "))
        kernel.after(fault.length_us + SECOND, process.start)


def _down(kernel: Kernel, process: Process, length_us: int) -> None:
    process.crash()
    kernel.after(length_us, process.start)


def _cut(kernel: Kernel, links: list[tuple[str, str]], length_us: int) -> None:
    kernel.network.cuts.update(links)
    kernel.after(length_us, lambda: kernel.network.cuts.difference_update(links))


def heal(kernel: Kernel) -> None:
    """Everything works from now on: what is down starts, what stands still goes on, every message
    arrives."""
    kernel.network.heal()
    for name in sorted(kernel.processes):
        process = kernel.processes[name]
        process.die_at("")
        if isinstance(process, CoreProcess):
            process.journal.fail_next_sync = process.journal.fail_next_append = False
            process.set_full(False)
        process.resume()
        process.start()
