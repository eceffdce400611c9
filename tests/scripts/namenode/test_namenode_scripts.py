"""Every golden script of the namenode beside this file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.golden import run_script
from tests.scripts.namenode.stage import Stage

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_script(path: Path) -> None:
    run_script(path, Stage().run)
