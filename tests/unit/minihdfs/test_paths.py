"""Paths: what is one, what is not, and why not."""

from __future__ import annotations

import pytest

from minihdfs import paths
from minihdfs.errors import InvalidPath


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", ()),
        ("/a", ("a",)),
        ("/a/b c/d", ("a", "b c", "d")),
        ("//a///b/", ("a", "b")),
        ("/naïve-日本/\U0001f600", ("naïve-日本", "\U0001f600")),
        ("/quote'\"\n\\*[1]%?#;=+", ("quote'\"\n\\*[1]%?#;=+",)),
        ("/.hidden/..a/...", (".hidden", "..a", "...")),
        ("/" + "x" * 255, ("x" * 255,)),
    ],
)
def test_components(path: str, names: tuple[str, ...]) -> None:
    assert paths.components(path) == names
    assert paths.components(paths.join(*names)) == names


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "must begin with /"),
        ("a/b", "must begin with /"),
        ("/a/./b", "'.' cannot be a name"),
        ("/a/..", "'..' cannot be a name"),
        ("/a:b", "cannot contain ':'"),
        ("/a\0b", "cannot contain"),
        ("/\udcff", "valid Unicode"),
        ("/" + "é" * 128, "256 bytes is longer than 255"),
        ("/" + "/".join(["x" * 250] * 33), "longer than 8000"),
        ("/" + "/".join(["é" * 120] * 34), "longer than 8000"),
        (None, "not an absolute path"),
    ],
)
def test_what_is_no_path(path: str, says: str) -> None:
    with pytest.raises(
        InvalidPath,
        match=".*".join(map(str, [says.replace("'.'", r"'\.'").replace("'..'", r"'\.\.'")])),
    ) as caught:
        paths.components(path)
    assert len(caught.value.message) < 700
    caught.value.message.encode()


def test_parents_and_children() -> None:
    assert [paths.parent(p) for p in ("/", "/a", "/a/b/")] == ["/", "/", "/a"]
    assert [paths.name(p) for p in ("/", "/a", "/a/b/")] == ["", "a", "b"]
    assert paths.child("/", "a") == "/a" and paths.child("/a", "b") == "/a/b"
    assert paths.normal("//a//b/") == "/a/b"
    with pytest.raises(InvalidPath):
        paths.child("/a", "b/c")


def test_is_under_goes_by_component() -> None:
    assert paths.is_under("/a/b", "/a") and paths.is_under("/a", "/a") and paths.is_under("/a", "/")
    assert not paths.is_under("/ab", "/a") and not paths.is_under("/a", "/a/b")
