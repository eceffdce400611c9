"""Leases are renewed while files are open, by a thread that is there only then; a forked child
starts its own."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any, cast

from minihdfs.client.datanodes import Datanodes
from minihdfs.client.leases import LeaseKeeper
from minihdfs.client.writer import FileWriter
from minihdfs.errors import SafeMode
from tests.equipment.until import until
from tests.unit.minihdfs.client.fakes import FakeDatanode, FakeNamenode


class Setting:
    def __init__(self, directory: Path) -> None:
        self.node = FakeDatanode("d0", directory)
        self.namenode = FakeNamenode([self.node])
        self.renewals = 0
        self.keeper = LeaseKeeper(self._renew, 0.01, tick_s=0.01)

    def _renew(self) -> None:
        self.renewals += 1
        if self.renewals == 1:
            raise SafeMode("not now")

    def create(self, path: str) -> FileWriter:
        calls = cast(Any, self.namenode)
        status, defaults = calls.create(path, "me"), calls.get_server_defaults()
        return FileWriter(
            calls, Datanodes(), path, status, defaults, client_name="me", lease_holder=self.keeper
        )


def keepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lease-keeper"]


def test_the_thread_lives_as_long_as_a_file_is_open(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    assert keepers() == []
    first, second = setting.create("/a"), setting.create("/b")
    first.write(b"x")
    until(lambda: setting.renewals >= 3, "renewals go on after one that failed")
    assert len(keepers()) == 1
    first.close()
    second.close()
    until(lambda: keepers() == [], "the thread ends with the last file")
    third = setting.create("/c")
    assert len(keepers()) == 1
    third.abort()
    until(lambda: keepers() == [], "the thread ends")
    setting.node.kill()


def test_a_forgotten_writer_is_not_renewed_for_ever_nor_completed(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    writer = setting.create("/a")
    writer.write(b"x")
    del writer
    gc.collect()
    until(lambda: keepers() == [], "nobody holds the forgotten writer")
    assert setting.namenode.open_files == {"/a"}
    setting.node.kill()


def test_a_forked_child_has_a_keeper_of_its_own(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    writer = setting.create("/a")
    child = os.fork()
    if not child:
        with setting.create("/b") as file:
            alive = bool(keepers())
            file.write(b"from the child")
        os._exit(0 if alive else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.close()
    setting.node.kill()
