"""A job's output directory from its first hidden byte to its publication: the same steps, names and
manifest as on a cluster.

.OUT.JOBID/attempts/part-r-00000.ATTEMPT      what an attempt writes
.OUT.JOBID/publish-0-0/part-r-00000           what is going to be the output, with _SUCCESS and
                                              .manifest.json
OUT                                           one rename later
"""

from __future__ import annotations

from pathlib import Path

from mapreduce.api.counters import Totals
from mapreduce.model import part_name
from mapreduce.plan.earlier import check_replaceable
from mapreduce.plan.spec import JobSpec
from mapreduce.runners.leftovers import Owned, sweep
from mapreduce.storage.api import Storage
from mapreduce.storage.manifest import (
    MANIFEST_NAME,
    SUCCESS_NAME,
    Manifest,
    Part,
    publish_directory,
    staging_directory,
)

RENAMES_PER_CALL = 1_000


class Output:
    def __init__(self, storage: Storage, spec: JobSpec, job_id: str) -> None:
        self._storage, self._spec, self._job_id = storage, spec, job_id
        self._staging = staging_directory(spec.output, job_id)
        self._parts: dict[str, Part] = {}
        self._owned: Owned | None = None

    def begin(self) -> None:
        """On this machine's own disk, sweeps what killed runs have left of the same output
        first."""
        if not self._storage.uri("/").startswith("file:"):
            self._storage.mkdirs(f"{self._staging}/attempts")
            return
        staging = Path(self._staging)
        sweep(staging.parent, (staging.name.removesuffix(self._job_id) + "job_",))
        self._storage.mkdirs(f"{self._staging}/attempts")
        self._owned = Owned(staging)

    def attempt_path(self, kind: str, index: int, attempt_id: str) -> str:
        return f"{self._staging}/attempts/{part_name(kind, index)}.{attempt_id}"

    def take(self, kind: str, index: int, part: Part) -> None:
        """A finished attempt's file is the task's part from now on."""
        self._parts[part_name(kind, index)] = part

    def publish(self, counters: Totals) -> None:
        """Makes the output appear whole. Raises FileExistsError when something else has come in its
        place."""
        target = publish_directory(self._spec.output, self._job_id)
        self._storage.mkdirs(target)
        moves = [
            (f"{self._staging}/attempts/{name}.{part.attempt_id}", f"{target}/{name}")
            for name, part in sorted(self._parts.items())
        ]
        for at in range(0, len(moves), RENAMES_PER_CALL):
            self._storage.rename_many(moves[at : at + RENAMES_PER_CALL])
        spec = self._spec
        parts = [part for _name, part in sorted(self._parts.items())]
        manifest = Manifest(
            job_id=self._job_id,
            name=spec.name,
            code_sha256=spec.code.sha256,
            parts=parts,
            counters=counters,
        )
        for name, data in ((SUCCESS_NAME, b""), (MANIFEST_NAME, manifest.to_json())):
            writer = self._storage.create(f"{target}/{name}")
            writer.write(data)
            writer.close()
        if spec.replaced_inode_id and self._storage.stat(spec.output) is not None:
            check_replaceable(self._storage, spec.output, made_by=spec.replaced_job_id)
        self._storage.publish(target, spec.output, replaced_file_id=spec.replaced_inode_id)
        self.discard()

    def discard(self) -> None:
        """Leaves nothing of the job but what was published."""
        self._storage.delete(self._staging)
        if self._owned is not None:
            self._owned.close()
