"""Deleting: what the root says, and who may delete a tree."""

from __future__ import annotations

import pytest

from minihdfs.namenode.core import events as ev
from tests.unit.minihdfs.namenode.core.scene import Scene


def test_a_root_with_something_in_it_is_not_empty_and_an_empty_one_is_never_removed() -> None:
    scene = Scene()
    assert scene.delete("/", recursive=False) is False
    scene.mkdir("/d")
    assert scene.delete("/", recursive=False) == "DirectoryNotEmpty"
    assert scene.delete("/", recursive=True) is False
    assert scene.names("/") == ["d"]


def owned_tree(scene: Scene) -> None:
    scene.mkdir("/home", mode=0o777)
    scene.mkdir("/home/ann", "ann")
    scene.mkdir("/home/ann/deep/deeper", "ann")


def test_every_directory_below_is_asked() -> None:
    """As HDFS does: rwx on each that holds something."""
    scene = Scene()
    owned_tree(scene)
    scene.mkdir("/home/ann/deep/deeper/of-bob", "root")
    scene.ask(ev.SetOwner(scene.caller(), "/home/ann/deep/deeper/of-bob", "bob", "bob"))
    assert scene.delete("/home/ann", "ann") is True, (
        "an empty directory of somebody else's is no obstacle"
    )
    owned_tree(scene)
    scene.mkdir("/home/ann/deep/deeper/of-bob/kept", "root")
    scene.ask(ev.SetOwner(scene.caller(), "/home/ann/deep/deeper/of-bob", "bob", "bob"))
    said = scene.why(ev.Delete(scene.caller("ann"), "/home/ann", True))
    assert "/home/ann/deep/deeper/of-bob" in said and "bob" in said
    assert scene.delete("/home/ann", "root") is True


def test_a_directory_of_ones_own_that_one_may_not_read_is_asked_too() -> None:
    scene = Scene()
    owned_tree(scene)
    scene.ask(ev.SetPermission(scene.caller("ann"), "/home/ann/deep", 0o300))
    assert scene.delete("/home/ann", "ann") == "AccessDenied"


def test_in_a_sticky_directory_below_only_what_is_ones_own_goes() -> None:
    scene = Scene()
    owned_tree(scene)
    scene.mkdir("/home/ann/tmp")
    scene.ask(ev.SetPermission(scene.caller(), "/home/ann/tmp", 0o1777))
    assert not isinstance(scene.create("/home/ann/tmp/f", "ann"), str)
    assert not isinstance(scene.create("/home/ann/tmp/g", "bob"), str)
    assert scene.delete("/home/ann", "ann") == "AccessDenied"
    assert scene.delete("/home/ann/tmp/g", "bob") is True
    assert scene.delete("/home/ann", "ann") is True


def test_many_files_in_one_directory_are_no_obstacle_many_directories_are_refused() -> None:
    scene = Scene(step_records=20, listing_page=5)
    owned_tree(scene)
    for number in range(50):
        scene.create(f"/home/ann/deep/deeper/f{number}", "ann")
    assert scene.delete("/home/ann", "ann") is True
    owned_tree(scene)
    for number in range(25):
        scene.mkdir(f"/home/ann/deep/d{number}", "ann")
    assert "more than 20" in scene.why(ev.Delete(scene.caller("ann"), "/home/ann", True))
    assert scene.delete("/home/ann", "root") is True


def test_publishing_over_a_tree_deletes_it_and_is_asked_the_same() -> None:
    scene = Scene()
    scene.mkdir("/jobs", mode=0o777)
    scene.mkdir("/jobs/old/of-bob/kept", "root")
    scene.ask(ev.SetOwner(scene.caller(), "/jobs/old", "ann", "ann"))
    scene.mkdir("/jobs/staging", "ann")
    old = scene.ask(ev.GetFileInfo(scene.caller(), "/jobs/old")).inode_id
    assert (
        scene.ask(ev.Publish(scene.caller("ann"), "/jobs/staging", "/jobs/old", old, 0))
        == "AccessDenied"
    )


@pytest.mark.parametrize(
    "path", ["/.reserved", "/.reserved/x", "/a/.snapshot", "/.snapshot", "/a/.snapshot/b"]
)
def test_reserved_names_are_made_by_nobody(path: str) -> None:
    scene = Scene()
    scene.mkdir("/a")
    scene.mkdir("/s")
    assert scene.ask(ev.Mkdirs(scene.caller(), path, 0o755, True)) == "InvalidPath"
    assert scene.create(path) == "InvalidPath"
    assert scene.ask(ev.Rename2(scene.caller(), "/a", path, False)) == "InvalidPath"
    assert scene.ask(ev.Rename2(scene.caller(), "/a", path, True)) == "InvalidPath"
    assert scene.ask(ev.Rename(scene.caller(), "/s", path)) == "InvalidPath"
    assert scene.ask(ev.RenameMany(scene.caller(), (("/s", path),))) == "InvalidPath"
    assert scene.ask(ev.Publish(scene.caller(), "/s", path, 0, 0)) == "InvalidPath"
    assert scene.ask(ev.GetFileInfo(scene.caller(), path)) is None


def test_the_systems_own_directory_is_there_hidden_closed_and_stays() -> None:
    scene = Scene(listing_page=1)
    status = scene.ask(ev.GetFileInfo(scene.caller(), "/.system"))
    assert (status.permission, status.owner) == (0o700, "root")
    assert scene.names("/") == [] and scene.ask(ev.GetFileInfo(scene.caller(), "/")).children == 0
    for name in ("a", "b", "c"):
        scene.mkdir(f"/{name}")
    seen, page = [], None
    while page is None or page.remaining:
        after = seen[-1] if seen else b""
        page = scene.ask(ev.GetListing(scene.caller(), "/", after))
        seen += [entry.name for entry in page.entries]
    assert seen == [b"a", b"b", b"c"]
    assert scene.ask(ev.GetListing(scene.caller("ann"), "/.system")) == "AccessDenied"
    assert scene.ask(ev.Mkdirs(scene.caller("ann"), "/.system/x", 0o755, True)) == "AccessDenied"
    assert scene.delete("/.system") == "AccessDenied"
    assert scene.ask(ev.Rename2(scene.caller(), "/.system", "/b", False)) == "AccessDenied"
    assert scene.ask(ev.Rename2(scene.caller(), "/a", "/.system", True)) == "AccessDenied"
    assert scene.ask(ev.Publish(scene.caller(), "/.system", "/y", 0, 0)) == "AccessDenied"
    summary = (
        scene.core.step(ev.GetContentSummary(scene.caller(), "/"), scene.core.state.now)
        .sends[0]
        .message.value
    )
    assert summary.directories == 4
