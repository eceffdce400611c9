"""What is suggested can be typed: every `try:` that begins with `mrc` is parsed by the verb it
names, and none of them removes anything."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator

import click
import pytest

from mrc.main import cli
from tests.tidy.source import ROOT

ROOMS = ("clusterkit", "coordinator", "minihdfs", "mapreduce", "mrc")
REMOVING = {"rm", "rmdir", "expunge"}


def hints() -> Iterator[tuple[str, str]]:
    """(file and line, the command with `x` for what is filled in)."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                for keyword in node.keywords if isinstance(node, ast.Call) else ():
                    if keyword.arg == "next_command":
                        for text in _texts(keyword.value):
                            yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def _texts(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "x" for part in value.values
        )
    elif isinstance(value, ast.IfExp):
        yield from (*_texts(value.body), *_texts(value.orelse))
    elif isinstance(value, ast.BinOp):
        yield from (left + right for left in _texts(value.left) for right in _texts(value.right))


OURS = [(where, text) for where, text in hints() if text.split()[:1] == ["mrc"]]


@pytest.mark.parametrize(("where", "text"), OURS, ids=[f"{where} {text}" for where, text in OURS])
def test_every_hint_is_a_command_that_can_be_typed(where: str, text: str) -> None:
    words = shlex.split(text)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="mrc", obj={"home": None, "cluster": None})
    while isinstance(command, click.Group) and words and words[0] != "--help":
        if words[0] == "x":
            return  # the verb itself is filled in
        found = command.get_command(context, words[0])
        assert found is not None, f"{where}: no command {words[0]!r} in `{text}`"
        assert words[0] not in REMOVING, f"{where}: `{text}` removes what somebody may need"
        command, context = found, click.Context(found, parent=context, info_name=words[0])
        words = words[1:]
    if "--help" in words or isinstance(command, click.Group):
        return
    if words and words[-1] == "x" and command.name in ("run", "submit", "fs"):
        return
    try:
        command.make_context(
            str(command.name), [word.replace("DIR", ".") for word in words], parent=context.parent
        )
    except click.UsageError as error:
        raise AssertionError(f"{where}: `{text}`: {error.format_message()}") from None


def test_there_are_hints() -> None:
    assert len(OURS) > 30
