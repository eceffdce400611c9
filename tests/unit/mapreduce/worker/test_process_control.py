from __future__ import annotations

import os
import subprocess

import pytest

from mapreduce.worker import process_control


def test_children_are_found_where_the_kernel_keeps_no_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in process_control.children(os.getpid())
        monkeypatch.setattr(process_control, "_KERNEL_LISTS_CHILDREN", False)
        assert child.pid in process_control.children(os.getpid())
    finally:
        child.kill()
        child.wait()


def test_memory_of_one_process_and_of_a_family_that_shares_its_pages() -> None:
    keep = "import os, time; keep = bytearray(b'x') * (64 << 20); print(flush=True); "
    alone = subprocess.Popen(["python3", "-c", keep + "time.sleep(60)"], stdout=subprocess.PIPE)
    family = subprocess.Popen(
        [
            "python3",
            "-c",
            keep.replace("print", "[os.fork() for _ in range(2)]; print") + "time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert alone.stdout is not None and family.stdout is not None
        alone.stdout.read(1)
        family.stdout.read(4)
        one, count = process_control.measure(alone.pid)
        several, many = process_control.measure(family.pid)
        assert (count, many) == (1, 4)
        assert 64 << 20 < one < 100 << 20
        assert 64 << 20 < several < 140 << 20, "four processes, but one copy of the pages"
    finally:
        for pid in process_control.tree(family.pid)[::-1]:
            process_control.kill(pid)
        alone.kill()
        for process in (alone, family):
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_marked_processes_are_found_whoever_their_parent_is(tmp_path: os.PathLike[str]) -> None:
    environment = {**os.environ, process_control.POOL_MARK: str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", "sleep 60 >&- & echo $!"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    orphan = int(done.stdout)
    assert list(process_control.marked(tmp_path)) == [orphan]  # type: ignore[arg-type]
    process_control.kill(orphan)


def test_files_in_memory_count_as_memory_once() -> None:
    script = """
import mmap, os
fd = os.open("/dev/shm/mrc-test-%d" % os.getpid(), os.O_CREAT | os.O_RDWR)
os.unlink("/dev/shm/mrc-test-%d" % os.getpid())
for _ in range(64):
    os.write(fd, bytes(1 << 20))
mapped = mmap.mmap(fd, 32 << 20)
sum(mapped[i] for i in range(0, 32 << 20, 4096))
os.memfd_create("more")
print(flush=True)
input()
"""
    holder = subprocess.Popen(
        ["python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.read(1)
        assert 64 << 20 < process_control.measure(holder.pid)[0] < 100 << 20
    finally:
        holder.communicate()
