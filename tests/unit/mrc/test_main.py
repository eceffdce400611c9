"""The root of the command: every mistake in one form, with the exit code of the user contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrc.main import run


@pytest.mark.parametrize(
    ("words", "error", "then"),
    [
        (["nosuch"], "no such command 'nosuch'", "mrc --help"),
        (["status", "extra"], "got unexpected extra argument (extra)", "mrc status --help"),
        (["job", "wait"], "missing argument 'ID'", "mrc job wait --help"),
        (["fs", "ls", "--bogus"], "no such option '--bogus'", "mrc fs ls --help"),
    ],
)
def test_wrong_usage_has_the_form_of_every_error(words: list[str], error: str, then: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"error: {error}\n  try: {then}\n")
    assert run(then.split()[1:]) == 0


def test_a_home_that_cannot_be_made_is_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(["--home", str(tmp_path / "file" / "home"), "up"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"error: {tmp_path}/file/home: not a directory"
    assert second.startswith("  try: ls -ld ")
