"""From a job class and a command line to a JobSpec: every mistake that can be found without running
the job is found here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusterkit.errors import NotPermitted, UsageError
from mapreduce.errors import InputRefused, OutputExists
from mapreduce.failures import printable
from mapreduce.formats.registry import format_of
from mapreduce.plan.describe import SETTINGS, JobClassFacts
from mapreduce.plan.earlier import check_replaceable
from mapreduce.plan.inputs import input_files
from mapreduce.plan.parameters import all_encoded, shown
from mapreduce.plan.spec import CodeRef, JobSpec
from mapreduce.storage.api import Storage

MAX_REDUCERS = 10_000
TEXT = "text"
"""The format of every job, until jobs can name another."""
_LEAST: dict[str, float] = {
    "reducers": 0,
    "split_bytes": 0,
    "max_attempts": 1,
    "memory_limit_bytes": 64 << 20,
    "file_limit_bytes": 64 << 20,
    "spill_bytes": 1 << 20,
    "no_progress_limit_s": 0.1,
    "output_replication": 0,
}


def plan_job(
    facts: JobClassFacts,
    code: CodeRef,
    storage: Storage,
    inputs: Sequence[str],
    output: str,
    *,
    output_storage: Storage | None = None,
    settings: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    name: str = "",
    overwrite: bool = False,
    recursive: bool = False,
    least_maps: int = 1,
) -> JobSpec:
    """`inputs` and `output` are absolute paths of `storage` and `output_storage` (the same unless
    given). `settings` are the options that were given, which go before the class's own;
    `parameters` the job's own options, already of the right types.

    UsageError: a setting out of range, a parameter missing, an output that cannot be. InputRefused,
    OutputExists (exit code 1)."""
    target = output_storage or storage
    chosen = checked_settings(facts, settings or {})
    given = checked_parameters(facts, parameters or {})
    output = output.rstrip("/")
    replaced, replaced_job = _check_output(target, output, overwrite)
    files = input_files(storage, inputs, recursive=recursive)
    if replaced:
        _check_apart(
            target, output, code.origin, [info.path for info in files] if target is storage else []
        )
    splits = format_of(TEXT).splits(
        storage, files, split_bytes=chosen["split_bytes"], least=least_maps
    )
    passed = {setting: chosen[setting] for setting in SETTINGS if setting != "split_bytes"}
    return JobSpec(
        name=name or facts.class_name,
        code=code,
        parameters=all_encoded(given),
        given=sorted(parameters or {}),
        inputs=list(inputs),
        output=output,
        overwrite=overwrite,
        replaced_inode_id=replaced,
        replaced_job_id=replaced_job,
        has_combine=facts.has_combine,
        input_format=TEXT,
        output_format=TEXT,
        record_type=facts.record_type,
        splits=splits,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        **passed,
    )


def checked_settings(facts: JobClassFacts, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting, in range: what was given, else the class's own, else the default."""
    chosen = {**facts.settings, **given}
    for setting, least in _LEAST.items():
        if not chosen[setting] >= least:
            raise UsageError(f"{setting} is {chosen[setting]}; it must be {least:g} or more")
    if chosen["reducers"] > MAX_REDUCERS:
        raise UsageError(f"reducers is {chosen['reducers']}; at most {MAX_REDUCERS} are allowed")
    if chosen["encoding_errors"] not in ("strict", "replace"):
        raise UsageError(
            f"encoding_errors is {chosen['encoding_errors']!r}; it must be strict or replace"
        )
    unknown = sorted(set(given) - set(SETTINGS))
    if unknown:
        raise UsageError(f"there is no setting {unknown[0]}; there are: {', '.join(SETTINGS)}")
    return chosen


def checked_parameters(facts: JobClassFacts, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that were given and those with defaults, all by value, so that a worker needs
    no class to know them."""
    known = {parameter.name: parameter for parameter in facts.parameters}
    for parameter in given:
        if parameter not in known:
            raise UsageError(f"{facts.class_name} has no parameter {parameter}")
        if type(given[parameter]) is not known[parameter].type:
            raise UsageError(
                f"{facts.class_name}.{parameter} is {known[parameter].type.__name__}, not "
                f"{shown(given[parameter])}"
            )
    missing = [
        parameter.option
        for parameter in facts.parameters
        if parameter.required and parameter.name not in given
    ]
    if missing:
        raise UsageError(
            f"{facts.class_name} needs {', '.join(missing)}",
            next_command=f"mrc run {facts.module_file} --help",
        )
    return {name: given.get(name, parameter.default) for name, parameter in known.items()}


OVERWRITE_REPLACES_IT = "--overwrite replaces it"


def _check_output(storage: Storage, output: str, overwrite: bool) -> tuple[int, str]:
    """The id of the directory to replace, and of the job that made it; (0, "") = nothing is
    there."""
    name = output.rpartition("/")[2]
    if not name or name in (".", ".."):
        raise UsageError(
            f"output {storage.uri(output or '/')} is not a directory that a job could make"
        )
    if ":" in name:
        raise UsageError(f"output {storage.uri(output)}: a name with `:` in it cannot be made")
    if not printable(output) == output:
        raise UsageError(f"output {printable(output)}: a name must be UTF-8 text")
    _check_link(storage, output)
    there = storage.stat(output)
    _check_parents(storage, output)
    if there is None:
        return 0, ""
    if not there.is_directory:
        raise OutputExists(
            f"output {storage.uri(output)} is a file; only a directory is overwritten",
            next_command="another output name",
        )
    if overwrite:
        return there.file_id, check_replaceable(storage, output)
    try:
        check_replaceable(storage, output)
    except OutputExists as error:  # then --overwrite would not help
        raise OutputExists(
            f"output {storage.uri(output)} already exists", next_command=error.next_command
        ) from None
    raise OutputExists(
        f"output {storage.uri(output)} already exists", next_command=OVERWRITE_REPLACES_IT
    )


def _check_parents(storage: Storage, output: str) -> None:
    """They are made when the job begins, where nothing stands in the way."""
    parent = output.rpartition("/")[0]
    while parent and (there := storage.stat(parent)) is None:
        parent = parent.rpartition("/")[0]
    if parent and there is not None and not there.is_directory:
        raise OutputExists(
            f"output {storage.uri(output)} cannot be made: {storage.uri(parent)} is a file",
            next_command="another output name",
        )
    if not storage.may_write(parent or "/"):
        raise NotPermitted(
            f"output {storage.uri(output)} cannot be made: you may not write in "
            f"{storage.uri(parent or '/')}",
            next_command="another output name",
        )


def _check_link(storage: Storage, output: str) -> None:
    """A link would be replaced by the output, or be in its way when the job is done: what it leads
    to has a name of its own."""
    parent, _slash, name = output.rpartition("/")
    real = storage.real(output)
    if real != f"{storage.real(parent or '/').rstrip('/')}/{name}":
        raise OutputExists(
            f"output {storage.uri(output)} is a link to {printable(real)}",
            next_command="the name it leads to, or another",
        )


def _check_apart(storage: Storage, output: str, origin: str, files: Sequence[str]) -> None:
    """What is replaced holds nothing that is read, nor the place where the job or whoever runs it
    is at home."""
    replaced = storage.real(output) + "/"
    for path in files:
        if storage.real(path).startswith(replaced):
            raise InputRefused(
                f"input {path} lies in the output {output}", next_command="another output name"
            )
    if storage.uri("/").startswith("file:"):
        for path, what in (
            (origin, "the job's own directory"),
            (str(Path.cwd()), "the working directory"),
        ):
            if (storage.real(path) + "/").startswith(replaced):
                raise OutputExists(
                    f"{what} {path} lies in the output {output}", next_command="another output name"
                )
