"""The benchmarks run; what they measure is for people, not for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.__main__ import names

ROOT = Path(__file__).parents[2]


def test_the_fairness_benchmark_is_registered_and_prints_its_table_in_its_short_form() -> None:
    assert "fairness" in names()
    command = [sys.executable, "-m", "bench.fairness", "--short", "--attack", "deaf"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    head, quiet, attacked = done.stdout.splitlines()
    assert head.split() == ["p50", "ms", "p99", "ms", "max", "ms"]
    assert quiet.startswith("quiet ") and attacked.startswith("a client that does not read ")
