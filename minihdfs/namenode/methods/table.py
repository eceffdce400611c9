"""The namenode's calls as a table: method name → how its request becomes events and how their
answers become its response.

Adding a call is adding a row in `reads`, `changes`, `system` or `own`; there is
no chain of ifs. Rows are pure: a row may raise an FsError (it becomes the call's error reply) and
must not keep anything. What Hadoop has and we have not is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message

from clusterkit.effects import Event
from minihdfs.errors import FsError, InvalidArgument, NoSuchMethod, UnsupportedOperation
from minihdfs.namenode.core.commands import Refusal
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.methods import limits
from minihdfs.wire.hadoop_rpc import CLIENT_PROTOCOL, OWN_PROTOCOL


class NoSuchProtocol(FsError):
    code, java_class = "NO_SUCH_PROTOCOL", "org.apache.hadoop.ipc.RpcNoSuchProtocolException"


@dataclass(slots=True)
class Facts:
    """What a response may say that the core does not know."""

    cluster_id: str = ""
    epoch: int = 0  # 0 = not leading


@dataclass(frozen=True, slots=True)
class Method:
    """`events` are posted together; `respond` gets their values in order (one value alone when
    there is one event) and the request.

    `changes`: a repeated call must get the first answer, so its identity goes to the core's retry
    table. `lenient`: `respond` gets a Refusal in place of a value instead of the call failing with
    it.
    """

    request: type[Message]
    events: tuple[Callable[[Caller, Any], Event], ...]
    respond: Callable[[Any, Any, Facts], Message]
    changes: bool = False
    lenient: bool = False


Table = Mapping[str, Method]


def answered(value: Any) -> Any:
    """The value, or the refusal raised."""
    if isinstance(value, Refusal):
        raise value.error(value.message)
    return value


def decode_request(method: Method, payload: bytes, name: str = "") -> Any:
    """Raises InvalidArgument for a request that is beyond its bounds, does not decode or lacks a
    required field."""
    request: Any
    limits.check(name, method.request.DESCRIPTOR, payload)
    try:
        request = method.request.FromString(payload)
    except DecodeError as error:
        raise InvalidArgument(
            f"{method.request.DESCRIPTOR.name} does not decode: {error}"
        ) from None
    if not request.IsInitialized():
        missing = ", ".join(request.FindInitializationErrors())
        raise InvalidArgument(f"{method.request.DESCRIPTOR.name} lacks {missing}")
    return request


class MethodTable:
    def __init__(self, hadoop: Sequence[Table], own: Sequence[Table]) -> None:
        self._methods: dict[tuple[str, str], Method] = {}
        for protocol, tables in ((CLIENT_PROTOCOL, hadoop), (OWN_PROTOCOL, own)):
            for name, method in (row for table in tables for row in table.items()):
                if (protocol, name) in self._methods:
                    raise ValueError(f"two rows for {name}")
                self._methods[protocol, name] = method

    def find(self, protocol: str, name: str) -> Method:
        method = self._methods.get((protocol, name))
        if method is not None:
            return method
        if protocol not in (CLIENT_PROTOCOL, OWN_PROTOCOL):
            raise NoSuchProtocol(f"Unknown protocol: {protocol}")
        if protocol == CLIENT_PROTOCOL and name in NOT_SUPPORTED:
            raise UnsupportedOperation(f"{name} is not supported by this namenode")
        raise NoSuchMethod(f"Unknown method {name} called on {protocol} protocol.")

    def names(self, protocol: str) -> list[str]:
        return sorted(name for offered, name in self._methods if offered == protocol)


NOT_SUPPORTED = frozenset(
    """
    append concat truncate setQuota createSymlink getLinkTarget getBatchedListing setStoragePolicy
    unsetStoragePolicy satisfyStoragePolicy
    saveNamespace rollEdits restoreFailedStorage refreshNodes finalizeUpgrade metaSave
    setBalancerBandwidth listOpenFiles
    listCorruptFileBlocks getCurrentEditLogTxid getEditsFromTxid
    addCacheDirective modifyCacheDirective removeCacheDirective listCacheDirectives addCachePool
    modifyCachePool removeCachePool
    listCachePools
    createSnapshot renameSnapshot deleteSnapshot allowSnapshot disallowSnapshot getSnapshotListing
    getSnapshotDiffReport
    getSnapshotDiffReportListing
    modifyAclEntries removeAclEntries removeDefaultAcl removeAcl setAcl setXAttr removeXAttr
    createEncryptionZone reencryptEncryptionZone listReencryptionStatus
    setErasureCodingPolicy unsetErasureCodingPolicy addErasureCodingPolicies
    removeErasureCodingPolicy enableErasureCodingPolicy
    disableErasureCodingPolicy getErasureCodingCodecs getECTopologyResultForPolicies
    renewDelegationToken cancelDelegationToken
    """.split()  # noqa: SIM905 - a list of sixty quoted names reads worse
)
"""Calls that Hadoop clients know and this namenode has no feature for: refused in words a user
understands."""
