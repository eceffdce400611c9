"""One seed through one world: faults for a while, then everything heals and the world must come to
rest, then the full comparison.

A world is a class: `World(kernel, plant)` makes its processes and clients; `plant` names a bug it
is to have ("" = none).
"""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from typing import Protocol

from tests.simulation import faults
from tests.simulation.kernel import SECOND, Kernel, Violation

WORLDS = {
    "fs": "tests.simulation.fs_world:FileSystemWorld",
    "jobs": "tests.simulation.jobs_world:JobsWorld",
}
FAULTS_US = 12 * SECOND
REST_LIMIT_US = 90 * SECOND
REST_STEP_US = SECOND // 2


class World(Protocol):
    PLANTS: tuple[str, ...]

    def __init__(self, kernel: Kernel, plant: str) -> None: ...

    def start(self) -> None:
        """Starts every process and client."""
        ...

    def targets(self) -> list[str]:
        """Processes that faults may strike, in a fixed order."""
        ...

    def check(self) -> None:
        """After every event: raises AssertionError for a broken invariant."""
        ...

    def heal(self) -> None:
        """Faults are over: clients may finish what they do and begin nothing new."""
        ...

    def unrest(self) -> str:
        """What has not come to rest yet; "" when all has."""
        ...

    def verify(self) -> None:
        """At rest: raises AssertionError when anything acknowledged is not there."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: int
    trace: str
    events: int
    violation: str = ""
    recent: tuple[str, ...] = ()


def world_class(name: str) -> type[World]:
    module, _, attribute = WORLDS[name].partition(":")
    found: type[World] = getattr(importlib.import_module(module), attribute)
    return found


def simulate(world: type[World], seed: int, plant: str = "") -> Outcome:
    kernel = Kernel(seed)
    try:
        _live(kernel, world(kernel, plant))
    except AssertionError as broken:
        where = "" if isinstance(broken, Violation) else f"\n{traceback.format_exc(limit=-4)}"
        return Outcome(
            seed, kernel.trace(), kernel.events, f"{broken}{where}", tuple(kernel.recent)
        )
    except Exception as defect:  # a core that raises is as broken as one that lies
        return Outcome(
            seed,
            kernel.trace(),
            kernel.events,
            f"{defect!r}\n{traceback.format_exc(limit=-6)}",
            tuple(kernel.recent),
        )
    return Outcome(seed, kernel.trace(), kernel.events)


def _live(kernel: Kernel, made: World) -> None:
    made.start()
    rng = kernel.stream("faults")
    faults.make_weather(rng, kernel)
    faults.schedule(kernel, faults.plan(rng, made.targets(), FAULTS_US))
    kernel.run(kernel.now_us + FAULTS_US, made.check)
    faults.heal(kernel)
    made.heal()
    limit = kernel.now_us + REST_LIMIT_US
    while made.unrest():
        if kernel.now_us >= limit:
            raise Violation(
                f"no rest {REST_LIMIT_US // SECOND} s after the last fault: {made.unrest()}"
            )
        kernel.run(kernel.now_us + REST_STEP_US, made.check)
    made.verify()
