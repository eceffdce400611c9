"""What our own client sends at once is within what the namenode takes at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from minihdfs.client.filesystem import FileSystem
from minihdfs.namenode.methods import limits
from minihdfs.pb import mrcluster_namenode_pb2 as own


def test_many_renames_are_sent_in_parts_that_the_namenode_takes() -> None:
    sent: list[list[tuple[str, str]]] = []
    fs: Any = object.__new__(FileSystem)
    fs.calls = SimpleNamespace(rename_many=sent.append)
    pairs = [(f"/in/{n}", f"/out/{n}") for n in range(2500)]
    pairs += [(f"/{n}/" + "ä" * 3900, f"/{n}/" + "b" * 3900) for n in range(700)]
    FileSystem.rename_many(fs, pairs)
    assert [pair for part in sent for pair in part] == pairs
    for part in sent:
        request = own.RenameManyRequest()
        for source, destination in part:
            request.pairs.add(source=source, destination=destination)
        data = request.SerializeToString()
        limits.check("renameMany", own.RenameManyRequest.DESCRIPTOR, data)
        assert len(data) < limits.frame_bytes("", "renameMany")
