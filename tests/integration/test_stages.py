"""A plan of four stages with a diamond, on real processes: one stage feeds two, two feed one, and a
worker that held what they made is killed before it was all read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mapreduce.engine.keys import encode
from mapreduce.engine.partition import partition_of
from mapreduce.model import PART, SPLITS, Edge, JobPlan, Stage
from mapreduce.plan.spec import JobSpec, Program
from mapreduce.plan.stages import classic_stages, job_plan
from tests.integration.local_cluster import LocalCluster

CUT = 3
"""Partitions that the left stage reads; the right one reads the two behind them."""
SOURCE = """
import os
import time
from mapreduce import Job

class Words(Job):
    def map(self, line: str):
        for word in line.split():
            yield word, 1

class Left(Words):
    def reduce(self, word, counts):
        yield word[0], sum(counts)

class Right(Words):
    def reduce(self, word, counts):
        while not os.path.exists("GATE"):
            time.sleep(0.01)
        yield word[0], 1000 * sum(counts)

class Join(Words):
    def reduce(self, letter, sums):
        yield letter, sum(sums)
"""
PROGRAMS = [
    Program("map"),
    Program("reduce", "Left"),
    Program("reduce", "Right"),
    Program("reduce", "Join"),
]
TEXT = b"".join(f"{chr(97 + n % 7)}{n} {chr(97 + n % 5)}{n % 9}\n".encode() for n in range(400))


def diamond(spec: JobSpec, user: str) -> JobPlan:
    plan = job_plan(spec, user)
    maps = classic_stages(spec)[0]
    stages = (
        Stage(
            id=0,
            name="map",
            tasks=maps.tasks,
            inputs=(Edge(0, 0, SPLITS),),
            partitions=CUT + 2,
            splits=maps.splits,
        ),
        Stage(id=1, name="left", tasks=CUT, inputs=(Edge(0, 0, PART),), partitions=2),
        Stage(id=2, name="right", tasks=2, inputs=(Edge(0, 0, PART, first=CUT),), partitions=2),
        Stage(
            id=3,
            name="join",
            tasks=2,
            inputs=(Edge(0, 1, PART), Edge(1, 2, PART)),
            commits=(0,),
        ),
    )
    return JobPlan(
        name=plan.name,
        user=user,
        stages=stages,
        outputs=plan.outputs,
        spec=plan.spec,
        limits=plan.limits,
        max_attempts=plan.max_attempts,
    )


def wanted() -> Counter[str]:
    found: Counter[str] = Counter()
    for word in TEXT.decode().split():
        is_left = partition_of(encode(word), CUT + 2) < CUT
        found[word[0]] += 1 if is_left else 1000
    return found


def test_a_diamond_whose_outputs_are_lost_is_made_again_its_inputs_first(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    cluster = LocalCluster(tmp_path, workers=1)
    try:
        victims = {name: cluster.process_worker(name) for name in ("p1", "p2")}
        job_id = cluster.submit(
            SOURCE.replace("GATE", str(gate)),
            TEXT,
            split_bytes=len(TEXT) // 6,
            plan=diamond,
            programs=PROGRAMS,
        )
        cluster.until(job_id, lambda status: status["stages"][1]["done"] == CUT)
        addresses = {row.worker_id: row.address for row in cluster.client.cluster().workers}
        made = [log for log in cluster.client.attempts(job_id, "") if log.state == "SUCCEEDED"]
        held = {
            name: {log.attempt_id.split("_")[3] for log in made if log.worker_address == address}
            for name, address in addresses.items()
        }
        victim = next(name for name in victims if {"s0", "s1"} <= held[name])
        victims[victim].kill()
        victims[victim].wait()
        cluster.until(job_id, lambda status: status["counters"]["job"]["lost_map_outputs"] >= 2)
        gate.touch()
        status = cluster.finish(job_id)
        assert status["state"] == "SUCCEEDED", status
        assert [
            (stage["id"], stage["name"], stage["total"], stage["done"])
            for stage in status["stages"]
        ] == [
            (0, "map", status["maps"]["total"], status["maps"]["total"]),
            (1, "left", CUT, CUT),
            (2, "right", 2, 2),
            (3, "join", 2, 2),
        ]
        assert status["reduces"]["total"] == CUT + 4
        output = Path(status["output"].removeprefix("file://"))
        lines = [
            line.split("\t") for part in sorted(output.glob("part-r-*")) for line in part.open()
        ]
        assert {letter: int(total) for letter, total in lines} == wanted()
    finally:
        cluster.close()
