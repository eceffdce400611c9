"""Foreign software as fixtures; tests/conftest.py makes them known to every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.equipment import wheels
from tests.equipment.java import java
from tests.equipment.zookeeper import ZooKeeper


@pytest.fixture(scope="session")
def hadoop_jars() -> Path:
    """Java and Hadoop's jars are there; HadoopShell works from now on."""
    try:
        java()
        return wheels.site() / "pyspark/jars"
    except wheels.EquipmentMissing as missing:
        wheels.cannot(str(missing))


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """One real ZooKeeper server for the tests of a module."""
    try:
        running = ZooKeeper.standalone(tmp_path_factory.mktemp("zookeeper")).start()
    except wheels.EquipmentMissing as missing:
        wheels.cannot(str(missing))
    yield running
    running.stop()
