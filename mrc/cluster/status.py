"""`mrc status`: services, file system and jobs."""

from __future__ import annotations

import click

from mrc.cluster.facts import Facts, gather, gather_remote
from mrc.context import Context
from mrc.printing import out, out_json
from mrc.verb import Verb

BACKENDS = {"embedded": "files of this home"}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@click.command(cls=Verb)
@click.option(
    "-o", "output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.pass_obj
def status(obj: dict[str, str | None], output: str) -> None:
    """Show services, file system and jobs."""
    context = Context.of(obj)
    facts = gather_remote(context.cluster) if context.cluster else gather(context.home)
    if output == "json":
        out_json(facts.as_json())
    else:
        out(*as_text(facts).split("\n"))


def as_text(facts: Facts) -> str:
    ready = "ready" if facts.ready else "NOT READY"
    lines = [f"{ready}  {facts.home}  (coordinator: {BACKENDS.get(facts.backend, facts.backend)})"]
    fs = facts.filesystem
    if fs:
        lines.append(
            f"files  {fs['uri']}  {fs['files']} files, {fs['blocks']} blocks, "
            f"{human(fs['used_bytes'])} of {human(fs['capacity_bytes'])}"
            + ("  SAFE MODE" if fs["safe_mode"] else "")
        )
        trouble = [
            f"{fs[key]} {key.partition('_blocks')[0].replace('_', '-')}"
            for key in TROUBLE
            if fs[key]
        ]
        lines += ["       blocks: " + ", ".join(trouble)] if trouble else []
    lines.append(f"jobs   {facts.jobs['running']} running, {facts.jobs['waiting']} waiting")
    rows = [
        (s["role"], s["id"], s["state"], s["address"], f"pid {s['pid']}" if s["pid"] else "")
        for s in facts.services
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    lines += [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *(f"problem: {problem}" for problem in facts.problems)])


TROUBLE = ("under_replicated_blocks", "missing_blocks", "corrupt_blocks")


def human(size: float) -> str:
    for unit in UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {UNITS[-1]}"
