"""The client outlives the tracker: it waits, finds it again, and says the same thing with the same
token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit.errors import Unavailable
from mapreduce.errors import JobRefused
from mapreduce.model import JobPlan
from mapreduce.plan.describe import describe
from mapreduce.plan.stages import job_plan
from mapreduce.runners.api import Submission
from mapreduce.runners.cluster import ClusterRunner
from mapreduce.runners.tracker_client import TrackerClient
from mapreduce.storage.memory import MemoryStorage
from tests.unit.mapreduce.jobtracker.fakes import SPEC, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.stop()


def test_the_first_contact_fails_at_once_when_nobody_is_there() -> None:
    def nowhere() -> str:
        raise Unavailable("no tracker is running in /home", next_command="mrc up")

    with (
        TrackerClient(nowhere) as client,
        pytest.raises(Unavailable, match="no tracker is running"),
    ):
        client.status("@")
    with TrackerClient(lambda: "127.0.0.1:1") as client, pytest.raises(Unavailable):
        client.status("@")


def test_a_watch_goes_on_with_the_next_tracker(house: House) -> None:
    away: list[str] = []
    client = TrackerClient(lambda: house.service.address, away=away.append)
    job_id = client.submit(job_plan(SPEC, "ann"), "t")
    seen = client.watch(job_id, 0.02)
    assert next(seen)["state"] == "WAITING"
    house.channel.close()
    house.service.stop()
    restarted = threading.Thread(target=house.start)
    restarted.start()
    states = []
    for status in seen:
        states.append(status["state"])
        if len(states) == 1:
            restarted.join()
            house.worker()
    assert (states[0], states[-1]) == ("WAITING", "SUCCEEDED")
    assert len(away) == 1
    assert client.submit(job_plan(SPEC, "ann"), "t") == job_id
    client.close()


class Refusing:
    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def submit(self, _plan: JobPlan, token: str) -> str:
        if self.error is not None:
            raise self.error
        return f"job_of_{token}"


def submitted(tmp_path: Path, storage: MemoryStorage, error: Exception | None) -> str:
    (tmp_path / "job.py").write_text(
        "from mapreduce import Job\nclass A(Job):\n    def map(self, line):\n        yield line, "
        "1\n"
    )
    storage.put("/in", b"a\n", overwrite=True)
    runner: Any = ClusterRunner(storage, Refusing(error), "ann")  # type: ignore[arg-type]
    job_id: str = runner.submit(describe(str(tmp_path / "job.py")), Submission(["/in"], "/out"))
    return job_id


def test_a_jobs_code_is_its_own_and_goes_when_the_job_is_refused(tmp_path: Path) -> None:
    """Only when it surely has no job: an answer that was lost may have been yes."""
    storage = MemoryStorage()
    jobs = [submitted(tmp_path, storage, None) for _ in range(2)]
    assert sorted(info.path for info in storage.list("/user/ann/.mrc")) == sorted(
        f"/user/ann/.mrc/{job[7:]}.zip" for job in jobs
    )
    with pytest.raises(JobRefused):
        submitted(tmp_path, storage, JobRefused("no"))
    assert len(storage.list("/user/ann/.mrc")) == 2
    with pytest.raises(Unavailable):
        submitted(tmp_path, storage, Unavailable("away"))
    assert len(storage.list("/user/ann/.mrc")) == 3
