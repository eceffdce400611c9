"""`mrc namenode adopt`, `mrc tracker adopt`: needed, said and accepted, or refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterkit.homes import ServiceHome
from clusterkit.service import DataDirectory
from coordinator.api import Candidate
from coordinator.connect import connect
from mrc.main import run

Said = Callable[..., tuple[int, str]]


class Cluster:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.session = connect(f"home://{home}", "test", 5.0)

    def led(self, role: str, cluster_id: str = "c0ffee") -> Path:
        """A directory that led once, and then a copy of it."""
        original, copy = self.home / "data" / f"{role}-x1", self.home / "restored"
        directory = DataDirectory.open(original, role, "x1")
        directory.adopt(cluster_id)
        self.session.config.set("cluster_id", cluster_id.encode())
        directory.saw_epoch(role, 1)
        ServiceHome(role, directory, self.session.config, what="", adopting="").take(1)
        directory.close()
        shutil.copytree(original, copy)
        return copy

    def may_start(self, role: str, path: Path) -> None:
        directory = DataDirectory.open(path, role, "x1")
        try:
            ServiceHome(role, directory, self.session.config, what="", adopting="").check()
        finally:
            directory.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.session.close()


@pytest.fixture
def said(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> Said:
    def say(*words: str) -> tuple[int, str]:
        code = run(["--home", str(cluster.home), *words])
        return code, capsys.readouterr().err

    return say


@pytest.mark.parametrize(
    ("role", "flag"), [("namenode", "--accept-lost-edits"), ("tracker", "--accept-lost-jobs")]
)
def test_a_copy_becomes_the_home_once_the_loss_is_accepted(
    cluster: Cluster, said: Said, role: str, flag: str
) -> None:
    copy = cluster.led(role)
    code, words = said(role, "adopt", str(copy))
    assert code == 2 and "was last led from" in words and f"{role} adopt {copy} {flag}" in words
    assert said(role, "adopt", str(copy), flag)[0] == 0
    cluster.may_start(role, copy)
    code, words = said(role, "adopt", str(copy), flag)
    assert code == 1 and "nothing to adopt" in words


def test_what_is_no_directory_of_the_role_is_refused(
    cluster: Cluster, said: Said, tmp_path: Path
) -> None:
    copy = cluster.led("tracker")
    for path in (str(copy), str(tmp_path / "nowhere")):
        code, words = said("namenode", "adopt", path, "--accept-lost-edits")
        assert code == 2 and "is no namenode's data directory" in words
    assert not (tmp_path / "nowhere").exists()


def test_while_somebody_leads_nothing_is_adopted(cluster: Cluster, said: Said) -> None:
    copy = cluster.led("namenode")
    cluster.session.election.campaign("namenode", Candidate("nn1", "nn1:1"), on_lost=lambda: None)
    code, words = said("namenode", "adopt", str(copy), "--accept-lost-edits")
    assert code == 1 and "namenode nn1 leads" in words


def test_a_directory_of_another_cluster_is_not_adopted(cluster: Cluster, said: Said) -> None:
    copy = cluster.led("namenode")
    cluster.session.config.set("cluster_id", b"another")
    code, words = said("namenode", "adopt", str(copy), "--accept-lost-edits")
    assert code == 1 and "belongs to cluster c0ffee" in words
