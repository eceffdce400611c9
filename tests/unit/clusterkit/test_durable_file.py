"""Small files that are replaced: whole, by whoever writes, through nobody's link."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from clusterkit.durable_file import write_durably


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_durably(tmp_path / "f", b"before")

    def full(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("clusterkit.durable_file.os.write", full)
        with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/f'"):
            write_durably(tmp_path / "f", b"after")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"before")]


def test_writers_at_once_each_write_a_whole_file(tmp_path: Path) -> None:
    file, pieces = tmp_path / "f", [bytes([65 + n]) * 100_000 for n in range(8)]
    threads = [threading.Thread(target=write_durably, args=(file, piece)) for piece in pieces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_bytes() in pieces
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
