from __future__ import annotations

import os
from pathlib import Path

from mapreduce.worker.attempt_log import TAIL_BYTES, AttemptLog, stack_top


def printed(log: AttemptLog, *pieces: bytes) -> bytes:
    for piece in pieces:
        os.write(log.write_fd, piece)
        log.pump()
    log.close()
    return log.path.read_bytes()


def test_keeps_what_is_printed(tmp_path: Path) -> None:
    assert printed(AttemptLog(tmp_path / "a.log"), b"one\n", b"two\n") == b"one\ntwo\n"


def test_a_flood_keeps_its_beginning_and_its_end_and_counts_the_rest(tmp_path: Path) -> None:
    pieces = [b"%07d\n" % i * 1_000 for i in range(40)]
    data = printed(AttemptLog(tmp_path / "a.log", limit=10_000), *pieces)
    everything = b"".join(pieces)
    head, _, rest = data.partition(b"\n[\xe2\x80\xa6 ")
    notice, _, tail = rest.partition(b"]\n")
    assert everything.startswith(head) and len(head) == 10_000
    assert everything.endswith(tail) and TAIL_BYTES <= len(tail) < TAIL_BYTES + 65_536
    assert int(notice.split()[0]) == len(everything) - len(head) - len(tail)


def test_what_is_in_the_pipe_when_the_task_ends_is_kept(tmp_path: Path) -> None:
    log = AttemptLog(tmp_path / "a.log")
    os.write(log.write_fd, b"last words")
    log.close()
    assert (tmp_path / "a.log").read_bytes() == b"last words"


def test_output_that_found_no_room_is_told_once_there_is_some(tmp_path: Path) -> None:
    log = AttemptLog(tmp_path / "a.log")
    os.write(log.write_fd, b"before\n")
    log.pump()
    kept = os.dup(log._file)
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), log._file)
    os.write(log.write_fd, b"lost")
    assert log.pump()
    os.write(log.write_fd, b"lost too")
    assert log.pump()
    os.dup2(kept, log._file)
    os.close(kept)
    told = printed(log, b"after\n").decode()
    assert told.startswith("before\n\n[… 12 bytes of output were lost here: the disk at ")
    assert told.endswith(f" is full: {log.path}, the log of an attempt, cannot grow …]\nafter\n")


def test_what_is_lost_at_the_end_is_told_when_the_log_is_closed(tmp_path: Path) -> None:
    log = AttemptLog(tmp_path / "a.log")
    kept = os.dup(log._file)
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), log._file)
    os.write(log.write_fd, b"lost")
    log.pump()
    os.dup2(kept, log._file)
    os.close(kept)
    assert b"[\xe2\x80\xa6 4 bytes of output were lost here: " in printed(log)


DUMP = """before
Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait

Current thread 0x00007f00 (most recent call first):
  File "/usr/lib/python3.11/socket.py", line 706 in readinto
  File "/home/me/hang.py", line 6 in map
  File "/opt/mapreduce/engine/map_task.py", line 9 in run
after
"""


def test_the_top_of_a_stack_is_the_users_innermost_frame() -> None:
    assert stack_top(DUMP, ("/opt/mapreduce/", "/usr/lib/python3.11/")) == "hang.py line 6 in map"


def test_without_a_frame_of_the_user_the_innermost_stands() -> None:
    assert stack_top(DUMP, ("/",)) == "socket.py line 706 in readinto"


def test_no_dump_no_stack() -> None:
    assert stack_top("nothing of the kind\n", ()) == ""
