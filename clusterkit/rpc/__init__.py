"""The one factory of every gRPC server and channel; nothing else in the project touches `grpc`.

Each option below avoids a trap that was reproduced: a proxy in the environment breaks even
loopback; SO_REUSEPORT lets a second server take half the calls silently; a call without a deadline
hangs for ever; an exception in a handler leaks as UNKNOWN with its text; an idle connection dies
unnoticed. Errors travel as a status code plus trailing metadata (`mrc-error-code`,
`mrc-error-class`, `mrc-next-command`) and come out of the stub as the same ClusterError class they
went in as.

    server = make_server("127.0.0.1", 0, threads=8)
    server.add(pb_grpc.add_ThingServicer_to_server, thing)
    port = server.start()

    channel = make_channel("127.0.0.1:9000")
    stub = pb_grpc.ThingStub(channel)
    stub.Get(request, timeout=2.0)

A handler raises ClusterError to refuse; it needs no grpc. One that streams or parks gets its own
lane. Never fork once this is imported.
"""

from __future__ import annotations

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = (
    "0"  # before the import below: its fork handlers hang children and flood the log
)
os.environ.setdefault(
    "GRPC_VERBOSITY", "NONE"
)  # the C core writes to stderr what is raised here anyway

from clusterkit.listening import format_address as format_address
from clusterkit.rpc.channel import Channel as Channel
from clusterkit.rpc.channel import PendingReply as PendingReply
from clusterkit.rpc.channel import ReplyStream as ReplyStream
from clusterkit.rpc.channel import make_channel as make_channel
from clusterkit.rpc.options import MAX_MESSAGE_BYTES as MAX_MESSAGE_BYTES
from clusterkit.rpc.server import Server as Server
from clusterkit.rpc.server import make_server as make_server
from clusterkit.rpc.server import peer_host as peer_host
