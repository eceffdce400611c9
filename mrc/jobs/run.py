"""`mrc run`: a job on this machine, without a cluster. The same code, splits and bytes as `mrc
submit`.

A bare path is this machine's; hdfs://HOST:PORT/… reads from or writes to a file system, whose
client is loaded only then.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from clusterkit.errors import UsageError
from mrc.jobs.options import command_again, given_settings, parse_job_arguments, setting_options
from mrc.jobs.waiting import output_option, print_json
from mrc.printing import err
from mrc.verb import JobVerb

if TYPE_CHECKING:
    from mapreduce.plan.describe import JobClassFacts
    from mapreduce.runners.api import Runner, Status, Submission
    from mrc.jobs.endings import Endings


@click.command(cls=JobVerb, context_settings={"allow_interspersed_args": False})
@output_option
@click.option("--name", default="", help="The job's name [default: its class's].")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace an existing output, in one step, when the job has succeeded.",
)
@click.option(
    "--recursive", is_flag=True, help="Read input directories with everything below them."
)
@click.option(
    "--slots",
    type=click.IntRange(1, 1024),
    default=None,
    help="Tasks at once [default: this machine's cores].",
)
@click.option(
    "--inline", is_flag=True, help="Run all tasks in this process, one by one, for debuggers."
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Keep the engine's frames in a failed job's traceback."
)
@setting_options
@click.argument("target", metavar="FILE[:Job]")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[JOB OPTIONS] IN… OUT")
def run(target: str, words: tuple[str, ...], **options: Any) -> None:
    """Run a job here, without a cluster.

    Options before FILE are these; options after it are the job's own parameters.
    """
    from mrc.jobs.endings import Endings, job_in_this_process

    with (
        Endings(is_inline=options["inline"]) as endings,
        job_in_this_process() if options["inline"] else started_conductor(options),
    ):
        try:
            _run(target, words, options, endings)
        except KeyboardInterrupt:
            endings.leave("interrupted; nothing was written")


def _run(target: str, words: tuple[str, ...], options: dict[str, Any], endings: Endings) -> None:
    from mapreduce.errors import OutputExists
    from mapreduce.runners.api import Submission
    from mrc.jobs.submission import describe_or_explain, unless_overwritten

    facts = describe_or_explain(target, verbose=options["verbose"])
    arguments = parse_job_arguments(facts, words, f"mrc run {target}")
    sources = [local_target(text) for text in arguments.inputs]
    output_uri, output = local_target(arguments.output)
    others = spelt_once([uri for uri, _path in sources])
    if len(others) > 1:
        raise UsageError(
            f"inputs lie in several file systems: {', '.join(others)}",
            next_command="mrc fs get --help",
        )
    submission = Submission(
        [path for _uri, path in sources],
        output,
        arguments.parameters,
        given_settings(options),
        options["name"],
        options["overwrite"],
        options["recursive"],
    )
    try:
        status = run_and_wait(
            open_runner(options, others[0], output_uri), facts, submission, endings
        )
    except OutputExists as error:
        raise unless_overwritten(error) from error
    conclude_run(status, options)


@contextlib.contextmanager
def started_conductor(options: dict[str, Any]) -> Iterator[None]:
    """The process that will run the job's tasks: it loads the engine while this one loads the
    job."""
    from mapreduce.runners.local.child import start_conductor

    options["conductor"] = child = start_conductor()
    try:
        yield
    finally:
        child.end()


def open_runner(options: dict[str, Any], source_uri: str, target_uri: str) -> Runner:
    if options["inline"]:
        from mapreduce.runners.inline import InlineRunner
        from mapreduce.storage.opening import open_storage

        source = open_storage(source_uri)
        return InlineRunner(
            source, source if target_uri == source_uri else open_storage(target_uri)
        )
    from mapreduce.runners.local.runner import LocalRunner

    return LocalRunner(
        source_uri, target_uri, slots=options["slots"] or 0, conductor=options["conductor"]
    )


def run_and_wait(
    runner: Runner, facts: JobClassFacts, submission: Submission, endings: Endings
) -> Status:
    """Shows progress until the job has finished. Whatever ends this earlier ends the job and leaves
    nothing of it."""
    from mrc.jobs.progress import open_progress

    job_id = runner.submit(facts, submission)
    status = None
    try:
        progress = open_progress()
        try:
            with contextlib.closing(runner.watch(job_id, progress.interval_s)) as statuses:  # type: ignore[type-var]
                for status in statuses:
                    endings.check()
                    progress.update(status)
        finally:
            progress.close()
    except KeyboardInterrupt:
        status = runner.kill(job_id, "interrupted")
        written = (
            f"{status['output']} had been written"
            if status["state"] == "SUCCEEDED"
            else "nothing was written"
        )
        endings.leave(f"interrupted; {written}")
    assert status is not None
    return status


def conclude_run(status: Status, options: dict[str, Any]) -> None:
    """Raises JobFailed after showing the user's own error."""
    from mrc.jobs.failure_text import JobFailed, failure_text
    from mrc.jobs.text import duration

    if options["output_format"] == "json":
        print_json(status)
    if status["state"] == "SUCCEEDED":
        err(
            f"{status['name']} {status['state']} in {duration(status)}: {status['output']}",
            lines=False,
        )
        return
    report = status["failure"] or {}
    told = failure_text(report, verbose=options["verbose"])
    if told:
        err(told)
    verb = "was killed" if status["state"] == "KILLED" else "failed"
    raise JobFailed(
        f"{status['name']} {verb}: {status['error']}",
        next_command=report.get("next_command") or command_again("--inline", "-v"),
    )


def exec_with_the_seed_of_tasks() -> None:
    """Starts this command again as a process whose `hash` is that of all tasks, where the job is
    going to run in it."""
    import secrets

    from clusterkit.interpreter import fix_addresses, interpreter
    from mapreduce.plan.spec import HASH_SEED
    from mapreduce.worker.process_control import POOL_MARK

    if fix_addresses() or os.environ.get("PYTHONHASHSEED") != str(HASH_SEED):
        environment = os.environ | {
            "PYTHONHASHSEED": str(HASH_SEED),
            POOL_MARK: f"run-{secrets.token_hex(16)}",
        }
        os.execve(interpreter(), [sys.executable, *sys.orig_argv[1:]], environment)


def local_target(text: str) -> tuple[str, str]:
    """(storage URI, absolute path in it). A bare path is this machine's."""
    from mrc.locations import absolute, location

    exists = bool(text) and os.path.lexists(text)  # a path that exists as it is written is no URI
    place = None if exists else location(text)
    if place is None or place.scheme != "hdfs":
        return "file:///", os.path.abspath(text if place is None else place.path)  # noqa: PTH100 - follows no link
    return f"hdfs://{place.authority or _own_namenode()}", absolute(place.path, "/")


def _own_namenode() -> str:
    """hdfs:///PATH is in the cluster that is meant."""
    from mrc.context import Context

    return Context.of(click.get_current_context().find_root().obj).namenode_address()


def spelt_once(uris: Sequence[str]) -> list[str]:
    """Without those that are another spelling of an earlier one's file system."""
    from mrc.locations import endpoints

    found: dict[str, frozenset[tuple[str, int]]] = {}
    for uri in uris:
        here = (
            endpoints(uri.removeprefix("hdfs://"))
            if uri.startswith("hdfs://")
            else frozenset({(uri, 0)})
        )
        if not any(here & other for other in found.values()):
            found[uri] = here
    return list(found)
