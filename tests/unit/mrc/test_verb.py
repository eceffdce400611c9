"""What every verb has in common: nothing empty stands for a default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mrc.main import cli, run
from mrc.verb import VARIABLES, Verb, VerbGroup

SENSIBLE = {"mode": "644", "replication": "2", "role": "worker"}


def verbs(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            assert isinstance(command, VerbGroup), name
            yield from verbs(command, (*words, name))
        else:
            assert isinstance(command, Verb), name
            yield (*words, name), command


def calls() -> Iterator[list[str]]:
    """Every verb with one of its words empty, one after the other, the rest as it should be."""
    for words, command in verbs(cli):  # type: ignore[arg-type]
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        given = {str(p.name): SENSIBLE.get(str(p.name), "x") for p in arguments}
        for empty in arguments:
            if str(empty.name) == "words" and words[0] in ("run", "submit"):
                continue  # the job's own: test_job_options
            yield [*words, *("" if p is empty else given[str(p.name)] for p in arguments)]
            if empty.nargs == -1:
                yield [
                    *words,
                    *(
                        word
                        for p in arguments
                        for word in (
                            [given[str(p.name)], ""] if p is empty else [given[str(p.name)]]
                        )
                    ),
                ]
        for option in command.params:
            if (
                isinstance(option, click.Option)
                and not option.is_flag
                and not option.is_eager
                and option.flag_value is None
            ):
                yield [*words, option.opts[-1], "", *given.values()]
    for option in cli.params:
        if isinstance(option, click.Option) and not option.is_flag:
            yield [option.opts[0], "", "status"]
            yield [f"{option.opts[0]}=", "fs", "ls", "/"]


@pytest.mark.parametrize("words", [*calls()], ids=" ".join)
def test_an_empty_word_is_wrong_usage_for_every_verb(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MRC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not list(tmp_path.iterdir()), "nothing was done before it was refused"


@pytest.mark.parametrize("variable", VARIABLES)
def test_an_empty_variable_is_wrong_usage(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "")
    for words in (["status"], ["fs", "rm", "-r", "x"], ["jobs"], ["config"]):
        assert run(words) == 2
        assert f"{variable} is set and empty" in capsys.readouterr().err
