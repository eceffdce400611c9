"""The table of calls as a whole: it covers the core, says "none" truthfully, and refuses what there
is not."""

from __future__ import annotations

import pytest

from minihdfs.errors import (
    FileNotFound,
    FsError,
    InvalidArgument,
    NoSuchMethod,
    UnsupportedOperation,
)
from minihdfs.model import (
    DatanodeAddress,
    DatanodeReportRow,
    DatanodeUsage,
    FileStatus,
    ServerDefaults,
)
from minihdfs.namenode.core import events as ev
from minihdfs.namenode.core.events import Caller
from minihdfs.namenode.core.namesystem import REQUESTS
from minihdfs.namenode.methods.own import method_table
from minihdfs.namenode.methods.table import NOT_SUPPORTED, Facts, MethodTable, decode_request
from minihdfs.pb import hadoop_hdfs_pb2 as hdfs
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire.hadoop_rpc import CLIENT_PROTOCOL, OWN_PROTOCOL

TABLE = method_table()
CALLER = Caller(None, "ann")
STATUS = FileStatus(16390, b"", False, 5, 3, 1 << 20, 0o1644, "ann", "staff", 0, 0)


def sample(request_class: type) -> object:
    """A request with every required field set to its type's zero, all the way down."""

    def fill(message: object) -> None:
        for field in message.DESCRIPTOR.fields:  # type: ignore[attr-defined]
            if field.is_required:
                if field.message_type is not None:
                    getattr(message, field.name).SetInParent()
                    fill(getattr(message, field.name))
                else:
                    setattr(message, field.name, field.default_value)

    request = request_class()
    fill(request)
    return request


def rows() -> list[tuple[str, str]]:
    return [
        (protocol, name)
        for protocol in (CLIENT_PROTOCOL, OWN_PROTOCOL)
        for name in TABLE.names(protocol)
    ]


def test_every_request_of_the_core_can_be_made_by_some_call() -> None:
    made = set()
    for protocol, name in rows():
        method = TABLE.find(protocol, name)
        request = decode_request(method, sample(method.request).SerializeToString())  # type: ignore[attr-defined]
        made |= {type(event(CALLER, request)) for event in method.events}
    assert set(REQUESTS) <= made


@pytest.mark.parametrize(("protocol", "name"), rows())
def test_a_row_names_its_own_request_and_changes_carry_an_identity(
    protocol: str, name: str
) -> None:
    method = TABLE.find(protocol, name)
    assert method.request.DESCRIPTOR.name.endswith("Request")
    request = sample(method.request)
    changing = {type(event(CALLER, request)).__name__ for event in method.events} & {
        "Mkdirs",
        "Create",
        "AddBlock",
        "Complete",
        "Rename",
        "Rename2",
        "RenameMany",
        "Delete",
        "SetOwner",
        "SetPermission",
        "SetTimes",
        "SetReplication",
        "Publish",
        "AbandonBlock",
        "UpdatePipeline",
        "RecoverLease",
        "SetSafeMode",
        "AbandonFile",
    }
    assert method.changes or not changing


def test_what_is_not_supported_is_not_offered_either() -> None:
    assert not NOT_SUPPORTED & set(TABLE.names(CLIENT_PROTOCOL))
    with pytest.raises(UnsupportedOperation, match="append"):
        TABLE.find(CLIENT_PROTOCOL, "append")
    with pytest.raises(NoSuchMethod):
        TABLE.find(OWN_PROTOCOL, "append")


def test_one_name_has_one_row() -> None:
    row = {"x": TABLE.find(CLIENT_PROTOCOL, "msync")}
    with pytest.raises(ValueError, match="two rows"):
        MethodTable(hadoop=(row, row), own=())


def test_a_request_without_a_required_field_names_it() -> None:
    with pytest.raises(InvalidArgument, match="src"):
        decode_request(TABLE.find(CLIENT_PROTOCOL, "delete"), b"")
    with pytest.raises(InvalidArgument, match="does not decode"):
        decode_request(TABLE.find(CLIENT_PROTOCOL, "delete"), b"\xff\xff\xff")


@pytest.mark.parametrize(
    "name",
    [
        "getErasureCodingPolicy",
        "getEZForPath",
        "listXAttrs",
        "getXAttrs",
        "getAclStatus",
        "getStoragePolicy",
    ],
)
def test_none_is_said_of_what_exists_and_a_missing_path_is_an_error(name: str) -> None:
    method = TABLE.find(CLIENT_PROTOCOL, name)
    request = sample(method.request)
    answer = method.respond(STATUS, request, Facts())
    assert answer.IsInitialized()
    with pytest.raises(FileNotFound):
        method.respond(None, request, Facts())


def test_acl_status_repeats_the_permission_bits() -> None:
    answer = TABLE.find(CLIENT_PROTOCOL, "getAclStatus").respond(
        STATUS, sample(nn.GetAclStatusRequest), Facts()
    )
    assert (
        answer.result.owner,
        answer.result.sticky,
        answer.result.permission.perm,
        len(answer.result.entries),
    ) == (
        "ann",
        True,
        0o1644,
        0,
    )  # type: ignore[attr-defined]


def test_an_extended_attribute_asked_by_name_is_not_found() -> None:
    request = nn.GetXAttrsRequest(
        src="/x", xAttrs=[hdfs.XAttr(namespace=hdfs.XAttr.USER, name="a")]
    )
    with pytest.raises(FsError, match="not found"):
        TABLE.find(CLIENT_PROTOCOL, "getXAttrs").respond(STATUS, request, Facts())


def test_create_refuses_append_and_erasure_coding() -> None:
    create = TABLE.find(CLIENT_PROTOCOL, "create").events[0]
    request = sample(nn.CreateRequest)
    for change in ({"createFlag": nn.APPEND}, {"ecPolicyName": "RS-6-3-1024k"}):
        with pytest.raises(UnsupportedOperation):
            create(
                CALLER,
                type(request)(
                    **{"src": "/x", "clientName": "c", "replication": 1, "blockSize": 1, **change}
                ),
            )


def test_times_travel_as_milliseconds_and_unchanged_as_minus_one() -> None:
    request = nn.SetTimesRequest(src="/x", mtime=1_700_000_000_123, atime=(1 << 64) - 1)
    assert TABLE.find(CLIENT_PROTOCOL, "setTimes").events[0](CALLER, request) == ev.SetTimes(
        CALLER, "/x", 1_700_000_000_123, None
    )


def test_datanodes_are_reported_by_type() -> None:
    address = DatanodeAddress("u", "h", "h", 1, 2)
    states = ("live", "draining", "dead")
    nodes = tuple(
        DatanodeReportRow(address, DatanodeUsage(10, 2, 5), state, 1_000_000) for state in states
    )
    method = TABLE.find(CLIENT_PROTOCOL, "getDatanodeReport")
    request = nn.GetDatanodeReportRequest(type=nn.DECOMMISSIONING)
    assert method.events[0](CALLER, request) == ev.GetDatanodeReport(CALLER, "all")
    (draining,) = method.respond(nodes, request, Facts()).di  # type: ignore[attr-defined]
    assert (draining.adminState, draining.nonDfsUsed, draining.lastUpdate) == (1, 3, 1000)
    assert len(method.respond(nodes, nn.GetDatanodeReportRequest(type=nn.ALL), Facts()).di) == 3  # type: ignore[attr-defined]


def test_the_trash_interval_is_announced_in_minutes_and_none_is_none() -> None:
    method = TABLE.find(CLIENT_PROTOCOL, "getServerDefaults")
    for seconds, minutes in ((0, 0), (1, 1), (60, 1), (86_400, 1_440)):
        answer = method.respond(ServerDefaults(trash_interval_s=seconds), None, Facts())
        assert answer.serverDefaults.trashInterval == minutes  # type: ignore[attr-defined]


def test_there_are_no_encryption_zones_and_one_root() -> None:
    zones = TABLE.find(CLIENT_PROTOCOL, "listEncryptionZones").respond(None, None, Facts())
    assert zones == nn.ListEncryptionZonesResponse(hasMore=False) and zones.IsInitialized()
    root = TABLE.find(CLIENT_PROTOCOL, "getEnclosingRoot").respond(
        None, nn.GetEnclosingRootRequest(filename="/a/b"), Facts()
    )
    assert root.enclosingRootPath == "/"  # type: ignore[attr-defined]
