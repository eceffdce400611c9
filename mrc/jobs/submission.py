"""From the words of `mrc submit` to a job id: load the job's file, read its options, find the
paths, plan, hand over."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from clusterkit.errors import ClusterError, UsageError
from mapreduce.errors import OutputExists, SeveralJobs
from mrc.context import Context
from mrc.jobs.failure_text import JobFailed, failure_text
from mrc.printing import err

if TYPE_CHECKING:
    from mapreduce.plan.describe import JobClassFacts
    from mapreduce.runners.tracker_client import TrackerClient


def submit_job(
    context: Context,
    client: TrackerClient,
    target: str,
    words: Sequence[str],
    options: dict[str, Any],
) -> str:
    from mapreduce.runners.api import Submission
    from mapreduce.runners.cluster import ClusterRunner
    from mapreduce.storage.minihdfs import MinihdfsStorage
    from mrc.jobs.options import given_settings, parse_job_arguments

    facts = describe_or_explain(target, verbose=options["verbose"])
    arguments = parse_job_arguments(facts, words, f"mrc submit {target}")
    filesystem = context.filesystem()
    storage = MinihdfsStorage(filesystem)
    try:
        submission = Submission(
            [cluster_path(text, filesystem.uri, filesystem.home) for text in arguments.inputs],
            cluster_path(arguments.output, filesystem.uri, filesystem.home),
            arguments.parameters,
            given_settings(options),
            options["name"],
            options["overwrite"],
            options["recursive"],
        )
        runner = ClusterRunner(storage, client, context.user)
        try:
            return runner.submit(facts, submission)
        finally:
            for name in runner.left_out:
                err(f"not sent with the job: {name}", lines=False)
    except OutputExists as error:
        raise unless_overwritten(error) from error
    except OSError as error:
        raise ClusterError(str(error), next_command="mrc status") from error
    finally:
        storage.close()


def describe_or_explain(target: str, *, verbose: bool) -> JobClassFacts:
    """Loads the job's file; what is wrong in it is shown as its author would see it."""
    from mapreduce.failures import TaskFailed
    from mapreduce.plan.describe import describe, split_target
    from mrc.jobs.options import command_again

    try:
        return describe(target)
    except SeveralJobs as error:
        first = str(error.next_command).rpartition(":")[2]
        raise UsageError(
            error.message, next_command=command_again(target=f"{target}:{first}")
        ) from error
    except TaskFailed as error:
        told = failure_text(msgspec.to_builtins(error.report), verbose=verbose)
        if told:
            err(told)
        file = split_target(target)[0]
        missing = re.search(r"No module named '([\w.]+)'", error.report.message)
        following = (
            f"python -m pip install {missing[1].partition('.')[0]}"
            if missing
            else f"{os.environ.get('EDITOR', 'vi')} {file}"
        )
        raise JobFailed(
            f"{file} cannot be loaded: {error.report.message}", next_command=following
        ) from error


def unless_overwritten(error: OutputExists) -> OutputExists:
    """The same refusal, with the whole command that would replace the output where that is one."""
    from mapreduce.plan.planning import OVERWRITE_REPLACES_IT
    from mrc.jobs.options import command_again

    if error.next_command != OVERWRITE_REPLACES_IT:
        return error
    return OutputExists(error.message, next_command=command_again("--overwrite"))


def cluster_path(text: str, uri: str, home: str) -> str:
    """The absolute path in this cluster that an argument of `mrc submit` means: bare paths and
    hdfs:// are the cluster's."""
    from minihdfs.client.filesystem import parse_uri
    from mrc.locations import absolute, endpoints, location

    place = location(text)
    if place.is_local:
        raise UsageError(
            f"{text} is a path of this machine; a job on the cluster reads and writes the "
            "cluster's",
            next_command="mrc fs put --help",
        )
    if place.authority and not endpoints(place.authority) & endpoints(parse_uri(uri)[0]):
        raise UsageError(f"{text} is not in this cluster ({uri})", next_command="mrc status")
    return absolute(place.path, home)
