"""`mrc config`: every setting, its value and where it comes from."""

from __future__ import annotations

import click
import msgspec

from coordinator.home import Home
from mrc.cluster.up import tell_not_in_force
from mrc.printing import out, out_json
from mrc.settings import read_settings
from mrc.verb import Verb


@click.command(cls=Verb)
@click.option(
    "-o", "output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option(
    "--set",
    "flags",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Check what a flag would change.",
)
@click.pass_obj
def config(obj: dict[str, str | None], output: str, flags: tuple[str, ...]) -> None:
    """Show the configuration and where each value comes from."""
    home = Home.named(obj["home"])
    settings, origins = read_settings(home, flags)
    tree = msgspec.to_builtins(settings)
    if output == "json":
        out_json({"settings": tree, "origins": origins}, indent=None)
        return
    for section, values in tree.items():
        out(f"[{section}]")
        for key, value in values.items():
            origin = origins.get(f"{section}.{key}", "default")
            said_by = "" if origin == "default" else f"    # {origin}"
            out(f"{key} = {msgspec.json.encode(value).decode()}{said_by}")
        out("")
    tell_not_in_force(home, settings)
