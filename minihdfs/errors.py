"""The file system's errors. `java_class` is what foreign clients are told, because they rebuild
their own exception from it."""

from __future__ import annotations

from typing import ClassVar

from clusterkit.errors import ClusterError, NotPermitted, TryAgain


class FsError(ClusterError):
    java_class: ClassVar[str] = "java.io.IOException"


class FileNotFound(FsError):
    code, java_class = "NOT_FOUND", "java.io.FileNotFoundException"


class FileAlreadyExists(FsError):
    code, java_class = "EXISTS", "org.apache.hadoop.fs.FileAlreadyExistsException"


class ParentNotDirectory(FsError):
    code, java_class = "PARENT_NOT_DIRECTORY", "org.apache.hadoop.fs.ParentNotDirectoryException"


class NotADirectory(FsError):
    code, java_class = "NOT_A_DIRECTORY", "org.apache.hadoop.fs.PathIsNotDirectoryException"


class IsADirectory(FsError):
    code, java_class = "IS_A_DIRECTORY", "org.apache.hadoop.fs.PathIsDirectoryException"


class PathIsNotAFile(IsADirectory):
    """The same, where HDFS says that no such *file* exists: its clients look for that."""

    java_class = "java.io.FileNotFoundException"


class DirectoryNotEmpty(FsError):
    code, java_class = "NOT_EMPTY", "org.apache.hadoop.fs.PathIsNotEmptyDirectoryException"


class InvalidPath(FsError):
    code, java_class = "INVALID_PATH", "org.apache.hadoop.fs.InvalidPathException"


class InvalidArgument(FsError):
    code, java_class = "INVALID_ARGUMENT", "org.apache.hadoop.HadoopIllegalArgumentException"


class AccessDenied(FsError, NotPermitted):
    code, exit_code, java_class = (
        "NOT_PERMITTED",
        NotPermitted.exit_code,
        "org.apache.hadoop.security.AccessControlException",
    )


class AlreadyBeingCreated(FsError):
    code, java_class = (
        "BEING_CREATED",
        "org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException",
    )


class LeaseExpired(FsError):
    code, java_class = (
        "LEASE_EXPIRED",
        "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException",
    )


class NotReplicatedYet(FsError):
    code, java_class = (
        "NOT_REPLICATED_YET",
        "org.apache.hadoop.hdfs.server.namenode.NotReplicatedYetException",
    )


class NoDatanodes(FsError):
    """No datanode can take a block: the message says how many are live, how many were excluded and
    why."""

    code, java_class = "NO_DATANODES", "java.io.IOException"


class SafeMode(FsError, TryAgain):
    code, exit_code, retryable = "SAFE_MODE", TryAgain.exit_code, True
    java_class = "org.apache.hadoop.hdfs.server.namenode.SafeModeException"


class StartingUp(SafeMode):
    """The safe mode of a namenode that has just started: it ends by itself, as soon as the
    datanodes have reported."""

    code = "STARTING_UP"


class Standby(FsError, TryAgain):
    code, exit_code, retryable, java_class = (
        "STANDBY",
        TryAgain.exit_code,
        True,
        "org.apache.hadoop.ipc.StandbyException",
    )


class FencedWriter(FsError):
    """A publish or append presented an epoch lower than the highest the namenode has persisted."""

    code, java_class = "FENCED", "java.io.IOException"


class UnsupportedOperation(FsError):
    code, java_class = "UNSUPPORTED", "java.lang.UnsupportedOperationException"


class NoSuchMethod(FsError):
    code, java_class = "NO_SUCH_METHOD", "org.apache.hadoop.ipc.RpcNoSuchMethodException"


class ChecksumMismatch(FsError):
    """Bytes that arrived do not match their CRC32C: the reader tries another replica and reports
    this one."""

    code, java_class = "CHECKSUM", "org.apache.hadoop.fs.ChecksumException"


class BlockMissing(FsError):
    """No replica of a block could be read: names path, block, and every holder with its reason."""

    code, java_class = "BLOCK_MISSING", "org.apache.hadoop.hdfs.BlockMissingException"


class BrokenPipeline(FsError):
    """Every datanode of a write pipeline failed, or too many pipelines in a row."""

    code, java_class = "BROKEN_PIPELINE", "java.io.IOException"


class WrongCluster(FsError):
    """A data directory belongs to another cluster or node."""

    code, java_class = "WRONG_CLUSTER", "java.io.IOException"


def _tree(root: type[FsError]) -> list[type[FsError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


BY_JAVA_CLASS: dict[str, type[FsError]] = {cls.java_class: cls for cls in reversed(_tree(FsError))}
"""What a client raises for the class name a namenode answered with; unknown names become
FsError."""

BY_CODE: dict[str, type[FsError]] = {cls.code: cls for cls in reversed(_tree(FsError))}
"""What our own namenode says beside the Java class: several of ours share one of Java's."""
