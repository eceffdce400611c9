"""`mrc demo`: the whole story in a few seconds, on a cluster of its own in a temporary home.

Stores real text, counts its words, kills a worker and a datanode in the middle, and leaves with 0
only if the count is identical to one done in plain Python and every block is back to its full
number of replicas.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clusterkit.errors import ClusterError
from coordinator.home import Home
from mrc.interruption import interruptible
from mrc.printing import out
from mrc.verb import Verb

if TYPE_CHECKING:
    from collections import Counter

DEAD_AFTER_S, DETACHED_AFTER_S = 2.0, 0.5
SETTINGS = f"""[network]
hadoop_ports = false

[namenode]
replication = 2
dead_after_s = {DEAD_AFTER_S}
heartbeat_interval_s = 0.25

[tracker]
worker_dead_after_s = {DEAD_AFTER_S}
worker_detached_after_s = {DETACHED_AFTER_S}
"""
SPLIT_BYTES = 4 << 20
REPAIR_LIMIT_S = 60.0
UNDOING_S = 60.0  # a daemon may take its time to end


@click.command(cls=Verb)
@click.option(
    "--input",
    "given",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Count the files of this directory.",
)
@click.option("--keep", is_flag=True, help="Leave the temporary home (stopped) for a look.")
def demo(given: Path | None, keep: bool) -> None:
    """Count words on a cluster of its own while parts of it are killed, and check the result."""
    from mrc.cluster.down import bring_down

    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="mrc-demo-"))
    home = Home(scratch / "home")
    home.path.mkdir(mode=0o700)
    home.config_file.write_text(SETTINGS)
    with interruptible(UNDOING_S):
        try:
            Demo(home, scratch, given).play()
        finally:
            bring_down(home)
            if not keep:
                shutil.rmtree(scratch, ignore_errors=True)
    say(
        f"everything it started has ended; {time.monotonic() - began:.1f} s in all"
        + (f"; kept: {scratch}" if keep else "")
    )
    say("")
    for line in next_steps():
        say(line)


def next_steps() -> list[str]:
    """What to type now; first how this shell finds `mrc`, unless it does."""
    here = Path(sys.executable).parent
    found = shutil.which("mrc")
    path = (
        []
        if found and Path(found).parent.resolve() == here.resolve()
        else [(f'export PATH="{here}:$PATH"', "where mrc is")]
    )
    steps = [
        *path,
        ("mrc up", "a cluster that stays (mrc down ends it)"),
        ("mrc fs put README.md /", "a file in it"),
        ("mrc submit examples/wordcount.py /README.md /words", ""),
    ]
    heads = ["next:  ", *["       "] * (len(steps) - 1)]
    return [
        f"{head}{step:38}  {what}".rstrip() for head, (step, what) in zip(heads, steps, strict=True)
    ]


def say(line: str) -> None:
    out(line)


class Demo:
    def __init__(self, home: Home, scratch: Path, given: Path | None) -> None:
        self._home, self._scratch, self._given = home, scratch, given
        self._killed: list[str] = []

    def play(self) -> None:
        from mrc.cluster.up import bring_up
        from mrc.context import Context
        from mrc.demo.corpus import begin_gathering

        start = time.monotonic()
        gathering = begin_gathering(self._scratch / "text", self._given)
        bring_up(self._home, 3)
        say(
            f"cluster up in {time.monotonic() - start:.1f} s: 1 namenode, 3 datanodes, 1 "
            "tracker, 3 workers"
        )
        files = [Path(name) for name in gathering.communicate()[0].split("\0") if name]
        if not files:
            raise ClusterError(f"{self._given} holds no files to count", next_command="mrc demo")
        filesystem = Context(self._home).filesystem()
        self._store(filesystem, files)
        status = self._run()
        counts = self._output(filesystem)
        self._show(status, counts)
        identical = self._compare(files, counts)
        self._await_repair()
        filesystem.close()
        if not identical:
            raise ClusterError(
                "the cluster's count differs from the plain one",
                next_command=f"ls {self._home.path / 'logs'}",
            )

    def _store(self, filesystem: Any, files: list[Path]) -> None:
        start, total = time.monotonic(), 0
        filesystem.mkdirs("/text")
        for path in files:
            with path.open("rb") as source, filesystem.create(f"/text/{path.name}") as target:
                while data := source.read(4 << 20):
                    target.write(data)
                    total += len(data)
        what = "files of yours" if self._given else "files of this Python's own source"
        took = time.monotonic() - start
        say(f"stored {len(files)} {what}, {total / 1e6:.1f} MB, 2 replicas each, in {took:.1f} s")

    def _run(self) -> dict[str, Any]:
        """Submits word count, kills in the middle, and returns the finished job's status."""
        from mapreduce.runners.tracker_client import TrackerClient
        from mrc.context import Context
        from mrc.jobs.progress import open_progress
        from mrc.jobs.submission import submit_job

        context, start = Context(self._home), time.monotonic()
        with TrackerClient(context.tracker_address) as client:
            options = {
                "verbose": False,
                "name": "",
                "overwrite": False,
                "recursive": False,
                "split_bytes": SPLIT_BYTES,
            }
            job_id = submit_job(context, client, str(example()), ["/text", "/words"], options)
            progress = open_progress()
            try:
                for status in client.watch(job_id, 0.05):
                    progress.update(status)
                    if not self._killed and status["maps"]["done"] >= max(
                        1, status["maps"]["total"] // 3
                    ):
                        self._kill()
            finally:
                progress.close()
        if status["state"] != "SUCCEEDED":
            raise ClusterError(
                f"{job_id} {status['state']}: {status.get('error')}",
                next_command=f"ls {self._home.path / 'logs'}",
            )
        say(f"{job_id} finished anyway, {time.monotonic() - start:.1f} s after it was submitted")
        return status

    def _kill(self) -> None:
        for role in ("worker", "datanode"):
            victim = self._home.living(role)[0]
            os.kill(victim.pid, signal.SIGKILL)
            self._killed.append(f"{role} {victim.id}")
        say(f"killed in the middle (SIGKILL): {' and '.join(self._killed)}")
        say(
            f"  the datanode is declared dead after {DEAD_AFTER_S:g} s of silence, the worker "
            f"{DETACHED_AFTER_S:g} s after its line broke"
        )

    def _output(self, filesystem: Any) -> dict[str, int]:
        counts: dict[str, int] = {}
        for entry in filesystem.list("/words"):
            name = entry.name
            if name.startswith("part-"):
                with filesystem.open(f"/words/{name}") as part:
                    for line in part.read().decode().splitlines():
                        word, _, count = line.rpartition("\t")
                        counts[word] = int(count)
        return counts

    def _show(self, status: dict[str, Any], counts: dict[str, int]) -> None:
        top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
        say("top ten: " + "  ".join(f"{word} {count}" for word, count in top))
        job = status["counters"]["job"]
        shown = (
            "map_input_records",
            "map_output_records",
            "combine_output_records",
            "reduce_input_groups",
            "reduce_output_records",
        )
        say("counters: " + "  ".join(f"{name} {job.get(name, 0)}" for name in shown))
        maps, reduces = status["maps"], status["reduces"]
        say(
            f"re-run: {maps['killed_attempts']} map and {reduces['killed_attempts']} reduce "
            "attempts lost with the worker, "
            f"{job.get('lost_map_outputs', 0)} finished map outputs made again"
        )

    def _compare(self, files: list[Path], counts: dict[str, int]) -> bool:
        from mrc.demo.corpus import count_plainly

        start = time.monotonic()
        plain: Counter[str] = count_plainly(files)
        took = time.monotonic() - start
        identical = counts == plain
        say(
            f"{'✓ identical to' if identical else '✗ DIFFERENT from'} a count in plain Python "
            f"({took:.1f} s): {len(plain)} words"
        )
        return identical

    def _await_repair(self) -> None:
        """Until every block has two replicas again, on the datanodes that are left."""
        from mrc.cluster.facts import gather

        start = time.monotonic()
        while time.monotonic() - start < REPAIR_LIMIT_S:
            facts = gather(self._home).filesystem
            if (
                facts
                and facts["live_datanodes"] == 2
                and not facts["under_replicated_blocks"]
                and not facts["missing_blocks"]
            ):
                say(
                    f"every one of {facts['blocks']} blocks has 2 replicas again, on the two "
                    "datanodes that are left"
                )
                return
            time.sleep(0.1)  # a poll for a person's eyes, bounded by REPAIR_LIMIT_S
        raise ClusterError(
            "blocks stayed under-replicated",
            next_command=f"tail {self._home.log('namenode', 'nn1')}",
        )


def example() -> Path:
    """examples/wordcount.py: beside the packages in a source tree, inside mrc in an installed
    wheel."""
    here = Path(__file__).resolve().parents[1]  # mrc
    found = [
        path
        for path in (here.parent / "examples" / "wordcount.py", here / "examples" / "wordcount.py")
        if path.exists()
    ]
    return found[0]
