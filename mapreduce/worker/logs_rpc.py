"""The worker's own face: what attempts printed, in pieces. An id is a name, never a path."""

from __future__ import annotations

from clusterkit.errors import ClusterError
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.worker.directories import WorkerDirectories

MAX_PIECE_BYTES = 1 << 20


class LogNotFound(ClusterError):
    code = "NOT_FOUND"


class WorkerLogs:
    def __init__(self, directories: WorkerDirectories) -> None:
        self._directories = directories

    def Read(self, request: pb.LogRequest, _context: object) -> pb.LogReply:
        limit = min(request.limit or MAX_PIECE_BYTES, MAX_PIECE_BYTES)
        try:
            data, total = self._directories.read_log(request.attempt_id, request.offset, limit)
        except FileNotFoundError:
            raise LogNotFound(f"this worker has no log of {request.attempt_id}") from None
        return pb.LogReply(data=data, total=total)
