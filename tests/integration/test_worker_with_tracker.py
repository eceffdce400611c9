"""Workers under the real tracker, on local files: whatever dies in the middle, the output is what
it would have been."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path

from mapreduce.engine.map_output import DATA_NAME
from mapreduce.jobtracker.core.options import Options
from mapreduce.worker import process_control
from tests.integration.local_cluster import LocalCluster, local_cluster
from tests.integration.scripted_tracker import WORDS, wait_until

SLOW = WORDS.replace("from mapreduce", "import time\nfrom mapreduce").replace(
    "for word", "time.sleep(0.004)\n        for word"
)
QUICK = Options(dead_after_us=1_500_000, detached_after_us=500_000, readopt_grace_us=1_000_000)


def corpus(lines: int) -> tuple[bytes, bytes]:
    """A text, and what one reduce makes of it."""
    rng = random.Random(7)
    text = [" ".join(rng.choices([f"w{i}" for i in range(500)], k=6)) for _ in range(lines)]
    counts = Counter(word for line in text for word in line.split())
    return ("\n".join(text) + "\n").encode(), b"".join(
        f"{word}\t{counts[word]}\n".encode() for word in sorted(counts)
    )


def start_slow(c: LocalCluster, **fields: object) -> tuple[str, bytes]:
    text, result = corpus(1_500)
    job_id = c.submit(SLOW, text, split_bytes=2_000, reducers=1, has_combine=True, **fields)
    c.until(job_id, lambda status: 2 <= status["maps"]["done"] <= status["maps"]["total"] - 5)
    return job_id, result


def lost(status: dict) -> int:  # type: ignore[type-arg]
    stages = [
        status[stage][kind]
        for stage in ("maps", "reduces")
        for kind in ("failed_attempts", "killed_attempts")
    ]
    return sum(stages) + int(status["counters"]["job"].get("lost_map_outputs", 0))


def test_a_job_of_many_maps(tmp_path: Path) -> None:
    text, result = corpus(3_000)
    with local_cluster(tmp_path, 3) as c:
        status = c.finish(c.submit(WORDS, text, split_bytes=5_000, reducers=1, has_combine=True))
        assert status["state"] == "SUCCEEDED" and lost(status) == 0
        assert status["counters"]["job"]["map_input_records"] == 3_000
        assert c.output() == result


def test_many_small_jobs_one_after_the_other(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 2) as c:
        for _ in range(20):
            assert c.finish(c.submit(WORDS, b"a b a\n", has_combine=True))["state"] == "SUCCEEDED"
            assert c.output() == b"a\t2\nb\t1\n"


def test_tasks_killed_in_the_middle_are_run_again(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 2) as c:
        job_id, result = start_slow(c)
        for worker in c.workers:
            for pid in process_control.children(worker.task_server_pid):
                process_control.kill(pid)
        status = c.finish(job_id)
        assert status["state"] == "SUCCEEDED" and lost(status) > 0
        assert c.output() == result


def test_warm_servers_killed_in_the_middle_are_made_again(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 2) as c:
        job_id, result = start_slow(c)
        for worker in c.workers:
            process_control.kill(worker.task_server_pid)
        status = c.finish(job_id)
        assert status["state"] == "SUCCEEDED"
        assert status["maps"]["failed_attempts"] == 0, "no job's fault"
        assert c.output() == result


def test_a_worker_killed_with_finished_outputs_costs_their_maps_only(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 1, QUICK) as c:
        victim = c.process_worker("w9")
        job_id, result = start_slow(c)
        victim.kill()
        status = c.finish(job_id)
        assert status["state"] == "SUCCEEDED" and lost(status) > 0
        assert c.output() == result


def test_a_worker_that_was_stopped_for_a_while_comes_back(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 1, QUICK) as c:
        sleeper = c.process_worker("w9")
        job_id, result = start_slow(c)
        sleeper.send_signal(signal.SIGSTOP)
        c.until(
            job_id, lambda _status: any(row.state == "dead" for row in c.client.cluster().workers)
        )
        sleeper.send_signal(signal.SIGCONT)
        assert c.finish(job_id)["state"] == "SUCCEEDED"
        assert c.output() == result
        wait_until(lambda: [row.state for row in c.client.cluster().workers] == ["live", "live"])


def test_a_tracker_that_restarts_adopts_what_runs(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 2, QUICK) as c:
        job_id, result = start_slow(c)
        done = c.client.status(job_id)["maps"]["done"]
        c.restart_tracker()
        status = c.finish(job_id)
        assert status["state"] == "SUCCEEDED" and status["maps"]["done"] >= done
        assert status["maps"]["failed_attempts"] == 0
        assert c.output() == result


def test_a_corrupt_map_output_is_made_again(tmp_path: Path) -> None:
    go = tmp_path / "go"
    wait = (
        f"while line == 'wait' and not os.path.exists({str(go)!r}):\n            "
        "time.sleep(0.01)\n        "
    )
    source = "import os, time\n" + WORDS.replace("for word", wait + "for word")
    with local_cluster(tmp_path, 1) as c:
        job_id = c.submit(source, b"a b\na b\nwait\n", split_bytes=4, reducers=1)
        c.until(job_id, lambda status: status["maps"]["done"] == 2)
        data_path = min((tmp_path / "worker-0/map_outputs" / job_id).iterdir()) / DATA_NAME
        data = bytearray(data_path.read_bytes())
        data[-1] ^= 0x40
        data_path.write_bytes(data)
        go.touch()
        status = c.finish(job_id)
        assert status["state"] == "SUCCEEDED" and status["counters"]["job"]["lost_map_outputs"] == 1
        assert c.output() == b"a\t2\nb\t2\nwait\t1\n"


def test_what_a_task_raises_is_the_jobs_failure(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 2) as c:
        status = c.finish(
            c.submit(WORDS.replace("yield word, 1", "yield int(word), 1"), b"12 not-a-number\n")
        )
        assert status["state"] == "FAILED"
        assert status["maps"]["failed_attempts"] == 4
        assert "not-a-number" in status["error"]
        assert not (tmp_path / "out-1").exists()


def test_a_killed_jobs_tasks_end(tmp_path: Path) -> None:
    with local_cluster(tmp_path, 1) as c:
        job_id = c.submit(SLOW.replace("0.004", "1000"), b"a\n")
        server = c.workers[0].task_server_pid
        wait_until(lambda: process_control.children(server))
        c.client.kill(job_id, "enough")
        assert c.finish(job_id)["state"] == "KILLED"
        wait_until(lambda: process_control.children(server) == [])
        os.kill(server, 0)
