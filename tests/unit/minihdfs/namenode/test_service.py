"""A whole namenode in process: formatting and adopting, restarts that keep everything, and the ways
in which it must end itself."""

from __future__ import annotations

import contextlib
import errno
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.errors import ClusterError, Fenced, PortInUse, Unavailable
from clusterkit.homes import NotTheHome
from clusterkit.journal_local import LocalJournal
from clusterkit.service import DataDirectory
from coordinator.backends.memory import MemoryCoordinator, MemoryHub
from minihdfs.client.namenode_calls import NamenodeClient
from minihdfs.client.namenode_failover import CallOptions
from minihdfs.errors import FileNotFound, InvalidArgument, WrongCluster
from minihdfs.namenode.core.options import Options
from minihdfs.namenode.service import NamenodeService, NamenodeServiceOptions
from minihdfs.pb import hadoop_namenode_pb2 as nn
from minihdfs.wire import hadoop_rpc
from tests.equipment.until import until
from tests.unit.minihdfs.namenode.sole_coordinator import SoleCoordinator

USER = "ann"


def options(directory: Path, **named: object) -> NamenodeServiceOptions:
    core = Options(cluster_id="", superuser=USER)
    return NamenodeServiceOptions(node_id="nn1", data_dir=directory / "nn1", core=core, **named)  # type: ignore[arg-type]


def client_of(service: NamenodeService) -> NamenodeClient:
    return NamenodeClient(service.address, USER, options=CallOptions(patience_s=0.2))


@contextlib.contextmanager
def running(
    directory: Path, coordinator: SoleCoordinator | MemoryCoordinator, **named: object
) -> Iterator[NamenodeService]:
    service = NamenodeService(options(directory, **named), coordinator)
    service.start()
    try:
        yield service
    finally:
        service.stop()
        with contextlib.suppress(ClusterError, OSError):
            service.wait()


@pytest.fixture
def coordinator() -> SoleCoordinator:
    return SoleCoordinator()


def test_a_fresh_directory_becomes_a_cluster_that_serves(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    with running(tmp_path, coordinator) as service:
        assert coordinator.settings["cluster_id"].value.decode() == service.cluster_id
        status = client_of(service).get_status()
        assert (status.epoch, status.cluster_id) == (1, service.cluster_id)
        leader = coordinator.leader("namenode")
        assert leader is not None
        assert leader.address == f"{service.address},{service.datanode_address}"
        assert service.fs_uri == f"hdfs://127.0.0.1:{service.ports['rpc']}"


def test_a_restart_keeps_everything_under_a_higher_epoch_at_the_same_ports(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    with running(tmp_path, coordinator) as first:
        client_of(first).mkdirs("/kept/deep")
        client_of(first).set_permission("/kept", 0o750)
        ports = first.ports
    with running(tmp_path, coordinator) as second:
        status = client_of(second).get_file_info("/kept")
        assert status is not None
        assert (status.permission, second.ports, second.epoch) == (0o750, ports, 2)


def test_a_call_repeated_after_a_restart_gets_its_first_answer(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    def delete(service: NamenodeService, retry: int) -> bool:
        with socket.create_connection(("127.0.0.1", service.ports["rpc"]), timeout=10) as sock:
            request = nn.DeleteRequest(src="/d", recursive=False)
            wire = hadoop_rpc.encode_call(
                5, b"c" * 16, retry, hadoop_rpc.CLIENT_PROTOCOL, "delete", request
            )
            sock.sendall(hadoop_rpc.encode_opening(USER, b"c" * 16) + wire)
            connection = hadoop_rpc.ClientConnection()
            while not (replies := connection.feed(sock.recv(4096))):
                pass
            return nn.DeleteResponse.FromString(replies[0].payload).result

    with running(tmp_path, coordinator) as first:
        client_of(first).mkdirs("/d")
        assert delete(first, 0) is True
    with running(tmp_path, coordinator) as second:
        assert delete(second, 1) is True
        assert client_of(second).delete("/d") is False


def test_a_directory_of_another_cluster_is_refused(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    with running(tmp_path, coordinator) as service:
        cluster_id = service.cluster_id
    other = SoleCoordinator()
    other.set("cluster_id", b"another")
    with pytest.raises(WrongCluster, match=cluster_id):
        NamenodeService(options(tmp_path), other).start()


def test_an_empty_directory_of_an_existing_cluster_is_not_formatted(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    coordinator.set("cluster_id", b"exists")
    with pytest.raises(WrongCluster, match="exists"):
        NamenodeService(options(tmp_path), coordinator).start()


def test_a_publish_is_believed_up_to_what_the_coordinator_handed_out(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    """A number that was nobody's would fence every tracker for ever."""
    with running(tmp_path, coordinator) as service:
        client = client_of(service)
        for name in ("/a", "/b", "/c"):
            client.mkdirs(name)
        coordinator.epochs["tracker"] = 3
        with pytest.raises(
            InvalidArgument, match=f"no tracker of epoch {1 << 61} was ever elected"
        ):
            client.publish("/a", "/stolen", 0, 1 << 61)
        client.publish("/b", "/out", 0, 3)
        coordinator.epochs["tracker"] = 4
        client.publish("/c", "/out2", 0, 4)
        with pytest.raises(InvalidArgument, match="nothing to reset"):
            client.reset_tracker_epoch()


def test_while_the_coordinator_is_away_a_publish_waits(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    with running(tmp_path, coordinator) as service:
        client = client_of(service)
        client.mkdirs("/a")
        answers = iter([Unavailable("away"), Unavailable("away"), 1])
        service._epoch_reader._highest_epoch = lambda _service: _raised(next(answers))
        client.publish("/a", "/out", 0, 1)


def _raised(found: object) -> int:
    if isinstance(found, Exception):
        raise found
    assert isinstance(found, int)
    return found


def test_a_copied_directory_serves_nothing(tmp_path: Path, coordinator: SoleCoordinator) -> None:
    """A cloned machine or a restored backup lacks what was acknowledged since, and would order the
    blocks of that deleted."""
    with running(tmp_path, coordinator) as service:
        client_of(service).mkdirs("/acknowledged")
    shutil.copytree(tmp_path / "nn1", tmp_path / "elsewhere" / "nn1")
    with pytest.raises(NotTheHome, match="this is a copy: the file system was last led from"):
        NamenodeService(options(tmp_path / "elsewhere"), coordinator).start()
    with running(tmp_path, coordinator) as service:
        assert client_of(service).get_file_info("/acknowledged") is not None


def test_a_copy_that_waited_to_lead_looks_again_when_it_does(tmp_path: Path) -> None:
    """Nobody had led when it began to wait."""
    hub = MemoryHub()
    with running(tmp_path, MemoryCoordinator(hub)):
        pass
    shutil.copytree(tmp_path / "nn1", tmp_path / "elsewhere" / "nn1")
    directory = DataDirectory.open(tmp_path / "elsewhere" / "nn1", "namenode", "nn1")
    directory.remember_ports({})  # on another machine they are free
    directory.close()
    original = NamenodeService(options(tmp_path), MemoryCoordinator(hub))
    original.start()
    home = hub.settings.pop("namenode_home")  # as before the first leader
    failures: list[BaseException] = []

    def wait_and_lead() -> None:
        try:
            NamenodeService(options(tmp_path / "elsewhere"), MemoryCoordinator(hub)).start()
        except ClusterError as error:
            failures.append(error)

    copy = threading.Thread(target=wait_and_lead)
    campaigning = threading.Event()
    wait_for = hub.changed.wait_for
    hub.changed.wait_for = lambda *a: (campaigning.set(), wait_for(*a))[1]  # type: ignore[assignment, method-assign]
    copy.start()
    assert campaigning.wait(10)
    hub.settings["namenode_home"] = home
    original.stop()
    original.wait()
    copy.join(10)
    assert [type(error) for error in failures] == [NotTheHome]
    assert "namenode" not in hub.leaders


def test_of_fresh_namenodes_that_start_together_one_begins_the_cluster_and_the_others_stay_empty(
    tmp_path: Path,
) -> None:
    hub, together = MemoryHub(), threading.Barrier(3)
    outcomes: dict[str, object] = {}
    services = {
        name: NamenodeService(options(tmp_path / name), MemoryCoordinator(hub))
        for name in ("a", "b", "c")
    }
    known = {name: service._known_cluster for name, service in services.items()}

    def begin(name: str) -> None:
        looked = iter([True])

        def look() -> str:
            found = known[name]()
            if next(looked, False):
                together.wait()  # all have looked, and nobody had begun
            return found

        services[name]._known_cluster = look  # type: ignore[method-assign]
        try:
            services[name].start()
            outcomes[name] = services[name].cluster_id
        except ClusterError as error:
            outcomes[name] = error

    threads = [threading.Thread(target=begin, args=(name,)) for name in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [name for name, found in outcomes.items() if isinstance(found, str)]
    assert len(winners) == 1
    for name in set(services) - set(winners):
        assert isinstance(outcomes[name], WrongCluster) and str(outcomes[winners[0]]) in str(
            outcomes[name]
        )
        directory = DataDirectory.open(tmp_path / name / "nn1", "namenode", "nn1")
        assert (directory.cluster_id, directory.forming) == ("", "")
        directory.close()
    services[winners[0]].stop()
    services[winners[0]].wait()


def test_who_crashed_between_the_offer_and_its_own_word_finds_its_cluster_again(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    directory = DataDirectory.open(tmp_path / "nn1", "namenode", "nn1")
    directory.form("c0ffee")
    directory.close()
    coordinator.set("cluster_id", b"c0ffee")
    with running(tmp_path, coordinator) as service:
        assert service.cluster_id == "c0ffee"


def test_a_coordinator_that_forgot_the_cluster_learns_it_from_the_directory(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    with running(tmp_path, coordinator) as service:
        cluster_id = service.cluster_id
    forgetful = SoleCoordinator()
    with running(tmp_path, forgetful) as service:
        assert forgetful.settings["cluster_id"].value.decode() == cluster_id
        assert service.epoch == 2  # never an epoch that was handed out before


def test_two_processes_never_share_a_directory(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    with running(tmp_path, coordinator), pytest.raises(ClusterError, match="in use"):
        NamenodeService(options(tmp_path), coordinator).start()


def test_a_port_in_use_is_named(tmp_path: Path, coordinator: SoleCoordinator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            NamenodeService(options(tmp_path, port=port), coordinator).start()
        with running(tmp_path, coordinator, preferred_port=port) as service:
            assert service.ports["rpc"] != port


def test_losing_leadership_ends_it(tmp_path: Path, coordinator: SoleCoordinator) -> None:
    with running(tmp_path, coordinator) as service:
        client_of(service).get_file_info("/")
        assert coordinator.leadership is not None
        threading.Thread(target=coordinator.leadership.on_lost).start()
        with pytest.raises(Fenced):
            service.wait()
        with pytest.raises(Unavailable):
            client_of(service).get_file_info("/")


def test_a_lease_that_ran_out_silences_it_before_an_answer_leaves(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    with running(tmp_path, coordinator) as service:
        client = client_of(service)
        client.get_file_info("/")
        assert coordinator.leadership is not None
        coordinator.leadership.deadline = 1
        with pytest.raises(Unavailable):
            client.get_file_info("/")
        with pytest.raises(Fenced, match="lease"):
            service.wait()


def test_a_disk_that_hangs_stops_the_renewal_of_the_lease(
    tmp_path: Path, coordinator: SoleCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that keeps the lease is well, the loop is stuck in its fsync: what leads must not
    go on as if it served."""
    monkeypatch.setattr("clusterkit.driver.STUCK_US", 50_000)
    hangs, free = threading.Event(), threading.Event()

    class HangingDisk(LocalJournal):
        def sync(self) -> None:
            if hangs.is_set():
                free.wait(30)
            super().sync()

    service = NamenodeService(options(tmp_path), coordinator, open_journal=HangingDisk)
    service.start()
    assert coordinator.alive()
    hangs.set()
    asking = threading.Thread(target=lambda: client_of(service).mkdirs("/a"))
    asking.start()
    until(lambda: not coordinator.alive(), "the loop counts as stuck")
    hangs.clear()
    free.set()
    asking.join(30)
    until(coordinator.alive, "it was only slow")
    service.stop()
    service.wait()


class FullDisk(LocalJournal):
    full = False

    def sync(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().sync()


def test_a_journal_that_fails_ends_it_and_the_edit_was_never_answered(
    tmp_path: Path, coordinator: SoleCoordinator
) -> None:
    journals: list[FullDisk] = []

    def open_journal(path: Path) -> FullDisk:
        journals.append(FullDisk(path))
        return journals[-1]

    service = NamenodeService(options(tmp_path), coordinator, open_journal=open_journal)
    service.start()
    client = client_of(service)
    client.mkdirs("/before")
    journals[0].full = True
    with pytest.raises(Unavailable):
        client.mkdirs("/lost")
    with pytest.raises(OSError, match="No space"):
        service.wait()
    with running(tmp_path, coordinator) as service:
        assert client_of(service).get_file_info("/before") is not None


def test_permissions_hold_between_users(tmp_path: Path, coordinator: SoleCoordinator) -> None:
    with running(tmp_path, coordinator) as service:
        client_of(service).mkdirs("/private", 0o700)
        status = client_of(service).get_file_info("/private")
        assert status is not None
        assert (status.owner, status.group) == (USER, "supergroup")
        with pytest.raises(ClusterError, match="ermission denied"):
            NamenodeClient(service.address, "eve").mkdirs("/private/x")
        with pytest.raises(FileNotFound):
            client_of(service).get_content_summary("/nowhere")
