"""The root of the command: every mistake in one form, with the exit code of the user contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.errors import Unavailable
from mrc.main import run, say


@pytest.mark.parametrize(
    ("words", "error", "then"),
    [
        (["frobnicate"], "no such command 'frobnicate'", "mrc --help"),
        (
            ["sumbit", "x"],
            "no such command 'sumbit'; did you mean `mrc submit`?",
            "mrc submit --help",
        ),
        (["ls", "/"], "no such command 'ls'; did you mean `mrc fs ls`?", "mrc fs ls --help"),
        (
            ["kill", "@"],
            "no such command 'kill'; did you mean `mrc job kill`?",
            "mrc job kill --help",
        ),
        (["fs", "-lss"], "no such command '-lss'; did you mean `mrc fs ls`?", "mrc fs ls --help"),
        (
            ["fs", "mkdri", "/x"],
            "no such command 'mkdri'; did you mean `mrc fs mkdir`?",
            "mrc fs mkdir --help",
        ),
        (
            ["job", "kil"],
            "no such command 'kil'; did you mean `mrc job kill`?",
            "mrc job kill --help",
        ),
        (["status", "extra"], "got unexpected extra argument (extra)", "mrc status --help"),
        (["job", "wait"], "missing argument 'ID'", "mrc job wait --help"),
        (["fs", "ls", "--bogus"], "no such option '--bogus'", "mrc fs ls --help"),
    ],
)
def test_wrong_usage_has_the_form_of_every_error(
    words: list[str], error: str, then: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"error: {error}\n  try: {then}\n")
    assert run(then.split()[1:]) == 0


def test_a_home_that_cannot_be_made_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(["--home", str(tmp_path / "file" / "home"), "up"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"error: {tmp_path}/file/home: not a directory"
    assert second.startswith("  try: ls -ld ")


def test_the_next_command_means_the_same_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(tmp_path / "my home")
    assert run(["--home", home, "status"]) == 69
    assert capsys.readouterr().err.splitlines()[1] == f"  try: mrc --home '{home}' up"
    assert run(["--home", home, "status", "extra"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == f"  try: mrc --home '{home}' status --help"


def test_a_cluster_of_several_machines_is_not_started_from_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--cluster", "zk://127.0.0.1:1/x", "up"]) == 2
    capsys.readouterr()
    say(Unavailable("no namenode answers", next_command="mrc up"))
    assert (
        capsys.readouterr().err.splitlines()[1] == "  try: mrc --cluster zk://127.0.0.1:1/x status"
    )


def test_up_is_for_homes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--cluster", "zk://127.0.0.1:1/x", "up"]) == 2
    assert "`mrc up` starts the cluster of a home" in capsys.readouterr().err
