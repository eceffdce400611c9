"""How files arrive on this machine: whole, under their own name, and through nobody's link."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from clusterkit.errors import ClusterError
from minihdfs.errors import AccessDenied, FileAlreadyExists, FsError
from mrc.fs.arrival import Directory, Fill, followed
from mrc.fs.temporary import temporary_name

NAMES = ["a", "n" * 246, "n" * 255, "é" * 127, "文" * 85, "a._COPYING_", os.fsdecode(b"\xff" * 255)]


def holding(data: bytes) -> Fill:
    def fill(fd: int) -> None:
        os.write(fd, data)

    return fill


def take(directory: Path, name: str, fill: Fill, *, overwrite: bool = False) -> None:
    with Directory.opened(directory) as place:
        place.take(name, fill, overwrite=overwrite, by_force="mrc fs get -f")


@pytest.mark.parametrize("name", NAMES)
def test_a_temporary_is_its_own_fits_and_is_hidden(tmp_path: Path, name: str) -> None:
    made = {temporary_name(name) for _ in range(100)}
    assert len(made) == 100
    assert all(len(one.encode()) <= 255 and one.startswith(".") for one in made)
    take(tmp_path, name, holding(b"x"))
    assert (tmp_path / name).read_bytes() == b"x"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"before")

    def full(fd: int) -> None:
        os.write(fd, b"half")
        raise OSError(28, "No space left on device")

    for overwrite in (False, True):
        with pytest.raises((OSError, ClusterError)):
            take(tmp_path, "f", full, overwrite=overwrite)
    with pytest.raises(OSError, match="No space left") as caught:
        take(tmp_path, "g", full)
    assert caught.value.filename == str(tmp_path / "g"), "a full disk has a path"
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"before")]


def test_what_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def somebody_else(fd: int) -> None:
        (tmp_path / "f").write_bytes(b"theirs")

    with pytest.raises(FileAlreadyExists):
        take(tmp_path, "f", somebody_else)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"theirs")]


def test_replacing_keeps_the_mode(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"secret")
    (tmp_path / "f").chmod(0o600)
    modes: list[int] = []

    def look(fd: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))

    take(tmp_path, "f", look, overwrite=True)
    assert (modes, stat.S_IMODE((tmp_path / "f").stat().st_mode)) == ([0o600], 0o600)


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_written_through_a_link_that_stands_in_the_destination(
    tmp_path: Path, overwrite: bool
) -> None:
    victim, shared = tmp_path / "victim", tmp_path / "shared"
    victim.mkdir()
    (victim / "f").write_bytes(b"mine")
    shared.mkdir()
    (shared / "f").symlink_to(victim / "f")
    (shared / "new").symlink_to(victim / "new")
    (shared / "d").symlink_to(victim)
    for name in ("f", "new"):
        with pytest.raises(AccessDenied):
            take(shared, name, holding(b"x"), overwrite=overwrite)
    with Directory.opened(shared) as place, pytest.raises(AccessDenied), place.below("d"):
        pass
    assert [(p.name, p.read_bytes()) for p in victim.iterdir()] == [("f", b"mine")]


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "/etc/x", "a/b"])
def test_a_servers_names_stay_in_the_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(FsError):
        take(tmp_path / "d", name, holding(b"x"), overwrite=True)
    with Directory.opened(tmp_path / "d") as place, pytest.raises(FsError), place.below(name):
        pass
    assert [p.name for p in tmp_path.rglob("*")] == ["d"]


def test_a_link_that_the_user_named_is_followed_and_a_strangers_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("other")
    (tmp_path / "other").symlink_to(tmp_path / "real" / "f")
    assert followed(tmp_path / "link") == tmp_path / "real" / "f"
    assert followed(tmp_path / "plain") == tmp_path / "plain"
    if os.geteuid() == 0:
        os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
        with pytest.raises(AccessDenied):
            followed(tmp_path / "link")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FsError):
        followed(tmp_path / "loop")
