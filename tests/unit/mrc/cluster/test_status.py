"""What `mrc status` shows."""

from __future__ import annotations

from pathlib import Path

from mrc.cluster.facts import Facts, disks_of
from mrc.cluster.status import as_text


def service(role: str, node_id: str, pid: int, *data_dirs: str) -> dict[str, object]:
    return {
        "role": role,
        "id": node_id,
        "pid": pid,
        "address": "127.0.0.1:1",
        "state": "live",
        "data_dirs": list(data_dirs),
        "log": "",
    }


def test_the_coordinator_is_named() -> None:
    for backend, said in (("embedded", "files of this home"), ("zookeeper", "zookeeper")):
        assert as_text(Facts("/home", backend, [])).splitlines()[0] == (
            f"NOT READY  /home  (coordinator: {said})"
        )


def test_rows_are_columns_whatever_is_in_them() -> None:
    services = [service("worker", "a-very-long-id-of-a-worker", 12), service("namenode", "nn1", 0)]
    first, second = as_text(Facts("/home", "embedded", services)).splitlines()[-2:]
    assert first == "  worker    a-very-long-id-of-a-worker  live  127.0.0.1:1  pid 12"
    assert second == "  namenode  nn1                         live  127.0.0.1:1", (
        "a pid that nobody told is not 0"
    )


def test_a_disk_is_counted_once(tmp_path: Path) -> None:
    one = [service("datanode", "d1", 1, str(tmp_path))]
    several = [
        *one,
        service("datanode", "d2", 2, str(tmp_path)),
        service("worker", "w1", 3, "/"),
        service("datanode", "d3", 4, "/gone"),
    ]
    assert disks_of(several)[0] == disks_of(one)[0] > disks_of(one)[1] > 0
