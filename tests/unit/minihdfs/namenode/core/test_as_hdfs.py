"""What unmodified clients rely on: answers that are HDFS's to the letter, and numbers and texts of
clients within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from minihdfs.errors import BY_CODE, BY_JAVA_CLASS, FileNotFound, IsADirectory, PathIsNotAFile
from minihdfs.model import BlockRef, DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core import events as ev
from tests.unit.minihdfs.namenode.core.scene import Scene


def with_datanode() -> Scene:
    scene = Scene()
    reply = scene.step(
        ev.RegisterDatanode(
            None, DatanodeAddress("d1", "h", "n", 1, 2), "", DatanodeUsage(1 << 40, 0, 1 << 40)
        )
    )
    registration = reply.sends[-1].message.registration_id
    scene.step(ev.FullBlockReport(None, "d1", registration, 1, 0, 0, True, ()))
    scene.registration = registration  # type: ignore[attr-defined]
    return scene


def test_opening_a_directory_is_no_such_file_for_java_and_a_directory_for_us() -> None:
    scene = Scene()
    scene.mkdir("/d")
    caller = scene.caller
    for event in (
        ev.GetBlockLocations(caller(), "/d", 0, 1),
        ev.IsFileClosed(caller(), "/d"),
        ev.RecoverLease(caller(), "/d", "w"),
        ev.Complete(caller(), "/d", "w", 0, None),
        ev.AddBlock(caller(), "/d", "w", 0, None),
        ev.Fsync(caller(), "/d", "w", 0, 1),
    ):
        message = scene.step(event).sends[-1].message
        assert (message.error, message.message) == (PathIsNotAFile, "Path is not a file: /d"), event
    assert PathIsNotAFile.java_class == "java.io.FileNotFoundException"
    assert (
        BY_CODE[PathIsNotAFile.code] is IsADirectory
        and BY_JAVA_CLASS[PathIsNotAFile.java_class] is FileNotFound
    )


def test_the_old_rename_below_its_source_says_false() -> None:
    scene = Scene()
    scene.mkdir("/a/b")
    for destination in ("/a/c", "/a/b", "/a/b/c"):
        assert scene.ask(ev.Rename(scene.caller(), "/a", destination)) is False
    assert scene.ask(ev.Rename2(scene.caller(), "/a", "/a/c", False)) == "InvalidArgument"


def test_overwriting_what_is_not_there_without_create_makes_nothing() -> None:
    scene = Scene()
    assert scene.create("/f", overwrite=True, create=False) == "FileNotFound"
    assert scene.create("/f", overwrite=False, create=False) == "InvalidArgument"
    assert scene.ask(ev.GetFileInfo(scene.caller(), "/f")) is None
    assert scene.create("/f").length == 0
    assert scene.create("/f", overwrite=True, create=False).length == 0


def test_an_open_files_length_is_that_of_its_finished_blocks_and_its_last_block_is_listed() -> None:
    scene = with_datanode()
    scene.create("/log")
    caller = scene.caller
    first = scene.ask(ev.AddBlock(caller(), "/log", "w", 0, None)).block
    done = BlockRef(first.id, first.stamp, 100)
    scene.step(ev.BlocksChanged(None, "d1", scene.registration, 1, (done,), ()))  # type: ignore[attr-defined]
    second = scene.ask(ev.AddBlock(caller(), "/log", "w", 0, done)).block
    located = scene.ask(ev.GetBlockLocations(caller(), "/log", 0, 1 << 40))
    assert (located.file_length, [one.block.id for one in located.blocks]) == (100, [first.id])
    assert scene.ask(ev.Fsync(caller(), "/log", "w", 0, 7)) is None
    located = scene.ask(ev.GetBlockLocations(caller(), "/log", 0, 1 << 40))
    assert (
        located.file_length == 100
        and located.under_construction
        and not located.last_block_complete
    )
    assert [(one.block.id, one.offset, one.block.length) for one in located.blocks] == [
        (first.id, 0, 100),
        (second.id, 100, 7),
    ]
    assert located.last_block == located.blocks[-1]
    assert [address.uuid for address in located.blocks[-1].locations] == ["d1"]
    status = scene.ask(ev.GetFileInfo(caller(), "/log"))
    assert status.length == sum(one.block.length for one in located.blocks), (
        "every byte of the length has a block"
    )


def test_a_file_says_that_it_is_replicated() -> None:
    scene = Scene()
    scene.create("/f")
    assert (
        scene.ask(ev.GetContentSummary(scene.caller(), "/f")).erasure_coding_policy == "Replicated"
    )
    assert scene.ask(ev.GetContentSummary(scene.caller(), "/")).erasure_coding_policy == ""


@pytest.mark.parametrize(
    "ms", [0, -1, -86_400_000, 1, 253_402_300_800_000, (1 << 63) - 1, -(1 << 63)]
)
def test_every_time_is_kept_through_journal_and_store(ms: int) -> None:
    scene = Scene()
    scene.create("/f")
    assert scene.ask(ev.SetTimes(scene.caller(), "/f", ms, None)) is None
    assert scene.ask(ev.SetTimes(scene.caller(), "/f", None, ms)) is None
    status = scene.ask(ev.GetFileInfo(scene.caller(), "/f"))
    assert (status.modified_us, status.accessed_us) == (ms * 1000, ms * 1000)


def test_texts_and_lists_of_clients_are_bounded_and_printable() -> None:
    scene = with_datanode()
    scene.mkdir("/d")

    def refused(event: Any, *words: str) -> None:
        said = scene.why(event)
        assert all(word in said for word in words), said

    caller = scene.caller
    refused(
        ev.Create(caller(), "/d/f", "w" * 513, 0o644, False, True, 1, 0),
        "client name",
        "513",
        "512",
    )
    refused(ev.SetOwner(caller(), "/d", "o" * 256, ""), "owner", "256", "255")
    refused(ev.SetOwner(caller(), "/d", "", "g" * 256), "group", "256", "255")
    refused(ev.SetOwner(caller(), "/d", "evil\x1b[2J", ""), "cannot be printed")
    refused(ev.Mkdirs(ev.Caller(None, "u" * 300), "/e", 0o755, True), "user name", "300", "255")
    scene.create("/f")
    block = scene.ask(ev.AddBlock(caller(), "/f", "w", 0, None)).block
    stamp = scene.ask(ev.UpdateBlockForPipeline(caller(), "w", block)).block.stamp
    refused(
        ev.UpdatePipeline(caller(), "w", block, BlockRef(block.id, stamp, 0), ("d",) * 513),
        "513",
        "512",
    )
