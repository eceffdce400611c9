"""What a coordinator's URL may look like, and what a wrong one is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clusterkit.errors import Unavailable, UsageError
from coordinator.connect import connect


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("", "neither embedded"),
        ("embedded", "neither embedded"),
        ("http://h:1", "neither embedded"),
        ("embedded://h", "is not HOST:PORT"),
        ("embedded://h:0", "is not HOST:PORT"),
        ("embedded://h:65536", "is not HOST:PORT"),
        ("zk://h/x", "is not HOST:PORT"),
        ("zk://h:1,h/x", "is not HOST:PORT"),
        ("zk://user@h:1/x", "before @ stands USER:PASSWORD"),
        ("zk://h:1/a//b", "its path"),
        ("zk://h:1/a/../b", "its path"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        connect(url, "m", 2.0)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(UsageError) as refusal:
        connect("zk://user:swordfish@h/x", "m", 2.0)
    assert "swordfish" not in str(refusal.value)


@pytest.mark.parametrize("patience_s", [0.0, 0.3])
def test_nobody_at_an_embedded_address_is_one_line_with_the_next_command(patience_s: float) -> None:
    with pytest.raises(Unavailable, match=r"no coordinator answers at 127\.0\.0\.1:1") as refusal:
        connect("embedded://127.0.0.1:1", "m", 2.0, patience_s=patience_s)
    assert refusal.value.next_command == "mrc up"


def test_a_machine_without_zookeeper_never_imports_kazoo() -> None:
    program = (
        "import sys\nfrom coordinator.connect import connect\n"
        "try: connect('embedded://127.0.0.1:1', 'm', 2.0, patience_s=0)\nexcept Exception: pass\n"
        "print([name for name in sys.modules if name.startswith('kazoo')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "url",
    [
        "zk://10.0.0.9:2181/mrc",
        "zk://127.0.0.1:1,zk.example:2181/mrc",
        "zk://[2001:db8::1]:2181/mrc",
    ],
)
def test_a_zookeeper_beyond_this_machine_needs_a_password(url: str) -> None:
    """What is made there without one may be changed by anybody: who leads, and which epoch is
    next."""
    with pytest.raises(UsageError, match="without USER:PASSWORD") as refusal:
        connect(url, "m", 2.0)
    assert "security.mode" in str(refusal.value.next_command)


def test_a_private_network_is_said_in_words() -> None:
    for url, mode in (
        ("zk://127.0.0.1:1,localhost:1/mrc", "loopback"),
        ("zk://127.0.0.1:1,nowhere.invalid:1/mrc", "private-network"),
    ):
        with pytest.raises(Unavailable, match="no ZooKeeper answers"):  # and not: refused
            connect(url, "m", 2.0, patience_s=0.1, security_mode=mode)
