"""What `mrc demo` says to do next."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mrc.demo import story
from mrc.demo.story import next_steps

HERE = Path(sys.executable).parent


def test_a_shell_that_does_not_find_mrc_is_told_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert next_steps()[0].startswith(f'next:  export PATH="{HERE}:$PATH" ')
    monkeypatch.setenv("PATH", f"{HERE}:/usr/bin")
    assert next_steps()[0].startswith("next:  mrc up ")


def test_the_example_that_the_demo_runs_is_there() -> None:
    assert story.example().name == "wordcount.py" and story.example().is_file()
