"""`python -m tests.simulation --seeds 1000`: schedules of faults, one per seed. Exit 0 when none
breaks a promise.

A failing seed is printed with the one command that replays it, and goes to
tests/simulation/regressions.txt, which the tests replay.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path

from tests.simulation.runner import WORLDS, Outcome, simulate, world_class

REGRESSIONS = Path(__file__).parent / "regressions.txt"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this seed, with the end of its trace")
    parser.add_argument("--world", choices=[*WORLDS, "all"], default="all")
    parser.add_argument("--plant", default="", help="a bug to plant: the run must then fail")
    parser.add_argument(
        "--keep-going", action="store_true", help="do not stop at the first failure"
    )
    options = parser.parse_args()
    worlds = [name for name in WORLDS if options.world in (name, "all") and _exists(name)]
    if options.plant:
        worlds = [name for name in worlds if options.plant in world_class(name).PLANTS]
    if not worlds:
        parser.error(f"no world {options.world} with the bug {options.plant!r}")
    if options.seed is not None:
        return max(_replay(name, options.seed, options.plant) for name in worlds)
    return max(_sweep(name, options) for name in worlds)


def _exists(name: str) -> bool:
    return importlib.util.find_spec(WORLDS[name].partition(":")[0]) is not None


def _replay(name: str, seed: int, plant: str) -> int:
    outcome = simulate(world_class(name), seed, plant)
    print("\n".join(outcome.recent))
    print(f"{name} seed {seed}: {outcome.events} events, trace {outcome.trace}")
    print(outcome.violation or "no promise broken")
    return 1 if outcome.violation else 0


def _sweep(name: str, options: argparse.Namespace) -> int:
    world, begun, failed, events = world_class(name), time.perf_counter(), 0, 0
    for seed in range(options.start, options.start + options.seeds):
        outcome = simulate(world, seed, options.plant)
        events += outcome.events
        if outcome.violation:
            failed += 1
            _tell(name, outcome, options.plant)
            if not options.keep_going:
                break
    took = time.perf_counter() - begun
    done = seed - options.start + 1
    print(
        f"{name}: {done} schedules, {failed} failed, {events} events, {done / took:.0f} schedules/s"
    )
    return 1 if failed else 0


def _tell(name: str, outcome: Outcome, plant: str) -> None:
    planted = f" --plant {plant}" if plant else ""
    print(f"{name} seed {outcome.seed}: {outcome.violation}", file=sys.stderr)
    print(
        f"  replay: python -m tests.simulation --world {name} --seed {outcome.seed}{planted}",
        file=sys.stderr,
    )
    line = f"{name} {outcome.seed}\n"
    if not plant and line not in REGRESSIONS.read_text():
        with REGRESSIONS.open("a") as file:
            file.write(line)


if __name__ == "__main__":
    sys.exit(main())
