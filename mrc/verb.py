"""What every verb of `mrc` has in common as a command: empty words are refused, and a word that is
nearly a verb is answered with the verb.

`rm -r "$DIR"` with DIR unset must not mean "here" or "my home": no argument, option or variable of
ours that is there and empty stands for a default. What stands behind a job's file is the job's own
business (`raw_words`); its paths are looked at there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import click
from click.core import ParameterSource

from clusterkit.errors import UsageError

VARIABLES = ("MRC_HOME", "MRC_CLUSTER", "HADOOP_USER_NAME")


class Verb(click.Command):
    raw_words = ""  # the argument that is not looked at

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        refuse_empty(ctx, self.params, self.raw_words)
        return rest


class JobVerb(Verb):
    """`run` and `submit`: words behind FILE."""

    raw_words = "words"


class VerbGroup(click.Group):
    command_class = Verb
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Words that people try here, and the command that they mean."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        refuse_empty(ctx, self.params, "")
        return rest

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if not word:
            raise UsageError(
                "an empty word is no command", next_command=f"{ctx.command_path} --help"
            )
        if not word.startswith("-") and self.get_command(ctx, word) is None:
            raise unknown_command(ctx, word, self.list_commands(ctx), self.elsewhere)
        return super().resolve_command(ctx, args)


def unknown_command(
    ctx: click.Context,
    word: str,
    known: Iterable[str],
    elsewhere: Mapping[str, str],
    shown: str = "",
) -> UsageError:
    import difflib

    if word in elsewhere:
        meant = elsewhere[word]
    else:
        near = difflib.get_close_matches(word, [*known, *elsewhere], 1)
        meant = (elsewhere.get(near[0]) or f"{ctx.command_path} {near[0]}") if near else ""
    said = f"no such command '{shown or word}'"
    if meant:
        return UsageError(f"{said}; did you mean `{meant}`?", next_command=f"{meant} --help")
    return UsageError(said, next_command=f"{ctx.command_path} --help")


def refuse_empty(ctx: click.Context, params: Iterable[click.Parameter], raw_words: str) -> None:
    for variable in VARIABLES:
        if os.environ.get(variable) == "":
            raise UsageError(
                f"the environment's {variable} is set and empty", next_command=f"unset {variable}"
            )
    for param in params:
        name = str(param.name)
        if name == raw_words or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if _is_empty(ctx.params.get(name)):
            shown = param.opts[0] if isinstance(param, click.Option) else param.make_metavar(ctx)
            raise UsageError(
                f"{shown} is empty: it names nothing", next_command=f"{ctx.command_path} --help"
            )


def _is_empty(value: Any) -> bool:
    return value == "" or (isinstance(value, tuple) and "" in value)
