"""`.manifest.json`: what a finished output consists of. Written into the staging directory as its
last file, so it arrives with the output. Its name begins with a dot so that `cat OUT/*` gives the
results and nothing else, in every shell.

It is also how a publish that is said twice is recognised: the staging directory's path carries the
job's id, and so does the manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mapreduce.storage.api import Storage

MANIFEST_NAME, SUCCESS_NAME = ".manifest.json", "_SUCCESS"
_MAX_BYTES = 64 << 20
MAX_NAME_BYTES = 255  # of a directory or file, here and in HDFS


class Part(msgspec.Struct, frozen=True):
    name: str  # part-r-00000
    length: int
    crc32c: int
    attempt_id: str = ""
    records: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    version: int = 1
    job_id: str
    name: str
    user: str = ""
    code_sha256: str = ""
    seq: int = 0  # of the plan's extension that brought this output; 0 = the submission
    output: int = 0  # its number in the plan
    parts: list[Part] = []
    counters: dict[str, dict[str, int]] = {}

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def staging_directory(output: str, job_id: str) -> str:
    """The hidden sibling of the output in which a job works: `.OUT.JOBID`, with `attempts/` and
    `publish-SEQ-OUTPUT/` in it. OUT is cut where the whole would be longer than a name can be:
    every legal name can be an output's."""
    parent, _slash, name = output.rstrip("/").rpartition("/")
    room = MAX_NAME_BYTES - len(f"..{job_id}")
    return f"{parent}/.{name.encode()[:room].decode(errors='ignore')}.{job_id}"


def publish_directory(output: str, job_id: str, seq: int = 0, number: int = 0) -> str:
    """Where an output is put together, in its staging directory: its name tells which of the job's
    outputs it is, and so does the manifest in it."""
    return f"{staging_directory(output, job_id)}/publish-{seq}-{number}"


def read_manifest(storage: Storage, output: str) -> Manifest | None:
    """None when there is none that is one."""
    try:
        reader = storage.open(f"{output}/{MANIFEST_NAME}")
    except OSError:
        return None
    try:
        return msgspec.json.decode(reader.read_at(0, _MAX_BYTES), type=Manifest)
    except msgspec.DecodeError:
        return None
    finally:
        reader.close()


def published_by(storage: Storage, output: str, staging: str) -> bool:
    """Whether `output` is what once was `staging`: its manifest names the job whose staging
    directory that is, and the output."""
    manifest = read_manifest(storage, output)
    if manifest is None:
        return False
    name = f".{manifest.job_id}/publish-{manifest.seq}-{manifest.output}"
    return staging.rstrip("/").endswith(name)
