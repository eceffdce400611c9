"""How Hadoop's spellings of the verbs of `mrc fs` are understood."""

from __future__ import annotations

import click

from mrc.verb import VerbGroup, unknown_command

ALIASES = {"copyFromLocal": "put", "copyToLocal": "get"}


class FsGroup(VerbGroup):
    """Takes `-ls` for `ls`, and `-help ls` for `ls --help`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] in ("-help", "-usage", "-h"):
            args = [*(verb.removeprefix("-") for verb in args[1:2]), "--help"]
        elif args and args[0].startswith("-") and not args[0].startswith("--"):
            if not self._known(args[0][1:]):
                raise unknown_command(ctx, args[0][1:], self.commands, self.elsewhere, args[0])
            args = [args[0][1:], *args[1:]]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return super().get_command(ctx, ALIASES.get(name, name))

    def _known(self, name: str) -> bool:
        return name in self.commands or name in ALIASES
