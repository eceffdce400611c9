"""The client outlives the tracker: it waits, finds it again, and says the same thing with the same token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.errors import Unavailable
from mapreduce.runners.cluster import upload_once
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

    with TrackerClient(nowhere) as client, pytest.raises(Unavailable, match="no tracker is running"):
        client.status("@")
    with TrackerClient(lambda: "127.0.0.1:1") as client, pytest.raises(Unavailable):
        client.status("@")


def test_a_watch_goes_on_with_the_next_tracker(house: House) -> None:
    away: list[str] = []
    client = TrackerClient(lambda: house.service.address, away=away.append)
    job_id = client.submit(SPEC.to_json(), "ann", "t")
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
    assert client.submit(SPEC.to_json(), "ann", "t") == job_id
    client.close()


def test_code_is_uploaded_once_under_the_name_of_its_contents() -> None:
    storage = MemoryStorage()
    for _ in range(2):
        upload_once(storage, "/.mrc/code/abc.zip", b"code")
    assert [info.path for info in storage.list("/.mrc/code")] == ["/.mrc/code/abc.zip"]
    file_id = storage.list("/.mrc/code")[0].file_id
    upload_once(storage, "/.mrc/code/abc.zip", b"code")
    assert storage.list("/.mrc/code")[0].file_id == file_id
