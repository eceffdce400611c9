"""Every mistake a user can make gets one clear line (the thing, the cause, the next command), its
exit code, and nothing is lost."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.whole_cluster import WholeCluster, whole_cluster

HEAD = "from mapreduce import Job\n\n\nclass W(Job):\n"
REDUCE = "    def reduce(self, k, vs):\n        yield k, sum(vs)\n"


def job(*body: str, settings: str = "") -> str:
    lines = "".join(f"        {line}\n" for line in body)
    return (
        f"{HEAD}{settings}    def map(self, line: str):\n{lines}        yield line, 1\n\n{REDUCE}"
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeCluster]:
    with whole_cluster(tmp_path_factory.mktemp("bad"), size=2) as made:
        made.mrc("fs", "put", "-", "/in", text=b"not-a-number\n" * 3)
        made.mrc("fs", "mkdir", "-p", "/dirs/below", "/empty")
        made.mrc("fs", "put", "-", "/dirs/below/x", text=b"x\n")
        made.mrc("fs", "put", "-", "/latin1", text=b"fine\ncaf\xe9\n")
        made.write("ok.py", job())
        made.mrc("submit", "ok.py", "/in", "/taken")
        yield made


@pytest.fixture(autouse=True)
def unharmed(cluster: WholeCluster) -> Iterator[None]:
    """Whatever was tried, the cluster is well afterwards."""
    yield
    assert cluster.status()["ready"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("/in", "/taken"), 1, ("/taken already exists", "--overwrite")),
        (("/nowhere", "/out"), 1, ("/nowhere does not exist", "try: mrc fs ls /")),
        (("/empty", "/out"), 1, ("/empty holds no files",)),
        (("/dirs", "/out"), 1, ("/dirs holds only directories: below", "--recursive")),
        (("/in",), 2, ("needs an input and an output",)),
        (("--no-such-option", "1", "/in", "/out"), 2, ("--no-such-option",)),
        (("/in", "/a:b"), 1, (":",)),
    ],
)
def test_paths_and_options(
    cluster: WholeCluster, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    done = cluster.mrc("submit", "ok.py", *arguments, rc=None)
    assert done.returncode in (code, 2), done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert done.stdout == ""
    assert cluster.mrc("fs", "ls", "/out", rc=1).stdout == ""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def broken(:\n", ("bad.py", "line 1", "SyntaxError")),
        ("x = 1\n", ("bad.py", "no Job")),
        (job() + job().replace(HEAD, "\n\nclass V(Job):\n"), ("2 Jobs", "W and V")),
        ("import no_such_module\n" + job(), ("no_such_module", "bad.py", "line 1")),
        (
            job("int(line)"),
            (
                "ValueError: invalid literal",
                "bad.py",
                "line 6",
                "record: /in offset 0 not-a-number",
            ),
        ),
        (job("import os", "os._exit(3)"), ("exited with status 3",)),
        (job("import ctypes", "ctypes.string_at(0)"), ("killed by SIGSEGV",)),
        (job("line = {}"), ("dict", "key")),
        (
            job("while True: pass", settings="    no_progress_limit_s = 1\n    max_attempts = 1\n"),
            ("no progress for 1 s", "line 8"),
        ),
        (
            job(
                "hoard = []",
                "while True: hoard.append(bytes(1 << 24))",
                settings="    memory_limit_bytes = 150 << 20\n    max_attempts = 1\n",
            ),
            ("MiB of memory", "limit 150 MiB"),
        ),
    ],
    ids=[
        "syntax",
        "no job",
        "two jobs",
        "import",
        "raises",
        "exits",
        "segfault",
        "key",
        "hangs",
        "memory",
    ],
)
def test_jobs(cluster: WholeCluster, source: str, words: tuple[str, ...]) -> None:
    cluster.write("bad.py", source)
    done = cluster.mrc("submit", "bad.py", "/in", "/out", rc=None)
    assert done.returncode in (1, 2)
    assert all(word in done.stderr for word in words), done.stderr
    assert "/mapreduce/" not in done.stderr.replace("from mapreduce", "")
    assert cluster.mrc("fs", "ls", "/out", rc=1).stdout == ""


def test_text_that_is_not_utf8(cluster: WholeCluster) -> None:
    done = cluster.mrc("submit", "ok.py", "/latin1", "/out", rc=1)
    assert "/latin1 offset 5" in done.stderr
    assert "not valid UTF-8" in done.stderr
    cluster.write("replacing.py", job(settings='    encoding_errors = "replace"\n'))
    cluster.mrc("submit", "replacing.py", "/latin1", "/replaced")
    assert sorted(cluster.output("/replaced").decode().splitlines()) == ["caf\ufffd\t1", "fine\t1"]


def test_odd_names_and_sizes_are_no_mistakes(cluster: WholeCluster) -> None:
    names = ["a b", "quote'\"s", "two\nlines", "naïve-日本", "-dash", "*star[1]", "%41"]
    for name in names:
        cluster.write(f"odd/{name}", name)
    cluster.write("odd/zero", b"")
    cluster.mrc("fs", "put", "odd", "/odd")
    cluster.mrc("fs", "get", "/odd", "back")
    assert {p.name: p.read_text() for p in (cluster.directory / "back").iterdir()} == {
        name: name for name in names
    } | {"zero": ""}
    cluster.mrc("submit", "ok.py", "/odd", "/odd-out")
    assert len(cluster.output("/odd-out").splitlines()) == 8, (
        "one line each, and two of the name that has a newline"
    )


@pytest.mark.parametrize("library", ["rich", "msgspec", "grpc", "crc32c", "numpy"])
def test_modules_called_like_libraries_are_no_mistakes(cluster: WholeCluster, library: str) -> None:
    source = job("self.counter('seen').inc()", "line = ONE + line", settings="    reducers = 1\n")
    cluster.write(f"libraries/of/{library}.py", "ONE = 'one '\n" + source)
    cluster.write(f"libraries/beside/{library}.py", "ONE = 'one '\n")
    cluster.write(f"libraries/beside/uses_{library}.py", f"from {library} import ONE\n" + source)
    for file in (f"of/{library}.py", f"beside/uses_{library}.py"):
        output = f"/libraries-{file.replace('/', '-')}"
        cluster.mrc("submit", f"libraries/{file}", "/in", output)
        assert cluster.output(output) == b"one not-a-number\t3\n"


def test_a_second_user_submits_and_owns_what_comes_of_it(
    cluster: WholeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.mrc("fs", "mkdir", "-p", "/user/alice")
    cluster.mrc("fs", "chown", "alice", "/user/alice")
    monkeypatch.setitem(cluster.environment, "HADOOP_USER_NAME", "alice")
    cluster.mrc("fs", "put", "-", "/user/alice/in", text=b"hers\n")
    cluster.mrc("fs", "chmod", "600", "/user/alice/in")
    cluster.mrc("submit", "ok.py", "/user/alice/in", "/user/alice/out")
    assert cluster.output("/user/alice/out") == b"hers\t1\n"
    files = ("", "/_SUCCESS", "/part-r-00000")
    owners = {cluster.mrc("fs", "stat", "%u", f"/user/alice/out{file}").stdout for file in files}
    assert owners == {"alice\n"}
    before = len(cluster.mrc("jobs").stdout.splitlines())
    refused = cluster.mrc("submit", "ok.py", "/in", "/not-hers", rc=77)
    assert "you may not write in" in refused.stderr
    assert len(cluster.mrc("jobs").stdout.splitlines()) == before, "before any job began"


def test_a_line_longer_than_a_block(cluster: WholeCluster, tmp_path: Path) -> None:
    with whole_cluster(tmp_path, size=1) as small:
        small.mrc("down")
        small.home.config_file.write_text(
            small.home.config_file.read_text().replace(
                "[namenode]", "[namenode]\nblock_bytes = 1048576"
            )
        )
        small.up(1)
        line = b"x" * 5_000_000
        small.mrc("fs", "put", "-", "/long", text=line + b"\nshort\n" + line)
        small.write(
            "lengths.py",
            job()
            .replace("line: str", "line: bytes")
            .replace("yield line, 1", "yield len(line), 1"),
        )
        small.mrc("submit", "--split-bytes", 300_000, "lengths.py", "/long", "/lengths")
        assert sorted(small.output("/lengths").split()) == sorted(b"5 1 5000000 2".split())


def test_no_cluster(tmp_path: Path, cluster: WholeCluster) -> None:
    for command in (("fs", "ls", "/"), ("status",), ("jobs",), ("submit", "ok.py", "/in", "/out")):
        done = cluster.mrc("--home", tmp_path / "nothing", *command, rc=69)
        assert f"try: mrc --home {tmp_path / 'nothing'} up" in done.stderr
        assert done.stdout == ""


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = WholeCluster(tmp_path)
        try:
            done = cluster.mrc("up", "-n", 1, "--set", f"namenode.port={port}", rc=1)
            assert f"{port}" in done.stderr
            assert "in use" in done.stderr
        finally:
            cluster.mrc("down")


def test_a_datanode_of_another_cluster_is_refused(tmp_path: Path, cluster: WholeCluster) -> None:
    with whole_cluster(tmp_path, size=1) as other:
        other.mrc("down")
        shutil.rmtree(other.home.data("datanode", "d1"))
        stranger = cluster.home.data("datanode", "d1")
        shutil.copytree(
            stranger, other.home.data("datanode", "d1"), ignore=shutil.ignore_patterns("*.sock")
        )
        done = other.mrc("up", rc=1)
        assert "datanode d1 ended" in done.stderr
        assert "belongs to cluster" in done.stderr


def test_a_damaged_journal_is_refused_and_a_torn_one_is_not(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, size=1) as cluster:
        for index in range(20):
            cluster.mrc("fs", "mkdir", f"/d{index}")
        for daemon in ("namenode", "datanode", "tracker", "worker"):
            cluster.kill(daemon)
        (segment,) = (cluster.home.data("namenode", "nn1") / "journal").glob("edits_*")
        data = segment.read_bytes()
        middle = len(data) // 2
        segment.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        done = cluster.mrc("up", rc=1)
        assert "edit log corrupt" in done.stderr
        assert "txid" in done.stderr
        segment.write_bytes(data + b"torn off while it was wri")
        cluster.up(1)
        assert cluster.mrc("fs", "ls", "/").stdout.count("/d") == 20
