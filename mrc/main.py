"""The `mrc` command: a table of verbs, each loaded when it is called, so that `--help` stays fast.

Errors of ours are printed as `error: …` and `  try: …`; exit codes are those of the user contract.
A traceback of ours is a bug: only an exception nobody foresaw prints one, with the line to report
it.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextvars import ContextVar
from pathlib import Path
from shlex import join, quote
from typing import Any

import click

from clusterkit.errors import EXIT_FAILED, EXIT_INTERRUPTED, ClusterError, NotPermitted, UsageError
from mrc.printing import err
from mrc.verb import VerbGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("mrc.cluster.up:up", "Start what is missing of this machine's cluster."),
    "down": (
        "mrc.cluster.down:down",
        "End every process of this machine's cluster; nothing is lost.",
    ),
    "status": ("mrc.cluster.status:status", "Show services, file system and jobs."),
    "demo": (
        "mrc.demo.story:demo",
        "Count words on a cluster of its own while parts of it are killed.",
    ),
    "fs": ("mrc.fs.verbs:fs", "Work with files in the cluster (Hadoop's spellings too)."),
    "submit": ("mrc.jobs.submit:submit", "Run a job on the cluster."),
    "run": ("mrc.jobs.run:run", "Run a job here, without a cluster."),
    "jobs": ("mrc.jobs.verbs:jobs", "List jobs."),
    "job": ("mrc.jobs.verbs:job", "Look at one job: status, logs, counters, kill, wait."),
    "daemon": (
        "mrc.cluster.daemon_verb:daemon",
        "Run one daemon in the foreground (systemd, containers).",
    ),
    "ha": ("mrc.admin.ha:ha", "Mend by hand what elections left behind."),
    "namenode": (
        "mrc.admin.adopt:namenode",
        "Take a restored or copied namenode directory for the file system's.",
    ),
    "tracker": (
        "mrc.admin.adopt:tracker",
        "Take another directory for the one that keeps the jobs.",
    ),
    "config": (
        "mrc.admin.config:config",
        "Show the configuration and where each value comes from.",
    ),
}


ELSEWHERE = {
    **dict.fromkeys(("start",), "mrc up"),
    **dict.fromkeys(("stop", "shutdown"), "mrc down"),
    **{
        verb: f"mrc fs {verb}"
        for verb in (
            "ls",
            "put",
            "get",
            "cat",
            "cp",
            "mv",
            "rm",
            "mkdir",
            "du",
            "df",
            "stat",
            "tail",
            "head",
            "text",
        )
    },
    **{verb: f"mrc job {verb}" for verb in ("kill", "logs", "counters", "wait")},
}
"""What people type first and what it is called here."""

_chosen: ContextVar[tuple[str, ...]] = ContextVar(
    "chosen", default=()
)  # --home, --cluster as they were given


class Verbs(VerbGroup):
    """A click group whose commands are imported when they are used and listed from the table
    above."""

    elsewhere = ELSEWHERE

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First steps: mrc demo · mrc up · mrc fs ls /",
)
@click.option(
    "--home",
    metavar="DIR",
    help="Directory of a one-machine cluster [default: $MRC_HOME or the user's state directory].",
)
@click.option(
    "--cluster",
    metavar="URL",
    help="A cluster of several machines: zk://HOST:PORT/PATH [default: $MRC_CLUSTER].",
)
@click.version_option(package_name="mrcluster", message="mrc %(version)s")
@click.pass_context
def cli(ctx: click.Context, home: str | None, cluster: str | None) -> None:
    """A MapReduce cluster with its own HDFS-compatible file system, in plain Python."""
    ctx.obj = {"home": home, "cluster": cluster}
    _chosen.set((*(("--home", home) if home else ()), *(("--cluster", cluster) if cluster else ())))


def main(arguments: list[str] | None = None) -> None:
    """Never returns: leaves with the exit code of the user contract."""
    if arguments is not None:
        sys.exit(run(arguments))
    from mrc.streams import flush_output, take_standard_streams

    take_standard_streams()
    is_inline = sys.argv[1:2] == ["run"] and "--inline" in sys.argv
    if is_inline:
        from mrc.jobs.run import exec_with_the_seed_of_tasks

        exec_with_the_seed_of_tasks()
    code = flush_output(run(sys.argv[1:]))
    if is_inline:
        from mrc.jobs.endings import leave_threads_behind

        code = leave_threads_behind(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    _chosen.set(())
    try:
        outcome: Any = cli.main(args=arguments, prog_name="mrc", standalone_mode=False)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return say(_as_ours(error))
    except (KeyboardInterrupt, click.Abort):
        err("interrupted")
        return EXIT_INTERRUPTED
    except ClusterError as error:
        return say(error)
    except BrokenPipeError:  # before OSError, which it is
        # The reader of our output went away (`mrc fs cat … | head`): nothing more to say, and
        # nothing to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        return say(_of_a_file(error))


def _of_a_file(error: OSError) -> ClusterError:
    """This machine refuses a file or directory, most often the home. Raises what is of nobody's
    file again: a bug of ours."""
    from mrc.streams import STANDARD_STREAMS, leave_output

    if error.filename in STANDARD_STREAMS:
        if error.filename != "standard input":
            leave_output()
        return ClusterError(f"{error.filename}: {(error.strerror or str(error)).lower()}")
    if error.filename is None:
        try:
            os.getcwd()  # noqa: PTH109 - whether there is one is the question
        except OSError:
            return ClusterError("the current directory does not exist any more", next_command="cd")
        raise error
    kind = NotPermitted if isinstance(error, PermissionError) else ClusterError
    return kind(
        f"{error.filename}: {(error.strerror or str(error)).lower()}",
        next_command=f"ls -ld {quote(str(Path(error.filename).parent))}",
    )


def _as_ours(error: click.ClickException) -> UsageError:
    """What click found wrong with the words, in the form of every other error."""
    said = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    asked = context.command_path if context is not None else "mrc"
    return UsageError(said[:1].lower() + said[1:], next_command=f"{asked} --help")


def say(error: ClusterError) -> int:
    """`error:` and `  try:`; what is to be tried means the same cluster as the command that
    failed."""
    err(f"error: {error.message}", lines=False)
    if error.next_command:
        err(f"  try: {in_this_cluster(error.next_command)}", lines=False)
    return error.exit_code


def in_this_cluster(following: str) -> str:
    """The command to try, for the cluster that was chosen on the command line."""
    chosen = _chosen.get()
    if following == "mrc up" and ("--cluster" in chosen or os.environ.get("MRC_CLUSTER")):
        following = (
            "mrc status"  # `mrc up` starts the cluster of a home, and another one was asked for
        )
    if chosen and following.startswith("mrc ") and not following.startswith("mrc --"):
        return f"mrc {join(chosen)} {following.removeprefix('mrc ')}"
    return following


if __name__ == "__main__":
    main()
