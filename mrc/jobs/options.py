"""The options that `mrc run` and `mrc submit` share, and the job's own options behind FILE.

Options before FILE are ours; those after it are the job's parameters, each `--name value` (a bool
is `--name/--no-name`). The remaining words are IN… OUT.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from clusterkit.errors import UsageError
from mapreduce.plan.describe import SETTINGS, JobClassFacts, Parameter
from mapreduce.plan.parameters import shown

F = TypeVar("F", bound=Callable[..., Any])

_HELP = {
    "reducers": "Part files to make; 0 = map-only [default: 2].",
    "split_bytes": "Largest piece of input that one map reads.",
    "encoding_errors": "What to do with invalid UTF-8: strict or replace.",
    "max_attempts": "Failures of one task that fail the job.",
    "memory_limit_bytes": "Resident size above which a task is ended.",
    "file_limit_bytes": "Largest file that a task may write.",
    "spill_bytes": "Memory a map gathers before it spills to disk.",
    "no_progress_limit_s": "Seconds without progress after which a task is ended.",
    "output_replication": "Replicas of the output; 0 = the file system's default.",
}


@dataclass(frozen=True, slots=True)
class JobArguments:
    parameters: dict[str, Any]  # every parameter of the job that was given
    inputs: tuple[str, ...]
    output: str


def setting_options(command: F) -> F:
    """Adds `--reducers` and the other settings of a job, each None when it was not given."""
    for name in reversed(SETTINGS):
        option = "--" + name.replace("_", "-")
        command = click.option(
            option, name, type=SETTINGS[name], default=None, help=_HELP.get(name, "")
        )(command)
    return command


def given_settings(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given on the command line."""
    return {
        name: value for name, value in options.items() if name in SETTINGS and value is not None
    }


def command_again(*flags: str, target: str = "") -> str:
    """The command that is being carried out, with more flags or another FILE[:Job], ready to be
    pasted."""
    here = click.get_current_context()
    words: list[str] = []
    for context in (here.find_root(), here):
        words.append(str(context.info_name))
        for option in context.command.params:
            name = str(option.name)
            given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            if isinstance(option, click.Option) and given and not set(flags) & set(option.opts):
                words += (
                    [option.opts[-1]]
                    if option.is_flag
                    else [option.opts[-1], str(context.params[name])]
                )
    return shlex.join([*words, *flags, target or here.params["target"], *here.params["words"]])


def parse_job_arguments(facts: JobClassFacts, words: Sequence[str], usage: str) -> JobArguments:
    """What stands behind FILE. `usage` is the command so far ("mrc submit wc.py"). Raises click's
    usage errors (exit 2).

    Parameters go by their number in here, so that one may be called whatever Python allows; an
    option of the job's own named `--help` takes the place of the one that shows them."""
    spelt = {parameter.option for parameter in facts.parameters}
    taken: dict[str, Any] = {}

    def take(**values: Any) -> None:
        taken.update(values)

    params: list[click.Parameter] = [
        _option(parameter, f"p{number}", spelt) for number, parameter in enumerate(facts.parameters)
    ]
    params.append(click.Argument(["paths"], nargs=-1, metavar="IN… OUT"))
    helps = [] if "--help" in spelt else ["--help"]
    command = click.Command(
        usage,
        params=params,
        callback=take,
        help=facts.summary,
        context_settings={"help_option_names": helps},
    )
    try:
        command.main(args=list(words), prog_name=usage, standalone_mode=False)
    except click.NoSuchOption as error:
        ours = click.get_current_context(silent=True)
        if ours is not None and any(
            error.option_name in option.opts for option in ours.command.params
        ):
            said = (
                f"{error.option_name} stands behind FILE, where the job's own options are; it "
                "goes before FILE"
            )
            raise UsageError(said, next_command=f"{ours.command_path} --help") from None
        raise
    if "paths" not in taken:
        raise click.exceptions.Exit(0)  # --help was asked for and shown
    paths = taken["paths"]
    if len(paths) < 2:
        raise click.UsageError(f"{facts.module_file} needs an input and an output: {usage} IN… OUT")
    if "" in paths:
        raise UsageError("an empty word is no input or output", next_command=f"{usage} --help")
    found = {
        parameter.name: taken[f"p{number}"] for number, parameter in enumerate(facts.parameters)
    }
    return JobArguments(
        {name: value for name, value in found.items() if value is not None},
        tuple(paths[:-1]),
        paths[-1],
    )


def _option(parameter: Parameter, key: str, spelt: Collection[str]) -> click.Option:
    default = "" if parameter.required else f"[default: {shown(parameter.default)}]"
    if parameter.type is bool:
        negative = f"--no-{parameter.option.removeprefix('--')}"
        if negative in spelt:
            raise UsageError(
                f"the parameters {parameter.name} and no_{parameter.name} would both be "
                f"{negative}; one needs another name"
            )
        return click.Option(
            [f"{parameter.option}/{negative}", key],
            default=None,
            required=parameter.required,
            help=default,
        )
    metavar = "TEXT" if parameter.type is str else "INTEGER" if parameter.type is int else "FLOAT"
    kind = click.UNPROCESSED if parameter.type is str else parameter.type
    return click.Option(
        [parameter.option, key],
        type=kind,
        metavar=metavar,
        default=None,
        required=parameter.required,
        help=default,
    )
