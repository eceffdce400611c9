"""Real ZooKeeper servers on loopback: one, or an ensemble of three. Ready in about a second; each
is one foreground Java process.

with ZooKeeper.standalone(tmp_path) as zookeeper:
    client = KazooClient(zookeeper.hosts)
    zookeeper.servers[0].pause()
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.equipment.java import SMALL, java
from tests.equipment.wheels import EquipmentMissing, jars

JARS = (
    "zookeeper-*",
    "slf4j-api*",
    "log4j-*",
    "snappy-java*",
    "metrics-core*",
    "netty-*",
    "commons-io*",
    "commons-cli*",
    "audience*",
)
SERVER_CLASS = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
TICK_MS = 250
START_DEADLINE_S = 45.0


def free_port(taken: set[int]) -> int:
    """Outside the range that outgoing connections draw from: still free when a Java process gets to
    it, and after a restart."""
    for port in random.Random(os.urandom(8)).sample(range(20000, 30000), 500):
        if port not in taken:
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            taken.add(port)
            return port
    raise EquipmentMissing("no free port between 20000 and 30000")


class Server:
    """One ZooKeeper server and its data, which survives `stop`, `kill` and `start`."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        with_parent = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command = [
            *with_parent,
            str(java()),
            *SMALL,
            "-cp",
            jars(*JARS),
            SERVER_CLASS,
            str(self.directory / "zoo.cfg"),
        ]
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def mode(self) -> str | None:
        """`standalone`, `leader` or `follower` once it serves."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.settimeout(2.0)
                connection.sendall(b"srvr")
                reply = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        except OSError:
            return None
        return next(
            (line.partition(": ")[2] for line in reply.splitlines() if line.startswith("Mode:")),
            None,
        )

    def wait_until_serving(self, deadline_s: float = START_DEADLINE_S) -> None:
        end = time.monotonic() + deadline_s
        while self.mode() is None:
            if self.process is None or self.process.poll() is not None or time.monotonic() > end:
                tail = (self.directory / "server.log").read_text(errors="replace").splitlines()[-5:]
                raise EquipmentMissing(
                    f"ZooKeeper on port {self.port} does not serve: {' | '.join(tail)}"
                )
            time.sleep(0.02)  # polls a foreign process that tells no other way

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class ZooKeeper:
    """A standalone server or an ensemble, and its way in."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers

    @classmethod
    def standalone(cls, directory: Path) -> ZooKeeper:
        return cls([_prepare(directory, free_port(set()), "")])

    @classmethod
    def ensemble(cls, directory: Path, size: int = 3) -> ZooKeeper:
        taken: set[int] = set()
        peers = [
            f"server.{n}=127.0.0.1:{free_port(taken)}:{free_port(taken)}"
            for n in range(1, size + 1)
        ]
        lines = "\n".join(["initLimit=20", "syncLimit=10", *peers, ""])
        servers = [
            _prepare(directory / f"server-{n}", free_port(taken), lines) for n in range(1, size + 1)
        ]
        for n, server in enumerate(servers, 1):
            (server.directory / "data/myid").write_text(f"{n}\n")
        return cls(servers)

    @property
    def hosts(self) -> str:
        return ",".join(server.address for server in self.servers)

    def leader(self) -> Server:
        return next(server for server in self.servers if server.mode() in ("leader", "standalone"))

    def start(self) -> ZooKeeper:
        try:
            for server in self.servers:
                server.start()
            for server in self.servers:
                server.wait_until_serving()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for server in self.servers:
            # its data is a temporary directory's: no reason to wait for an orderly end
            server.kill()

    def __enter__(self) -> ZooKeeper:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _prepare(directory: Path, port: int, ensemble_lines: str) -> Server:
    (directory / "data").mkdir(parents=True)
    (directory / "zoo.cfg").write_text(
        f"tickTime={TICK_MS}\ndataDir={directory / 'data'}\n"
        f"clientPort={port}\nclientPortAddress=127.0.0.1\n"
        "admin.enableServer=false\n4lw.commands.whitelist=srvr,ruok,mntr\n"
        f"maxClientCnxns=0\nminSessionTimeout={2 * TICK_MS}\n"
        "maxSessionTimeout=15000\n"
        f"{ensemble_lines}"
    )
    return Server(directory, port)
