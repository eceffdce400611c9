from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clusterkit.interpreter import interpreter


def test_the_interpreter_that_runs_is_used_when_its_path_is_not_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert interpreter() == sys.executable
    prefix = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.prefix)"], stdout=subprocess.PIPE, check=True
    ).stdout
    monkeypatch.setattr("clusterkit.interpreter.os.access", lambda _path, _mode: False)
    assert interpreter() == "/proc/self/exe"
    command = [sys.executable, "-c", "import sys; print(sys.prefix)"]
    assert (
        subprocess.run(command, executable=interpreter(), stdout=subprocess.PIPE, check=True).stdout
        == prefix
    )
