"""Plays every script of this directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.golden import run_script
from tests.scripts.tracker.stage import Stage

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    stage: list[Stage] = []

    def run(verb: str, words: list[str], options: dict[str, str]) -> list[str]:
        if verb == "tracker":
            stage[:] = [
                Stage(
                    **{
                        name: float(value) if "." in value else int(value)
                        for name, value in options.items()
                    }
                )
            ]
            return []
        if not stage:
            stage.append(Stage())
        return stage[0].run(verb, words, options)

    run_script(path, run)
