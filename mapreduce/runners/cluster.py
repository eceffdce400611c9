"""Runs a job on the cluster: plan here, code into the file system, the spec to the tracker. What follows is the tracker's and workers'.

Code archives lie under /.mrc/code by their SHA-256, so the same code is uploaded once; a half-written one never has its final name.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from mapreduce.plan.describe import JobClassFacts
from mapreduce.plan.packaging import package_code
from mapreduce.plan.planning import plan_job
from mapreduce.plan.spec import JobSpec
from mapreduce.runners.api import Status, Submission
from mapreduce.runners.tracker_client import TrackerClient
from mapreduce.storage.api import Storage

CODE_DIRECTORY = "/.mrc/code"


class ClusterRunner:
    def __init__(self, storage: Storage, tracker: TrackerClient, user: str) -> None:
        self._storage, self._tracker, self._user = storage, tracker, user
        self.left_out: list[str] = []  # files that do not go with the job, each with the reason

    def submit(self, facts: JobClassFacts, submission: Submission) -> str:
        """The job's id, once the tracker has made it durable. Raises what planning and the tracker refuse."""
        spec = self.plan(facts, submission)
        return self._tracker.submit(spec.to_json(), self._user, secrets.token_hex(16))

    def status(self, job_id: str) -> Status:
        return self._tracker.status(job_id)

    def watch(self, job_id: str, interval_s: float) -> Iterator[Status]:
        return self._tracker.watch(job_id, interval_s)

    def kill(self, job_id: str, reason: str) -> Status:
        return self._tracker.kill(job_id, reason)

    def plan(self, facts: JobClassFacts, submission: Submission) -> JobSpec:
        """Refuses what can be refused before anything is uploaded."""
        archive, sha256 = package_code(facts.file, self.left_out)
        code = facts.code(sha256, f"{CODE_DIRECTORY}/{sha256}.zip")
        spec = plan_job(
            facts,
            code,
            self._storage,
            submission.inputs,
            submission.output,
            settings=submission.settings,
            parameters=submission.parameters,
            name=submission.name,
            overwrite=submission.overwrite,
            recursive=submission.recursive,
        )
        upload_once(self._storage, code.archive, archive)
        return spec


def upload_once(storage: Storage, path: str, data: bytes) -> None:
    """Makes a file whose name says what is in it."""
    there = storage.stat(path)
    if there is not None and there.length == len(data):
        return
    beside = f"{path}.{secrets.token_hex(8)}.tmp"
    writer = storage.create(beside)
    try:
        writer.write(data)
    except BaseException:
        writer.abort()
        raise
    writer.close()
    with contextlib.suppress(FileExistsError):  # another client was faster with the same bytes
        storage.rename_many([(beside, path)])
        return
    storage.delete(beside)
