"""What arguments name: this machine's paths, the home's cluster, errors in one line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from clusterkit.errors import Unavailable, UsageError
from minihdfs.errors import FileNotFound, FsError
from mrc.fs_targets import Verb, local_error, local_matches, local_path


def test_local_paths_bare_and_as_uris() -> None:
    assert local_path("a b") == Path("a b")
    assert local_path("file:///tmp/a%20b") == Path("/tmp/a b")
    with pytest.raises(UsageError):
        local_path("hdfs://h:1/x")


def test_local_patterns_give_way_to_files_of_that_name(tmp_path: Path) -> None:
    for name in ("a*", "ab", "ac"):
        (tmp_path / name).touch()
    assert local_matches(f"{tmp_path}/a*") == [tmp_path / "a*"]
    assert local_matches(f"{tmp_path}/a[bc]") == [tmp_path / "ab", tmp_path / "ac"]
    with pytest.raises(FileNotFound):
        local_matches(f"{tmp_path}/x*")


def test_local_failures_are_one_line() -> None:
    assert local_error(FileNotFoundError(errno.ENOENT, "No such file", "/x")).message == "/x: no such file"
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
