"""One configuration from file, environment and flags, typed, with every mistake named where it was
made."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clusterkit.config import check_listen_host, load
from clusterkit.errors import UsageError


class Disk(msgspec.Struct, frozen=True):
    reserved_bytes: int = 10
    sync: bool = True


class Config(msgspec.Struct, frozen=True):
    disk: Disk = Disk()


def read(
    tmp_path: Path,
    text: str,
    environment: dict[str, str] | None = None,
    flags: tuple[str, ...] = (),
) -> Config:
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    return load(Config, file=file, environment=environment or {}, flags=flags)[0]


def test_file_then_environment_then_flags(tmp_path: Path) -> None:
    text = "[disk]\nreserved_bytes = 20\n"
    assert read(tmp_path, "").disk.reserved_bytes == 10
    assert read(tmp_path, text).disk.reserved_bytes == 20
    assert read(tmp_path, text, {"MRC_DISK__RESERVED_BYTES": "30"}).disk.reserved_bytes == 30
    assert (
        read(
            tmp_path, text, {"MRC_DISK__RESERVED_BYTES": "30"}, ("disk.reserved_bytes=40",)
        ).disk.reserved_bytes
        == 40
    )


def test_origins_are_remembered(tmp_path: Path) -> None:
    _, origins = load(
        Config, file=None, environment={"MRC_DISK__SYNC": "false"}, flags=("disk.reserved_bytes=1",)
    )
    assert origins == {
        "disk.sync": "environment MRC_DISK__SYNC",
        "disk.reserved_bytes": "--set disk.reserved_bytes",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[dsk]\n", "disk"),
        ("[disk]\nreserved_byte = 1\n", "did you mean `reserved_bytes`"),
        ('[disk]\nreserved_bytes = "many"\n', "disk.reserved_bytes: Expected `int`"),
        ("[disk\n", "cluster.toml"),
        ("reserved_bytes = 1\n", "outside of a section"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text + ("sync = true\n" if text == "[dsk]\n" else ""))
    assert words in caught.value.message


def test_only_loopback_unless_said_in_words() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        check_listen_host(host, "loopback")
    for host in ("0.0.0.0", "10.0.0.1", "example.org", "::"):
        with pytest.raises(UsageError, match="refusing to listen"):
            check_listen_host(host, "loopback")
        check_listen_host(host, "private-network")
    with pytest.raises(UsageError, match="not known"):
        check_listen_host("127.0.0.1", "off")
