"""The simulator itself: it is deterministic, it finds the bugs that are planted, and what it once
found stays fixed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import REGRESSIONS
from tests.simulation.fs_world import FileSystemWorld
from tests.simulation.runner import WORLDS, simulate, world_class

PLANTED = [
    *(("fs", plant, 1000) for plant in FileSystemWorld.PLANTS),
    ("jobs", "commit-granted-twice", 150),
    ("jobs", "grant-before-fsync", 40),
    ("jobs", "grant-without-its-stage", 100),
    ("jobs", "inputs-not-made-again", 300),
]
"""(world, plant, seeds within which it must be found)"""
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("seed", range(12))
def test_no_promise_is_broken(world: str, seed: int) -> None:
    outcome = simulate(world_class(world), seed)
    assert not outcome.violation, (
        f"{outcome.violation}\n  replay: python -m tests.simulation --world {world} --seed {seed}"
    )


@pytest.mark.parametrize(
    ("world", "plant", "seeds"), PLANTED, ids=[plant for _world, plant, _seeds in PLANTED]
)
def test_a_planted_bug_is_caught(world: str, plant: str, seeds: int) -> None:
    assert any(simulate(world_class(world), seed, plant).violation for seed in range(seeds)), (
        f"{plant} survived {seeds} seeds"
    )


def regressions() -> list[tuple[str, int]]:
    lines = [
        line.split()
        for line in REGRESSIONS.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return [(world, int(seed)) for world, seed in lines]


@pytest.mark.parametrize(("world", "seed"), regressions())
def test_what_once_failed_stays_fixed(world: str, seed: int) -> None:
    assert world in WORLDS
    assert simulate(world_class(world), seed).violation == ""


@pytest.mark.parametrize("world", WORLDS)
def test_equal_seeds_give_equal_traces_under_any_hash_seed(world: str) -> None:
    """In processes of their own: a set's order or a hash() that leaked into a decision would
    show."""
    script = (
        f"from tests.simulation.runner import *; print([simulate(world_class('{world}'), "
        "seed).trace for seed in range(4)])"
    )
    traces = set()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", script]
        traces.add(
            subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=150, check=True
            ).stdout
        )
    assert len(traces) == 1, traces
