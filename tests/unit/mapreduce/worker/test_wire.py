"""What a worker says fits into a message, whatever its jobs are like."""

from __future__ import annotations

from clusterkit.rpc import MAX_MESSAGE_BYTES
from mapreduce.api.counters import MAX_NAMES, Counters
from mapreduce.pb import tracker_pb2 as pb
from mapreduce.worker import wire
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev


def test_counters_are_kept_within_what_can_be_sent() -> None:
    many = wire.counters_of(
        {"G" * 1_000: {f"{index:05d}" + "n" * 2_000: 1 << 70 for index in range(9_000)}}
    )
    report = cmd.Report(
        1, tuple(cmd.ProgressReport(f"a{slot}", 0.5, "map", "", many) for slot in range(32))
    )
    assert 50 < len(many) < 9_000
    assert len(wire.report_to_pb(report, "w1", "1").SerializeToString()) < MAX_MESSAGE_BYTES
    assert wire.counters_of({"G": {"n": 1 << 70}}) == (("G", "n", (1 << 63) - 1),)


def test_an_inventory_of_thousands_of_outputs_can_be_sent() -> None:
    output = ev.MapOutput(tuple([70_000] * 1_000), tuple([900] * 1_000))
    items = tuple(
        cmd.InventoryItem(f"attempt_20261122_0001_m_{index:06d}_0", "succeeded", output, ())
        for index in range(3_500)
    )
    hello = wire.hello_to_pb(cmd.Attend(1, 1, items), pb.WorkerHello(worker_id="w1"))
    assert len(hello.SerializeToString()) < MAX_MESSAGE_BYTES // 8
    assert sum(hello.inventory[0].output.segment_bytes) == 70_000_000


def test_the_most_that_a_task_may_count_is_kept_whole_with_the_engines_own() -> None:
    counters = Counters()
    for index in range(MAX_NAMES):
        counters.counter("A group", f"{index:044}").inc((1 << 63) - 1)
    counters.own("map_input_records").inc(12_000)
    kept = wire.counters_of(counters.totals())
    assert len(kept) == MAX_NAMES + 1
    assert ("job", "map_input_records", 12_000) in kept
    flood = {"A": {f"{index:044}": 1 for index in range(50_000)}, "job": {"map_input_records": 1}}
    assert ("job", "map_input_records", 1) in wire.counters_of(flood)
