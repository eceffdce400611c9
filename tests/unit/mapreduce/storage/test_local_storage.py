"""What is particular to files of this machine: nothing half-written has its name, and systems
without renameat2 do as well."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mapreduce.storage import local
from mapreduce.storage.local import LocalStorage


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    storage = LocalStorage()
    writer = storage.create(str(tmp_path / "file"))
    writer.write(b"half")
    (hidden,) = tmp_path.iterdir()
    assert hidden.name.startswith(".file.")
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_who_is_second_does_not_replace_who_was_first(tmp_path: Path) -> None:
    storage = LocalStorage()
    first, second = (storage.create(str(tmp_path / "file")) for _ in range(2))
    first.write(b"first")
    first.close()
    with pytest.raises(FileExistsError):
        second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"first"


@pytest.mark.parametrize("has_renameat2", [True, False])
def test_publish_with_and_without_renameat2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_renameat2: bool
) -> None:
    if not has_renameat2:
        monkeypatch.setattr(local, "_renameat2", lambda *_arguments: False)
    storage = LocalStorage()
    staging, out = tmp_path / ".out.job_1" / "publish", tmp_path / "out"
    put(staging / "part", b"one")
    storage.publish(str(staging), str(out))
    put(staging / "part", b"two")
    with pytest.raises(FileExistsError):
        storage.publish(str(staging), str(out))
    assert (out / "part").read_bytes() == b"one"
    storage.publish(str(staging), str(out), replaced_file_id=out.stat().st_ino)
    assert (out / "part").read_bytes() == b"two"
    assert list((tmp_path / ".out.job_1").iterdir()) == []


def test_an_empty_directory_in_the_outputs_place_is_not_replaced(tmp_path: Path) -> None:
    put(tmp_path / "staging" / "part", b"one")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        LocalStorage().publish(str(tmp_path / "staging"), str(tmp_path / "out"))


def test_names_that_are_no_text(tmp_path: Path) -> None:
    put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")), b"x")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (info,) = LocalStorage().list(str(tmp_path))
    assert os.fsencode(info.path).endswith(b"/\xff")
    assert LocalStorage().open(info.path).read_at(0, 9) == b"x"
