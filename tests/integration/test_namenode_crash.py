"""SIGKILL of the namenode while many callers change the namespace: what was acknowledged is there,
every call ends as if it ran once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from clusterkit.errors import ClusterError
from minihdfs.client.namenode_calls import NamenodeClient
from minihdfs.client.namenode_failover import CallOptions
from tests.integration.namenode_process import NamenodeProcess

USER = "ann"
CALLERS = 8
FILES = 150
KILLS = 3


@contextlib.contextmanager
def namenode(directory: Path) -> Iterator[NamenodeProcess]:
    process = NamenodeProcess(directory, USER)
    try:
        yield process
    finally:
        process.kill()


def test_kills_under_load_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    """Each caller makes files, renames and deletes some of them; none of its calls may fail or be
    done twice, across three kills."""
    running = NamenodeProcess(tmp_path / "nn", USER)
    address, wrong, progress = running.address, [], threading.Semaphore(0)

    def work(caller: int) -> None:
        client = NamenodeClient(address, USER, options=CallOptions(patience_s=60))
        try:
            for number in range(FILES):
                path = f"/w{caller}/f{number:03}"
                created = client.create(path, f"c{caller}")
                if not client.complete(path, f"c{caller}", created.inode_id):
                    wrong.append(f"{path} was not completed")
                if number % 3 == 1 and not client.rename(path, f"{path}.moved"):
                    wrong.append(f"{path} was not renamed")
                if number % 3 == 2 and not client.delete(path):
                    wrong.append(f"{path} was not deleted, or twice")
                progress.release()
        except ClusterError as error:
            wrong.append(f"caller {caller}: {error}")
        finally:
            client.close()

    callers = [threading.Thread(target=work, args=(number,)) for number in range(CALLERS)]
    for thread in callers:
        thread.start()
    for _ in range(KILLS):
        for _ in range(CALLERS * FILES // (KILLS + 1)):
            assert progress.acquire(timeout=60), wrong
        running.kill()
        running = NamenodeProcess(tmp_path / "nn", USER)
        assert running.address == address
    for thread in callers:
        thread.join(60)
    assert wrong == []
    running.kill()
    with namenode(tmp_path / "nn") as last:
        client = NamenodeClient(last.address, USER)
        assert client.get_status().epoch == KILLS + 2
        wanted = [
            f"f{n:03}" if n % 3 == 0 else f"f{n:03}.moved" for n in range(FILES) if n % 3 != 2
        ]
        for caller in range(CALLERS):
            listing = client.get_listing(f"/w{caller}")
            assert listing is not None
            assert [entry.name.decode() for entry in listing.entries] == wanted
            assert not any(entry.under_construction for entry in listing.entries)


def test_an_orderly_stop_leaves_little_to_replay(tmp_path: Path) -> None:
    first = NamenodeProcess(tmp_path / "nn", USER)
    client = NamenodeClient(first.address, USER)
    for number in range(50):
        client.mkdirs(f"/d{number}")
    client.close()
    first.stop()
    with namenode(tmp_path / "nn") as second:
        client = NamenodeClient(second.address, USER)
        listing = client.get_listing("/")
        assert listing is not None
        assert len(listing.entries) == 50
