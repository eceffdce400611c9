from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OpenSessionRequest(_message.Message):
    __slots__ = ("member_id", "previous_session", "timeout_ms")
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SESSION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    member_id: str
    previous_session: str
    timeout_ms: int
    def __init__(self, member_id: _Optional[str] = ..., previous_session: _Optional[str] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class OpenSessionReply(_message.Message):
    __slots__ = ("session", "timeout_ms")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    session: str
    timeout_ms: int
    def __init__(self, session: _Optional[str] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: str
    def __init__(self, session: _Optional[str] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("service", "epoch")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    service: str
    epoch: int
    def __init__(self, service: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...

class RenewReply(_message.Message):
    __slots__ = ("held",)
    HELD_FIELD_NUMBER: _ClassVar[int]
    held: _containers.RepeatedCompositeFieldContainer[Held]
    def __init__(self, held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ...) -> None: ...

class CloseRequest(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: str
    def __init__(self, session: _Optional[str] = ...) -> None: ...

class CloseReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("id", "address", "place")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    id: str
    address: str
    place: str
    def __init__(self, id: _Optional[str] = ..., address: _Optional[str] = ..., place: _Optional[str] = ...) -> None: ...

class CampaignRequest(_message.Message):
    __slots__ = ("session", "service", "candidate", "at_least_epoch", "held_epoch")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_EPOCH_FIELD_NUMBER: _ClassVar[int]
    HELD_EPOCH_FIELD_NUMBER: _ClassVar[int]
    session: str
    service: str
    candidate: Candidate
    at_least_epoch: int
    held_epoch: int
    def __init__(self, session: _Optional[str] = ..., service: _Optional[str] = ..., candidate: _Optional[_Union[Candidate, _Mapping]] = ..., at_least_epoch: _Optional[int] = ..., held_epoch: _Optional[int] = ...) -> None: ...

class CampaignReply(_message.Message):
    __slots__ = ("elected", "epoch", "leader")
    ELECTED_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    elected: bool
    epoch: int
    leader: Candidate
    def __init__(self, elected: bool = ..., epoch: _Optional[int] = ..., leader: _Optional[_Union[Candidate, _Mapping]] = ...) -> None: ...

class LeaderRequest(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: str
    def __init__(self, service: _Optional[str] = ...) -> None: ...

class LeaderReply(_message.Message):
    __slots__ = ("known", "leader", "epoch")
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    known: bool
    leader: Candidate
    epoch: int
    def __init__(self, known: bool = ..., leader: _Optional[_Union[Candidate, _Mapping]] = ..., epoch: _Optional[int] = ...) -> None: ...

class ResignRequest(_message.Message):
    __slots__ = ("session", "service")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    session: str
    service: str
    def __init__(self, session: _Optional[str] = ..., service: _Optional[str] = ...) -> None: ...

class ResignReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Member(_message.Message):
    __slots__ = ("role", "id", "address", "capabilities")
    class CapabilitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    role: str
    id: str
    address: str
    capabilities: _containers.ScalarMap[str, str]
    def __init__(self, role: _Optional[str] = ..., id: _Optional[str] = ..., address: _Optional[str] = ..., capabilities: _Optional[_Mapping[str, str]] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("session", "member")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    session: str
    member: Member
    def __init__(self, session: _Optional[str] = ..., member: _Optional[_Union[Member, _Mapping]] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MembersRequest(_message.Message):
    __slots__ = ("role", "seen_version")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    SEEN_VERSION_FIELD_NUMBER: _ClassVar[int]
    role: str
    seen_version: int
    def __init__(self, role: _Optional[str] = ..., seen_version: _Optional[int] = ...) -> None: ...

class MembersReply(_message.Message):
    __slots__ = ("version", "members")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    version: int
    members: _containers.RepeatedCompositeFieldContainer[Member]
    def __init__(self, version: _Optional[int] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("key", "seen")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    key: str
    seen: int
    def __init__(self, key: _Optional[str] = ..., seen: _Optional[int] = ...) -> None: ...

class GetReply(_message.Message):
    __slots__ = ("exists", "value", "version")
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    value: bytes
    version: int
    def __init__(self, exists: bool = ..., value: _Optional[bytes] = ..., version: _Optional[int] = ...) -> None: ...

class SetRequest(_message.Message):
    __slots__ = ("key", "value", "version", "any_version")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ANY_VERSION_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: bytes
    version: int
    any_version: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[bytes] = ..., version: _Optional[int] = ..., any_version: bool = ...) -> None: ...

class SetReply(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...
