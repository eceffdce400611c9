"""When a map lets go of memory: the real gauge, and a map that spills because of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mapreduce import Job
from mapreduce.engine import memory
from mapreduce.engine.attempt import Task
from mapreduce.engine.memory import ResidentGauge, resident_bytes
from mapreduce.engine.tasks import run_map
from mapreduce.plan.spec import CodeRef, JobSpec, Split
from mapreduce.storage.memory import MemoryStorage

MIB = 1 << 20
ROOT = Path(__file__).resolve().parents[4]


def test_resident_bytes_grow_with_what_is_held() -> None:
    before = resident_bytes()
    held = bytearray(b"x") * (64 * MIB)
    assert resident_bytes() - before > 48 * MIB
    del held


def test_the_gauge(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100 * MIB
    monkeypatch.setattr(memory, "resident_bytes", lambda: now)
    gauge = ResidentGauge(80 * MIB)
    now = 179 * MIB
    assert not gauge.is_full(1000)
    now = 181 * MIB
    assert gauge.is_full(1000)
    gauge.spilled(1000)  # the allocator keeps it all
    assert not gauge.is_full(10)
    assert not gauge.is_full(499)
    assert gauge.is_full(500)
    now = 202 * MIB  # what it kept did not do: memory climbs on
    assert gauge.is_full(10)


class Long(Job):
    """Values that cannot be counted and take memory."""

    def map(self, line: str) -> Any:
        for n in range(100):
            yield f"{line}{n}", f"{n:01000d}"


def spill_here(directory: str) -> None:
    storage = MemoryStorage()
    data = "".join(f"{n}\n" for n in range(600)).encode()
    storage.put("/in", data)
    spec = JobSpec(
        name="x",
        code=CodeRef("", "", "", "", ""),
        inputs=["/in"],
        output="/out",
        spill_bytes=16 * MIB,
    )
    before = resident_bytes()
    output = run_map(
        Long, spec, Split("/in", 0, len(data)), storage, Path(directory), task=Task("m", 0)
    )
    assert output.counters["job"]["spilled_records"] == 60_000
    assert sum(output.segment_records) == 60_000
    assert resident_bytes() - before < 55 * MIB, "60 MB of values went through"


def test_a_map_spills_when_it_has_grown(tmp_path: Path) -> None:
    """In a process of its own: this one may hold freed memory that would be used first."""
    code = (
        "from tests.unit.mapreduce.engine.test_memory import spill_here; "
        f"spill_here({str(tmp_path)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
