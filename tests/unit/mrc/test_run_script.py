"""`./run`: a step that failed is said once and tried again the next time."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tidy.source import ROOT

TOOLS = ("sh", "cat", "dirname", "rm")


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout whose Python says yes to everything, and whose pip does what the file `pip`
    says."""
    shutil.copy(ROOT / "run", tmp_path / "run")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    script(
        tmp_path / ".venv/bin/python",
        'case "$*" in *"-m pip"*) exit "$(cat pip)" ;; *"-m pytest"*) echo tested ;; esac',
    )
    script(tmp_path / ".venv/bin/mrc", 'echo "mrc $*"')
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path


def run(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHON"} | {
        "PATH": str(tree / "bin")
    }
    return subprocess.run(
        [tree / "run", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(("verb", "says"), [("demo", "mrc demo --keep\n"), ("test", "tested\n")])
def test_a_failed_install_fails_and_is_tried_again(tree: Path, verb: str, says: str) -> None:
    script(tree / "bin/python3", "exit 0")
    (tree / "pip").write_text("1")
    for _ in range(2):
        failed = run(tree, verb, "--keep")
        assert (failed.returncode, failed.stdout, failed.stderr.count("error: ")) == (1, "", 1)
        assert not list((tree / ".venv").glob("ready*"))
    (tree / "pip").write_text("0")
    assert (run(tree, verb, "--keep").returncode, run(tree, verb, "--keep").stdout) == (0, says)
    (tree / "pip").write_text("1")
    assert run(tree, verb, "--keep").stdout == says, "installed once"


@pytest.mark.parametrize("verb", ["demo", "test", "check", "proto", "sim", "bench"])
def test_an_old_python_is_one_message(tree: Path, verb: str) -> None:
    script(tree / "bin/python3", "exit 1")  # not 3.11
    done = run(tree, verb)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.splitlines() == [
        "error: no Python 3.11 or newer on this machine",
        "  try: apt-get install python3 python3-venv",
    ]
