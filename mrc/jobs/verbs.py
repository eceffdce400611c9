"""`mrc jobs` and `mrc job …`. Data on standard output, everything else on standard error; waiting
can be left at any time."""

from __future__ import annotations

import click

from clusterkit.errors import EXIT_FAILED, ClusterError
from mrc.context import Context
from mrc.jobs.waiting import conclude, open_client, output_option, print_json, wait_for
from mrc.printing import err, out, out_log
from mrc.verb import Verb, VerbGroup

FINISHED = ("SUCCEEDED", "FAILED", "KILLED")


class JobFinished(ClusterError):
    """A job that has ended cannot be stopped."""

    code, exit_code = "FAILED_PRECONDITION", EXIT_FAILED


REF = "ID is a job's id, the unambiguous beginning of one, or @ for the newest."


@click.command(cls=Verb)
@output_option
@click.option("--running", is_flag=True, help="Only jobs that have not finished.")
@click.option("-n", "limit", default=50, show_default=True, help="At most this many, newest first.")
@click.pass_obj
def jobs(obj: dict[str, str | None], output_format: str, running: bool, limit: int) -> None:
    """List jobs, newest first."""
    from mrc.jobs.text import job_table

    with open_client(Context.of(obj)) as client:
        found = client.jobs(finished_too=not running)[:limit]
    if output_format == "json":
        print_json(found)
    else:
        out(*job_table(found))


@click.group(cls=VerbGroup, epilog=REF)
def job() -> None:
    """Look at one job, stop it, wait for it."""


@job.command(epilog=REF)
@click.argument("ref", metavar="ID")
@output_option
@click.pass_obj
def status(obj: dict[str, str | None], ref: str, output_format: str) -> None:
    """What a job is doing or has done."""
    from mrc.jobs.text import job_text

    with open_client(Context.of(obj)) as client:
        found = client.status(ref)
    if output_format == "json":
        print_json(found)
    else:
        out(*job_text(found))


@job.command(epilog=REF)
@click.argument("ref", metavar="ID")
@output_option
@click.pass_obj
def counters(obj: dict[str, str | None], ref: str, output_format: str) -> None:
    """A job's counters: group, name and value, separated by tabs."""
    from mrc.jobs.text import counters_text

    with open_client(Context.of(obj)) as client:
        found = client.status(ref)["counters"]
    if output_format == "json":
        print_json(found)
    else:
        out(*counters_text(found))


@job.command(epilog=REF)
@click.argument("ref", metavar="ID")
@click.option(
    "--task",
    default="",
    metavar="TASK",
    help="Only of one task (map/3, reduce/0) or one attempt (by its id).",
)
@output_option
@click.pass_obj
def logs(obj: dict[str, str | None], ref: str, task: str, output_format: str) -> None:
    """What the job's tasks printed, attempt by attempt."""
    with open_client(Context.of(obj)) as client:
        attempts = client.attempts(ref, task)
        if output_format == "json":
            print_json(
                [
                    {"attempt": a.attempt_id, "state": a.state, "worker": a.worker_address}
                    for a in attempts
                ]
            )
            return
        for attempt in attempts:
            err(f"== {attempt.attempt_id} {attempt.state}", lines=False)
            if not attempt.worker_address:
                err("its worker does not answer")
                continue
            try:
                for piece in client.read_log(attempt):
                    out_log(piece)
            except ClusterError as error:
                err(f"its log cannot be read: {error.message}", lines=False)


@job.command(epilog=REF)
@click.argument("ref", metavar="ID")
@click.option("--reason", default="", help="Shown as the job's error.")
@output_option
@click.pass_obj
def kill(obj: dict[str, str | None], ref: str, reason: str, output_format: str) -> None:
    """Stop a job; its output does not appear."""
    context = Context.of(obj)
    with open_client(context) as client:
        before = client.status(ref)
        if before["state"] in FINISHED:
            raise JobFinished(
                f"{before['id']} is {before['state']} already: there is nothing to stop",
                next_command=f"mrc job status {before['id']}",
            )
        found = client.kill(before["id"], reason or f"killed by {context.user}")
    if output_format == "json":
        print_json(found)
    else:
        out(f"{found['id']} {found['state']}")


@job.command(epilog=REF)
@click.argument("ref", metavar="ID")
@output_option
@click.option(
    "-v", "--verbose", is_flag=True, help="Keep the engine's frames in a failed job's traceback."
)
@click.pass_obj
def wait(obj: dict[str, str | None], ref: str, output_format: str, verbose: bool) -> None:
    """Wait for a job; exit 1 when it failed or was killed."""
    with open_client(Context.of(obj)) as client:
        found = wait_for(client, ref)
    conclude(found, output_format, verbose=verbose)
