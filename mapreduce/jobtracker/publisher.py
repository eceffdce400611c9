"""Puts a finished job's output in place, and removes its work. Every step can be repeated after a
crash; the core orders again what it has no result of.

    verify that each granted file is the one that was granted → move them to
    STAGING/publish-SEQ-OUTPUT (a few hundred a call) → `_SUCCESS`, `.manifest.json` → one publish
    call that makes the directory appear, fenced by the tracker's epoch

A publish that took effect before the crash is recognised by the job's id in the manifest under the
output's name.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clusterkit.errors import ClusterError, Fenced, NotPermitted
from mapreduce.errors import OutputExists, PublishRefused
from mapreduce.jobtracker.core import events
from mapreduce.jobtracker.status_json import grouped
from mapreduce.plan.earlier import check_replaceable
from mapreduce.storage.api import FileInfo, Storage
from mapreduce.storage.manifest import (
    MANIFEST_NAME,
    SUCCESS_NAME,
    Manifest,
    Part,
    publish_directory,
    published_by,
    staging_directory,
)

RENAMES_PER_CALL = 1_000
THREADS = 4
MAX_USERS = 32
"""Whose connections are kept."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0
HOPELESS_AFTER = 10
"""Tries of something that fails for another reason than that nobody answers."""

_log = logging.getLogger(__name__)


class Publisher:
    def __init__(
        self,
        storage_factory: Callable[[str], Storage],
        epoch: int,
        post: Callable[[Any], None],
        step_down: Callable[[BaseException], None],
    ) -> None:
        """`storage_factory` opens the storage for a user, "" = this process's own. `post` hears
        what became of an order; `step_down` that the storage knows a newer tracker."""
        self._storage_factory, self._epoch, self._post, self._step_down = (
            storage_factory,
            epoch,
            post,
            step_down,
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="publisher")
        self._stopping = threading.Event()
        self._opening = threading.Lock()
        self._storages: dict[str, Storage] = {}  # by user, the one used last at the end

    def take(self, order: Any) -> None:
        """Carries the order out on a thread of its own."""
        if isinstance(order, events.PublishOutput):
            self._pool.submit(self._publish_until_done, order)
        else:
            self._pool.submit(self._remove_until_done, order)

    def stop(self) -> None:
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for storage in self._storages.values():
            storage.close()

    def storage(self, user: str = "") -> Storage:
        """What a job writes belongs to who submitted it, and may be written only where they may
        write: the file system is asked as they. Of many users, those who were idle longest are let
        go of; what they still do asks again."""
        with self._opening:
            found = self._storages.pop(user, None) or self._storage_factory(user)
            self._storages[user] = found
            idle = (
                [self._storages.pop(next(iter(self._storages)))]
                if len(self._storages) > MAX_USERS
                else []
            )
        for storage in idle:
            storage.close()
        return found

    def _give_back(self, storage: Storage | None) -> None:
        """Whatever it was that failed: whoever leads now may have another address (nobody answers,
        it stands by, it hangs)."""
        with self._opening:
            users = [user for user, other in self._storages.items() if other is storage]
            for user in users:
                del self._storages[user]
        if users and storage is not None:
            storage.close()

    # ── trying ────────────────────────────────────────────────────────────────────────────────────

    def _publish_until_done(self, order: events.PublishOutput) -> None:
        failure = self._try(
            order.user,
            lambda storage: publish(storage, order, self._epoch),
            f"publishing {order.job_id}",
        )
        if not self._stopping.is_set():
            key = (order.job_id, order.seq, order.output)
            self._post(
                events.PublishFailed(*key, failure) if failure else events.OutputAppeared(*key)
            )

    def _remove_until_done(self, order: events.RemoveStaging) -> None:
        paths = [staging_directory(output, order.job_id) for output in order.outputs]
        paths += [order.code] if order.code else []
        failure = self._try(
            order.user, lambda storage: _remove(storage, paths), f"removing {', '.join(paths)}"
        )
        if not failure and not self._stopping.is_set():
            self._post(events.StagingRemoved(order.job_id))

    def _try(self, user: str, action: Callable[[Storage], None], what: str) -> str:
        """Repeats until it is done ("") or hopeless (why)."""
        wait_s, tries = FIRST_WAIT_S, 0
        while not self._stopping.is_set():
            storage: Storage | None = None
            try:
                storage = self.storage(user)
                action(storage)
                return ""
            except (
                FileExistsError,
                PermissionError,
                PublishRefused,
                OutputExists,
                NotPermitted,
            ) as error:
                _log.error("%s: %s", what, error)
                return str(error)
            except Exception as error:  # whatever a storage raises, the job must end in some way
                if isinstance(error, ClusterError) and error.code == Fenced.code:
                    # nothing that becomes of this order is ours to say any more
                    self._stopping.set()
                    self._step_down(error)
                    return str(error)
                self._give_back(storage)
                retryable = isinstance(error, ClusterError) and error.retryable
                tries += not retryable
                _log.warning(
                    "%s, again in %.2f s: %s",
                    what,
                    wait_s,
                    error,
                    exc_info=None if isinstance(error, ClusterError) else error,
                )
                if tries >= HOPELESS_AFTER:
                    return f"{what}: {error}"
                self._stopping.wait(wait_s)
                wait_s = min(LONGEST_WAIT_S, wait_s * 2)
        return "stopping"


def _remove(storage: Storage, paths: list[str]) -> None:
    for path in paths:
        storage.delete(path)


def publish(storage: Storage, order: events.PublishOutput, epoch: int) -> None:
    staging = publish_directory(order.path, order.job_id, order.seq, order.output)
    there = storage.stat(order.path) if order.replaced_file_id else None
    still_old = there is not None and there.file_id == order.replaced_file_id
    if not still_old and published_by(
        storage, order.path, staging
    ):  # what is to be replaced may be a job's of the same id elsewhere
        return
    storage.mkdirs(staging)
    for pairs in _in_batches(_moves(storage, order, staging), RENAMES_PER_CALL):
        storage.rename_many(pairs)
    _write(storage, f"{staging}/{SUCCESS_NAME}", b"")
    _write(storage, f"{staging}/{MANIFEST_NAME}", manifest(order).to_json())
    if still_old:
        check_replaceable(storage, order.path, made_by=order.replaced_job_id)
    storage.publish(staging, order.path, replaced_file_id=order.replaced_file_id, epoch=epoch)


def _moves(storage: Storage, order: events.PublishOutput, staging: str) -> list[tuple[str, str]]:
    """Renames that are still to do. Raises PublishRefused when a granted file is neither where it
    was nor where it goes."""
    moved = _listing(storage, staging)
    waiting = (
        _listing(storage, staging_directory(order.path, order.job_id) + "/attempts")
        if order.parts
        else {}
    )
    pairs = []
    for part in order.parts:
        source = part.file.path.rpartition("/")[2]
        if _is_granted(moved.get(part.name), part):
            continue
        if not _is_granted(waiting.get(source), part):
            raise PublishRefused(
                f"{part.file.path} is not the file that {part.attempt_id} was granted",
                next_command="mrc jobs",
            )
        pairs.append((part.file.path, f"{staging}/{part.name}"))
    return pairs


def _listing(storage: Storage, directory: str) -> dict[str, FileInfo]:
    try:
        return {info.path.rpartition("/")[2]: info for info in storage.list(directory)}
    except FileNotFoundError:
        return {}


def _is_granted(info: FileInfo | None, part: events.GrantedPart) -> bool:
    if info is None or info.is_directory or info.length != part.file.length:
        return False
    return not (info.file_id and part.file.file_id) or info.file_id == part.file.file_id


def manifest(order: events.PublishOutput) -> Manifest:
    parts = [
        Part(
            name=part.name,
            length=part.file.length,
            crc32c=part.file.crc32c,
            attempt_id=part.attempt_id,
            records=part.file.records,
        )
        for part in order.parts
    ]
    return Manifest(
        job_id=order.job_id,
        name=order.name,
        user=order.user,
        code_sha256=order.code_sha256,
        seq=order.seq,
        output=order.output,
        parts=parts,
        counters=grouped(order.counters),
    )


def _write(storage: Storage, path: str, data: bytes) -> None:
    writer = storage.create(path, overwrite=True)
    try:
        if data:
            writer.write(data)
    except BaseException:
        writer.abort()
        raise
    writer.close()


def _in_batches(pairs: list[tuple[str, str]], size: int) -> Iterable[list[tuple[str, str]]]:
    return (pairs[start : start + size] for start in range(0, len(pairs), size))
