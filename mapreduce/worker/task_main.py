"""What happens inside a task process: read the order, load the job's code, run the engine, say what
came of it.

The process was forked from the warm server and belongs to one attempt. It speaks with the worker
over its channel only; it never imports gRPC. Where it ends is decided by what it said last: what it
made, the answer to its commit, or a failure; silence is a failure too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import socket
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import msgspec

from clusterkit.checksum import share_process_fairly
from clusterkit.errors import ClusterError, CorruptRecord, DiskFailed, UsageError
from mapreduce.api.job import Job
from mapreduce.engine.attempt import MapOutput, PartOutput, Progress, Segment, Task
from mapreduce.engine.child_main import prepare_children
from mapreduce.engine.limits import limit_files
from mapreduce.engine.tasks import (
    run_map,
    run_map_only,
    run_reduce,
    run_reduce_into_partitions,
)
from mapreduce.failures import FailureReport, TaskFailed
from mapreduce.formats.registry import format_of
from mapreduce.plan.loading import load_job
from mapreduce.plan.packaging import unpack_code
from mapreduce.plan.spec import HASH_SEED, MAP, JobSpec, Program, Split
from mapreduce.storage.api import Storage, Waiting, Writer
from mapreduce.storage.manifest import staging_directory
from mapreduce.storage.opening import open_storage
from mapreduce.worker import task_messages as msg
from mapreduce.worker.shuffle_client import ShuffleClient

SHUFFLE_SHARE = 0.3
"""Of a reduce's progress."""
AWAY_PAUSE_S = 0.5
CODE_NAME = ".code"
"""In an attempt's work directory."""
FILE_SYSTEM_PATIENCE_S = 120.0
"""A worker runs tasks of a cluster that exists: its namenode will be back. Past this the attempt is
given up, not held against the job."""


class TaskChannel:
    """The task's end of its socket pair with the worker."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._frames = msg.Frames()
        self._bodies: list[bytes] = []
        self._sending = threading.Lock()  # the thread that keeps leases tells when it waits, too

    def send(self, message: msg.FromTask) -> None:
        """The worker's end gone means the worker is: so is this process, in a moment."""
        with self._sending:
            self.socket.sendall(msg.encode(message))

    def receive(self, *, wait: bool = True) -> msg.ToTask | None:
        """The next message; None when there is none yet and `wait` is false. Raises EOFError when
        the worker is gone."""
        while not self._bodies:
            try:
                data = self.socket.recv(1 << 16, 0 if wait else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            if not data:
                raise EOFError("the worker is gone")
            self._bodies += self._frames.feed(data)
        return msg.decode_to_task(self._bodies.pop(0))


def run_task(sock: socket.socket) -> int:
    """Returns the process's exit status."""
    share_process_fairly()
    channel = TaskChannel(sock)
    order = channel.receive()
    assert isinstance(order, msg.TaskOrder)
    try:
        _Attempt(order, channel).run()
        return 0
    except TaskFailed as failed:
        _say_failure(channel, failed.report, failed.__cause__)
    except (ClusterError, OSError) as error:
        # Not the user's code: that is wrapped by the engine. A file system or a disk that does not
        # do its part.
        kind = (
            "permission"
            if isinstance(error, PermissionError) and error.errno is None
            else "storage"
        )  # the file system's word
        message, command = f"{type(error).__name__}: {error}", ""
        if isinstance(error, DiskFailed):
            # this machine's own: the next try is on another one, and it counts
            kind, message, command = "disk", error.message, error.next_command or ""
        report = FailureReport(
            kind=kind,
            message=message,
            engine_traceback=traceback.format_exc(),
            next_command=command,
        )
        _say_failure(channel, report, error)
    except (
        Exception
    ) as error:  # an error of ours must be told with its traceback, not as a bare exit
        report = FailureReport(
            kind="engine",
            message=f"{type(error).__name__}: {error}",
            engine_traceback=traceback.format_exc(),
        )
        _say_failure(channel, report)
    return 1


def _say_failure(
    channel: TaskChannel, report: FailureReport, cause: BaseException | None = None
) -> None:
    """A service that is away for a while is not the job's fault: such an attempt does not count
    against it, and is not over at once, so that the attempts that follow do not chase each
    other."""
    _print(_last_words(report))
    killed = isinstance(cause, ClusterError) and cause.retryable
    if killed:
        time.sleep(AWAY_PAUSE_S)
    try:
        channel.send(msg.Failing(report, killed))
    except UnicodeEncodeError:  # lone surrogates in a user's message
        clean = {
            name: value.encode("utf-8", "replace").decode()
            for name, value in _texts(report).items()
        }
        channel.send(msg.Failing(msgspec.structs.replace(report, **clean), killed))


def _print(text: str) -> None:
    """To the attempt's log, if the job has left its streams open: what has to be known goes to the
    worker, whatever they are."""
    with contextlib.suppress(BaseException):  # a stream of the job's own may raise anything
        print(text, flush=True)  # noqa: T201 - stdout is the attempt's log


def _last_words(report: FailureReport) -> str:
    """For the author of the job: their own frames and their record. Ours only where the fault is
    not theirs."""
    if report.kind in ("engine", "storage", "disk", "permission", "shuffle", "input"):
        return report.engine_traceback or report.message
    where = f"\nrecord: {report.path} offset {report.offset} {report.record}" if report.path else ""
    return (report.traceback.rstrip("\n") or report.message) + where


def _texts(report: FailureReport) -> dict[str, str]:
    return {
        name: value
        for name, value in msgspec.structs.asdict(report).items()
        if isinstance(value, str)
    }


class _Attempt:
    def __init__(self, order: msg.TaskOrder, channel: TaskChannel) -> None:
        self._order, self._channel = order, channel
        self._spec, self._program = _planned(order)
        self._task = Task(order.attempt_id, order.index)
        waiting = Waiting(FILE_SYSTEM_PATIENCE_S, self._tell_waiting)
        self._storage: Storage = open_storage(order.filesystem, waiting, order.user)
        if order.user:  # what the job itself asks of a file system, it asks as its user, too
            os.environ["HADOOP_USER_NAME"] = order.user
        self._told = msg.Progressed(0.0, "shuffle" if order.inputs else "map")
        self._waits = False
        self._work = Path(order.work_directory)

    def run(self) -> None:
        self._check_python()
        limit_files(self._spec)
        job = self._load_code()
        segments = None if self._program.runs == MAP else self._fetch()
        if self._order.targets:
            self._write_part(lambda writer: self._into_part(job, segments, writer))
            return
        made = self._into_partitions(job, segments)
        self._channel.send(
            msg.Made(list(made.segment_bytes), list(made.segment_records), made.counters)
        )

    def _fetch(self) -> list[Segment]:
        client = ShuffleClient(
            self._order,
            self._channel,
            self._work,
            memory_bytes=self._spec.memory_limit_bytes // 8,
            tell=self._tell_shuffle,
        )
        return client.fetch_all()

    def _split(self) -> Split:
        return msgspec.json.decode(self._order.split, type=Split)

    def _into_partitions(self, job: type[Job], segments: list[Segment] | None) -> MapOutput:
        order, spec, output = self._order, self._spec, Path(self._order.output_directory)
        if segments is None:
            return run_map(
                job,
                spec,
                self._split(),
                self._storage,
                output,
                task=self._task,
                progress=self._tell_progress,
                partitions=order.partitions,
            )
        return run_reduce_into_partitions(
            job,
            spec,
            segments,
            output,
            self._work,
            partitions=order.partitions,
            task=self._task,
            progress=self._tell_reduce,
        )

    def _into_part(
        self, job: type[Job], segments: list[Segment] | None, writer: Writer
    ) -> PartOutput:
        if segments is None:
            return run_map_only(
                job,
                self._spec,
                self._split(),
                self._storage,
                writer,
                task=self._task,
                progress=self._tell_progress,
            )
        return run_reduce(
            job,
            self._spec,
            segments,
            writer,
            self._work,
            task=self._task,
            progress=self._tell_reduce,
        )

    # ── output ──

    def _write_part(self, write: Callable[[Writer], PartOutput]) -> None:
        """Writes this attempt's private file, closes it, and asks whether it may be the task's
        output."""
        path, writer = self._create_part()
        try:
            part = write(writer)
            info = writer.close()
        except BaseException:
            with contextlib.suppress(
                ClusterError, OSError
            ):  # the attempt fails for the first reason, not for this one
                writer.abort()
            raise
        if info.length != part.length:
            raise CorruptRecord(f"{path} has {info.length} bytes after {part.length} were written")
        file = msg.TaskFile(
            path=path,
            file_id=info.file_id,
            length=part.length,
            crc32c=part.crc32c,
            output=self._order.targets[0].output,
            records=part.records,
        )
        self._channel.send(msg.MayCommit([file], part.counters))
        verdict = self._channel.receive()
        while not isinstance(verdict, msg.CommitVerdict):
            verdict = self._channel.receive()
        if not verdict.granted:
            _print(f"commit denied: {verdict.reason}")
            self._storage.delete(path)

    def _create_part(self) -> tuple[str, Writer]:
        target = self._order.targets[0]
        directory = staging_directory(target.path, self._order.job_id) + "/attempts"
        path = f"{directory}/{target.name}.{self._order.attempt_id}"
        try:
            return path, self._storage.create(path, replication=self._spec.output_replication)
        except FileNotFoundError:  # the first attempt of the job to write makes the directory
            self._storage.mkdirs(directory)
            return path, self._storage.create(path, replication=self._spec.output_replication)

    # ── code ──

    def _check_python(self) -> None:
        here = ".".join(platform.python_version_tuple()[:2])
        if self._spec.python and self._spec.python != here:
            message = (
                f"this worker runs Python {here}, the job was submitted from Python "
                f"{self._spec.python}"
            )
            raise TaskFailed(FailureReport(kind="engine", message=message))
        if self._spec.hash_seed != HASH_SEED:
            message = (
                f"this worker's tasks run with PYTHONHASHSEED={HASH_SEED}, the job wants "
                f"{self._spec.hash_seed}"
            )
            raise TaskFailed(FailureReport(kind="engine", message=message))

    def _load_code(self) -> type[Job]:
        """From this worker's copy of the archive, which is believed only when its checksum is
        right; fetched when there is none. Its files are the attempt's own, and gone with it: what
        one task does to them, no other sees."""
        code, directory = self._spec.code, self._work / CODE_NAME
        if self._program.class_name:
            code = msgspec.structs.replace(code, class_name=self._program.class_name)
        name = (
            code.sha256
            if code.sha256.isalnum()
            else hashlib.sha256(code.sha256.encode()).hexdigest()
        )
        copy = Path(self._order.code_directory) / f"{name}.zip"
        try:
            unpack_code(copy.read_bytes(), code, directory)
        except (FileNotFoundError, CorruptRecord):
            archive = read_whole(self._storage, code.archive)
            unpack_code(archive, code, directory)
            beside = copy.with_suffix(f".{os.getpid()}.tmp")
            beside.write_bytes(archive)
            beside.rename(copy)
        job = load_job(code, directory)
        prepare_children(code, directory)
        return job

    # ── progress ──

    def _tell_progress(self, progress: Progress) -> None:
        status = progress.status.encode("utf-8", "replace").decode()
        self._tell(msg.Progressed(progress.fraction, progress.phase, status, progress.counters))

    def _tell_shuffle(self, fraction: float) -> None:
        self._tell(msg.Progressed(SHUFFLE_SHARE * fraction, "shuffle"))

    def _tell(self, said: msg.Progressed) -> None:
        self._told = said
        self._channel.send(said)

    def _tell_waiting(self, why: str) -> None:
        """Waiting is not silence: the attempt lives, and shows what it waits for in place of its
        own status."""
        status = (
            f"waiting for the namenode: {why}".encode("utf-8", "replace").decode()
            if why
            else self._told.status
        )
        if bool(why) != self._waits:
            self._waits = bool(why)
            _print(status if why else "the namenode answers again")
        self._channel.send(msgspec.structs.replace(self._told, status=status))

    def _tell_reduce(self, progress: Progress) -> None:
        self._tell_progress(
            progress._replace(fraction=SHUFFLE_SHARE + (1 - SHUFFLE_SHARE) * progress.fraction)
        )


def _planned(order: msg.TaskOrder) -> tuple[JobSpec, Program]:
    """The spec, and what of it this task runs. What makes no sense is no fault of a storage."""
    try:
        spec = JobSpec.from_json(order.spec)
        program = spec.program(order.stage)
        format_of(spec.input_format)
        format_of(spec.output_format)
        if len(order.targets) > 1:
            raise UsageError(f"a task writes one output here, not {len(order.targets)}")
        if not order.targets and not order.partitions:
            raise UsageError("a task that makes neither partitions nor a part")
    except UsageError as error:
        raise TaskFailed(FailureReport(kind="engine", message=error.message)) from error
    return spec, program


def read_whole(storage: Storage, path: str) -> bytes:
    reader = storage.open(path)
    try:
        pieces = []
        offset = 0
        while piece := reader.read_at(offset, 1 << 20):
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)
    finally:
        reader.close()
