"""`mrc submit`: plan a job here, hand it to the tracker, wait for it unless told not to."""

from __future__ import annotations

from typing import Any

import click

from mrc.context import Context
from mrc.jobs.options import setting_options
from mrc.jobs.waiting import conclude, open_client, output_option, print_json, wait_for
from mrc.printing import out
from mrc.verb import JobVerb


@click.command(cls=JobVerb, context_settings={"allow_interspersed_args": False})
@click.option("-d", "--detach", is_flag=True, help="Do not wait: print the job's id.")
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
    "-v", "--verbose", is_flag=True, help="Keep the engine's frames in a failed job's traceback."
)
@setting_options
@click.argument("target", metavar="FILE[:Job]")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[JOB OPTIONS] IN… OUT")
@click.pass_obj
def submit(
    obj: dict[str, str | None], /, target: str, words: tuple[str, ...], **options: Any
) -> None:
    """Run a job on the cluster.

    Options before FILE are these; options after it are the job's own parameters.
    """
    from mrc.jobs.submission import submit_job

    context = Context.of(obj)
    with open_client(context) as client:
        job_id = submit_job(context, client, target, words, options)
        if options["detach"]:
            print_json({"id": job_id}) if options["output_format"] == "json" else out(job_id)
            return
        status = wait_for(client, job_id)
    conclude(status, options["output_format"], verbose=options["verbose"])
