"""What arguments name: this machine's paths, the home's cluster, errors in one line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from clusterkit.errors import Unavailable, UsageError
from minihdfs.errors import FileNotFound, FsError
from mrc.fs.targets import Verb, local_error, local_matches, local_path


def test_local_paths_bare_and_as_uris() -> None:
    assert local_path("a b") == Path("a b")
    for refused in ("hdfs://h:1/x", "", "s3://bucket/x", "file://elsewhere/x"):
        with pytest.raises(UsageError):
            local_path(refused)


@pytest.mark.parametrize(
    "name", ["report#2", "a?b", "100%", "a%20b", "a b", "ü文", "x:y", "file:x", "hdfs:x"]
)
def test_a_uri_means_the_name_that_is_written_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert local_path(f"file://{tmp_path}/{name}") == tmp_path / name, "what is to be written"
    for other in ("report", "a", "a b", name):
        (tmp_path / other).touch()
    assert (
        local_path(f"file://{tmp_path}/{name}")
        == local_path(f"file:{tmp_path}/{name}")
        == tmp_path / name
    )
    monkeypatch.chdir(tmp_path)
    assert local_path(f"./{name}").resolve() == tmp_path / name
    verb = Verb({"home": str(tmp_path), "cluster": None})
    assert verb.target(f"hdfs://h:1/d/{name}").path == f"/d/{name}"


def test_a_uri_of_another_program_is_decoded_when_only_that_exists(tmp_path: Path) -> None:
    (tmp_path / "a b").touch()
    assert local_path((tmp_path / "a b").as_uri()) == tmp_path / "a b"


def test_paths_have_one_spelling_and_a_cluster_one_file_system(tmp_path: Path) -> None:
    verb = Verb({"home": str(tmp_path), "cluster": None})
    one, two, other = (
        verb.target(f"hdfs://{host}//d/./x/../y//")
        for host in ("127.0.0.1:81", "localhost:81", "127.0.0.1:82")
    )
    assert (one.path, one.directory_meant) == ("/d/y", True)
    assert one.fs is two.fs
    assert one.fs is not other.fs


def test_local_patterns_give_way_to_files_of_that_name(tmp_path: Path) -> None:
    for name in ("a*", "ab", "ac"):
        (tmp_path / name).touch()
    assert local_matches(f"{tmp_path}/a*") == [tmp_path / "a*"]
    assert local_matches(f"{tmp_path}/a[bc]") == [tmp_path / "ab", tmp_path / "ac"]
    with pytest.raises(FileNotFound):
        local_matches(f"{tmp_path}/x*")


def test_local_failures_are_one_line() -> None:
    assert (
        local_error(FileNotFoundError(errno.ENOENT, "No such file", "/x")).message
        == "/x: no such file"
    )
    assert isinstance(local_error(OSError(errno.ENOSPC, "No space left on device")), FsError)


def test_a_home_without_a_cluster_says_mrc_up(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        Verb({"home": str(tmp_path), "cluster": None}).target("/x")
    assert caught.value.next_command == "mrc up"


def test_paths_of_the_wrong_side_are_refused(tmp_path: Path) -> None:
    verb = Verb({"home": str(tmp_path), "cluster": None})
    with pytest.raises(UsageError):
        verb.target("file:///etc")
    with pytest.raises(UsageError):
        verb.target("s3://bucket/x")
    assert verb.target("hdfs://h:1/a b").path == "/a b"
    assert verb.target("hdfs://h:1").path == "/"
    assert verb.target("hdfs://h:1/x").shown() == "hdfs://h:1/x"
