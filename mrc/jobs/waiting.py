"""Reaching the tracker, and waiting for a job with its progress on standard error. What `mrc
submit` and `mrc job` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clusterkit.errors import EXIT_INTERRUPTED
from mrc.context import Context
from mrc.jobs.failure_text import failure_text, job_failure
from mrc.printing import err, out_json

if TYPE_CHECKING:
    from mapreduce.runners.api import Status
    from mapreduce.runners.tracker_client import TrackerClient

output_option = click.option(
    "-o",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Text or JSON on stdout.",
)


def open_client(context: Context) -> TrackerClient:
    """gRPC is loaded here, so that `--help` is fast."""
    from mapreduce.runners.tracker_client import TrackerClient

    return TrackerClient(
        context.tracker_address,
        away=lambda why: err(f"waiting for the tracker: {why}", lines=False),
    )


def print_json(value: Any) -> None:
    out_json(value, indent=None)


def wait_for(client: TrackerClient, ref: str) -> Status:
    """Shows progress until the job has finished. Ctrl-C leaves the job running."""
    from mrc.jobs.progress import open_progress

    progress = open_progress()
    job_id, status = ref, None
    try:
        for status in client.watch(ref, progress.interval_s):
            job_id = status["id"]
            progress.update(status)
    except KeyboardInterrupt:
        progress.close()
        err(f"detached: {job_id} goes on\n  try: mrc job wait {job_id}")
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    finally:
        progress.close()
    assert status is not None
    return status


def conclude(status: Status, output_format: str, *, verbose: bool) -> None:
    """The end of a job that was waited for. Raises JobFailed after showing the user's own error."""
    from mrc.jobs.text import duration

    if output_format == "json":
        print_json(status)
    if status["state"] == "SUCCEEDED":
        err(
            f"{status['id']} {status['state']} in {duration(status)}: {status['output']}",
            lines=False,
        )
        return
    told = failure_text(status.get("failure") or {}, verbose=verbose)
    if told:
        err(told)
    raise job_failure(status)
