"""Placement: local first, racks spread, nobody unsuitable, and a reason when there is nobody."""

from __future__ import annotations

import random

from clusterkit.effects import Instant
from minihdfs.model import DatanodeAddress, DatanodeUsage
from minihdfs.namenode.core.blocks.placement import Placement
from minihdfs.namenode.core.datanodes.datanodes import Datanodes
from minihdfs.namenode.core.options import Options

NOW = Instant(10_000_000, 0)
OPTIONS = Options("c1", "root")


def world(racks: str, **usage: DatanodeUsage) -> tuple[Datanodes, Placement]:
    """One datanode per letter: its rack."""
    datanodes = Datanodes(OPTIONS, random.Random(1))
    for number, rack in enumerate(racks):
        name = f"d{number}"
        address = DatanodeAddress(name, f"10.0.0.{number}", f"host{number}", 1, 2, f"/{rack}")
        datanodes.register(address, usage.get(name, DatanodeUsage(1000, 0, 1000)), 1, NOW)
    return datanodes, Placement(datanodes, random.Random(2))


def racks_of(nodes: list) -> list[str]:
    return [node.address.rack for node in nodes]


def test_the_writers_own_datanode_is_first_by_address_or_name() -> None:
    _, placement = world("aabb")
    for host in ("10.0.0.2", "host2"):
        assert placement.choose(3, 10, NOW, host=host)[0].uuid == "d2"


def test_racks_are_one_then_two_of_another() -> None:
    _, placement = world("aaabbbccc")
    for _ in range(50):
        first, second, third = racks_of(placement.choose(3, 10, NOW))
        assert first != second == third


def test_every_datanode_is_used_when_all_are_needed() -> None:
    _, placement = world("aab")
    assert {node.uuid for node in placement.choose(5, 10, NOW)} == {"d0", "d1", "d2"}


def test_who_is_unsuitable_is_never_chosen_and_named() -> None:
    datanodes, placement = world("aaaaa", d1=DatanodeUsage(1000, 995, 5))
    datanodes.by_uuid["d2"].alive = False
    datanodes.by_uuid["d3"].contact_us -= OPTIONS.stale_us + 1
    for _ in range(20):
        assert [node.uuid for node in placement.choose(3, 10, NOW, exclude=("d4",))] == ["d0"]
    assert [node.uuid for node in placement.choose(2, 10, NOW, exclude=("d0", "d4"))] == ["d3"], (
        "a stale one when there is no other"
    )
    assert placement.choose(1, 10, NOW, exclude=("d0", "d3", "d4")) == []
    reasons = placement.explain(10, ("d0", "d3", "d4"))
    assert reasons.startswith("4 of 5 datanodes are live")
    for reason in ("1 dead", "3 excluded by the writer", "1 with less than 10 bytes free"):
        assert reason in reasons
    assert world("")[1].explain(10, ()) == "no datanode has registered"


def test_a_loaded_datanode_only_when_there_is_no_other() -> None:
    _, placement = world("aaaa", d0=DatanodeUsage(1000, 0, 1000, transfers=40))
    for _ in range(20):
        assert "d0" not in {node.uuid for node in placement.choose(3, 10, NOW)}
    assert "d0" in {node.uuid for node in placement.choose(4, 10, NOW)}


def test_chance_spreads_blocks() -> None:
    _, placement = world("aaaa")
    firsts = [placement.choose(1, 10, NOW)[0].uuid for _ in range(400)]
    assert all(60 < firsts.count(f"d{number}") < 140 for number in range(4))


def test_new_replicas_keep_apart_from_those_that_exist() -> None:
    datanodes, placement = world("aabb")
    existing = (datanodes.by_uuid["d0"],)
    for _ in range(20):
        assert racks_of(placement.choose(1, 10, NOW, existing=existing, exclude=("d0",))) == ["/b"]
