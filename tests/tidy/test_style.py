"""Style and types are tests like all others: `make check` runs the same three commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "-q", "."), ("mypy",), ("proto",)],
    ids=lambda command: " ".join(command),
)
@pytest.mark.timeout(600)
def test_clean(command: tuple[str, ...]) -> None:
    """`proto`: the committed stubs are what protos/ generates today."""
    line = (
        [sys.executable, "scripts/proto.py", "--check"]
        if command == ("proto",)
        else [sys.executable, "-m", *command]
    )
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
