"""What `--overwrite` may replace: an earlier output, and nothing else.

An output is known by its manifest, and by holding nothing that the manifest does not name: a file
that somebody put beside the parts is theirs. It is asked when the job is planned, so that nothing
runs in vain, and again before the swap, because hours may lie between.
"""

from __future__ import annotations

import re

from mapreduce.errors import OutputExists
from mapreduce.storage.api import Storage
from mapreduce.storage.manifest import MANIFEST_NAME, SUCCESS_NAME, Manifest, read_manifest

_JOB_ID, _PART = re.compile(r"job_\d+_\d+"), re.compile(r"part-[mr]-\d+")


def check_replaceable(storage: Storage, output: str, *, made_by: str = "") -> str:
    """The id of the job that made the directory `output`. Raises OutputExists when no job did, when
    it holds what no job made, or when it is the work of another job than `made_by`."""
    shown = storage.uri(output)
    manifest = read_manifest(storage, output)
    if manifest is None or not _JOB_ID.fullmatch(manifest.job_id):
        raise OutputExists(
            f"{shown} is no earlier output: no job made it ({MANIFEST_NAME} says which did)",
            next_command=_OTHER,
        )
    strange = _strangers(storage, output, manifest)
    if strange:
        raise OutputExists(
            f"{shown} holds what no job made: {strange[0]}; only an earlier output is replaced",
            next_command=_OTHER,
        )
    if made_by and manifest.job_id != made_by:
        raise OutputExists(
            f"{shown} is the output of {manifest.job_id} by now, no more that of {made_by}",
            next_command=_OTHER,
        )
    return manifest.job_id


_OTHER = "another output name"


def _strangers(storage: Storage, output: str, manifest: Manifest) -> list[str]:
    ours = {
        MANIFEST_NAME,
        SUCCESS_NAME,
        *(part.name for part in manifest.parts if _PART.fullmatch(part.name)),
    }
    found = ((entry, entry.path.rpartition("/")[2]) for entry in storage.list(output))
    return [name for entry, name in found if entry.is_directory or name not in ours]
