"""Runs a job on the cluster: plan here, code into the file system, the spec to the tracker. What
follows is the tracker's and workers'.

A job's code archive is its own and its user's: /user/USER/.mrc/TOKEN.zip, which nobody else may
read. So one user never meets another's files, and the tracker can remove it when that one job has
ended, without asking who else may be about to use it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from clusterkit.errors import UsageError
from mapreduce.errors import JobRefused, OutputExists
from mapreduce.plan.describe import JobClassFacts
from mapreduce.plan.packaging import package_code
from mapreduce.plan.planning import plan_job
from mapreduce.plan.spec import JobSpec
from mapreduce.plan.stages import job_plan
from mapreduce.runners.api import Status, Submission
from mapreduce.runners.tracker_client import TrackerClient
from mapreduce.storage.api import Storage

CODE_DIRECTORY = "/user/{user}/.mrc"
PRIVATE = 0o700


class ClusterRunner:
    def __init__(self, storage: Storage, tracker: TrackerClient, user: str) -> None:
        self._storage, self._tracker, self._user = storage, tracker, user
        self.left_out: list[str] = []  # files that do not go with the job, each with the reason

    def submit(self, facts: JobClassFacts, submission: Submission) -> str:
        """The job's id, once the tracker has made it durable. Raises what planning and the tracker
        refuse."""
        token = secrets.token_hex(16)
        spec = self.plan(facts, submission, token)
        try:
            return self._tracker.submit(job_plan(spec, self._user), token)
        except (
            UsageError,
            JobRefused,
            OutputExists,
        ):  # it has no job; whatever else went wrong, it may have one
            self._storage.delete(spec.code.archive)
            raise

    def status(self, job_id: str) -> Status:
        return self._tracker.status(job_id)

    def watch(self, job_id: str, interval_s: float) -> Iterator[Status]:
        return self._tracker.watch(job_id, interval_s)

    def kill(self, job_id: str, reason: str) -> Status:
        return self._tracker.kill(job_id, reason)

    def plan(self, facts: JobClassFacts, submission: Submission, token: str) -> JobSpec:
        """Refuses what can be refused before anything is uploaded."""
        archive, sha256 = package_code(facts.file, self.left_out)
        code = facts.code(sha256, f"{CODE_DIRECTORY.format(user=self._user)}/{token}.zip")
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
        self._upload(code.archive, archive)
        return spec

    def _upload(self, path: str, archive: bytes) -> None:
        directory = path.rpartition("/")[0]
        self._storage.mkdirs(
            directory.rpartition("/")[0]
        )  # first: a mode is for every directory that one call makes
        self._storage.mkdirs(directory, mode=PRIVATE)
        writer = self._storage.create(path)
        try:
            writer.write(archive)
        except BaseException:
            writer.abort()
            raise
        writer.close()
