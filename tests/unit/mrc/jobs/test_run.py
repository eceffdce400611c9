"""`mrc run` as a user meets it: what it prints where, its exit codes, and every way a job file can
be wrong."""

from __future__ import annotations

import collections
import json
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterkit.errors import UsageError
from mapreduce.worker import process_control
from mrc import main
from mrc.jobs.run import local_target, spelt_once

HEAD = "from mapreduce import Job\n"
BODY = (
    "class A(Job):\n    def map(self, line: str):\n        {}\n    def reduce(self, k, vs):\n "
    "       yield k, sum(vs)\n"
)
OUR_FRAMES = tuple(f"/{package}/" for package in ("mapreduce", "mrc", "clusterkit"))


@dataclass
class Shell:
    directory: Path
    capture: pytest.CaptureFixture[str]

    def file(self, name: str, data: str | bytes) -> str:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(path)

    def mrc(self, *arguments: object, rc: int = 0) -> tuple[str, str]:
        self.capture.readouterr()
        code = main.run(["run", *map(str, arguments)])
        said = self.capture.readouterr()
        assert code == rc, said.err
        return said.out, said.err

    def output(self, name: str) -> dict[str, int]:
        rows = "".join(
            path.read_text() for path in sorted((self.directory / name).glob("part-*"))
        ).splitlines()
        return {key: int(value) for key, value in (row.split("\t") for row in rows)}


@pytest.fixture
def shell(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return Shell(tmp_path, capfd)


def test_it_runs_a_job_with_its_parameters(shell: Shell) -> None:
    shell.file(
        "job.py",
        HEAD
        + BODY.format("yield from ((w, 1) for w in line.split() if len(w) >= self.least)")
        + "    least: int = 1\n",
    )
    shell.file("in/text", "a bb a\nccc a bb")
    out, err = shell.mrc("--reducers", 3, "job.py", "--least", 2, "in", "out")
    assert shell.output("out") == {"bb": 2, "ccc": 1}
    assert len(list(Path("out").glob("part-r-*"))) == 3
    assert out == ""
    assert f"A SUCCEEDED in 0.{err.partition('in 0.')[2]}".startswith(err.splitlines()[-1])
    out, _err = shell.mrc("-o", "json", "--inline", "job.py:A", "in", "out2")
    assert shell.output("out2") == {"a": 3, "bb": 2, "ccc": 1}
    status = json.loads(out)
    assert (status["state"], status["output"]) == ("SUCCEEDED", f"file://{shell.directory}/out2")


def test_an_inline_run_ends_nothing_that_was_there_before_and_adopts_nobody_afterwards(
    shell: Shell,
) -> None:
    """A shell that becomes `mrc run` has background jobs, and whoever calls it here has others."""
    shell.file(
        "job.py",
        HEAD + BODY.format("yield str(__import__('subprocess').Popen(['sleep', '60']).pid), 1"),
    )
    shell.file("text", "a\n")
    before = subprocess.Popen(["sleep", "60"])
    try:
        shell.mrc("--inline", "--reducers", 1, "job.py", "text", "out")
        assert before.poll() is None
        (started,) = shell.output("out")
        assert int(started) not in process_control.children(os.getpid())
        said = subprocess.run(
            ["sh", "-c", "sleep 60 >&- & echo $!"], stdout=subprocess.PIPE, check=True
        ).stdout
        adopted = int(said) in process_control.children(os.getpid())
        process_control.kill(int(said))
        assert not adopted
    finally:
        before.kill()
        before.wait()


def test_an_existing_output(shell: Shell) -> None:
    shell.file("job.py", HEAD + BODY.format("yield line, 1"))
    shell.file("text", "a\n")
    shell.mrc("job.py", "text", "out")
    _out, err = shell.mrc("job.py", "text", "out", rc=1)
    assert (
        err == f"error: output file://{shell.directory}/out already exists\n  try: mrc run "
        "--overwrite job.py text out\n"
    )
    shell.file("text", "b\n")
    shell.mrc("--overwrite", "job.py", "text", "out")
    assert shell.output("out") == {"b": 1}


def test_the_next_command_is_the_same_one_with_what_was_missing(shell: Shell) -> None:
    two = HEAD + BODY.format("yield int(line) + self.n, 1") + "    n: int = 1\n"
    shell.file("two.py", two + two.partition("\n")[2].replace("class A", "class B"))
    shell.file("a file", "x\n")
    _out, err = shell.mrc("--reducers", 1, "two.py", "--n", 2, "a file", "out", rc=2)
    assert err.splitlines()[-1] == "  try: mrc run --reducers 1 two.py:A --n 2 'a file' out"
    _out, err = shell.mrc("--reducers", 1, "two.py:A", "--n", 2, "a file", "out", rc=1)
    assert (
        err.splitlines()[-1]
        == "  try: mrc run --reducers 1 --inline -v two.py:A --n 2 'a file' out"
    )


def test_wrong_usage_is_two(shell: Shell) -> None:
    shell.file("job.py", HEAD + BODY.format("yield line, 1") + "    needed: int\n")
    shell.file("text", "a\n")
    for arguments, said in (
        ((), "missing argument"),
        (("job.py", "--needed", 1, "text"), "needs an input and an output"),
        (("job.py", "text", "out"), "A needs --needed"),
        (("job.py", "--needed", "x", "text", "out"), "'x' is not a valid integer"),
        (("job.py", "--reducers", 2, "text", "out"), "--reducers stands behind FILE"),
        (("job.py", "--redoers", 2, "text", "out"), "no such option"),
        (("--reducers", "x", "job.py", "text", "out"), "'x' is not a valid integer"),
        (("--reducers", -1, "job.py", "--needed", 1, "text", "out"), "reducers is -1"),
        (("none.py", "text", "out"), "none.py does not exist"),
        (("job.py", "--needed", 1, "s3://b/text", "out"), "s3://b/text"),
    ):
        out, err = shell.mrc(*arguments, rc=2)
        assert said in err
        assert out == ""
    assert not Path("out").exists()


def test_the_jobs_own_help(shell: Shell) -> None:
    shell.file(
        "job.py",
        HEAD + BODY.format("yield line, 1") + "    least: int = 7\n    loud: bool = False\n",
    )
    out, _err = shell.mrc("job.py", "--help")
    assert "--least" in out
    assert "--loud / --no-loud" in out
    assert "[default: 7]" in out


@pytest.mark.parametrize(
    ("name", "source", "wanted"),
    [
        ("syntax", "def broken(:\n", ["syntax.py", "line 1"]),
        ("nojob", "x = 1\n", ["nojob.py"]),
        (
            "twojobs",
            HEAD
            + BODY.format("yield line, 1")
            + BODY.format("yield line, 1").replace("class A", "class B"),
            ["A", "B"],
        ),
        (
            "raises",
            HEAD + BODY.format("yield int(line), 1"),
            ["ValueError", "raises.py", "line 4", "not-a-number", "offset 0"],
        ),
        ("exits", HEAD + "import os\n" + BODY.format("os._exit(3)"), ["exit", "3"]),
        ("segfaults", HEAD + "import ctypes\n" + BODY.format("ctypes.string_at(0)"), ["SIGSEGV"]),
        ("badkey", HEAD + BODY.format("yield object(), 1"), ["object", "bad.txt"]),
        (
            "importerror",
            "import no_such_module_here\n" + HEAD + BODY.format("yield line, 1"),
            ["no_such_module_here", "importerror.py"],
        ),
        ("baseexception", HEAD + BODY.format("raise KeyboardInterrupt"), ["KeyboardInterrupt"]),
    ],
)
def test_a_users_mistake_is_named_without_a_traceback_of_ours(
    shell: Shell, name: str, source: str, wanted: list[str]
) -> None:
    shell.file("bad.txt", "not-a-number\n" * 50)
    shell.file(f"{name}.py", source)
    code = main.run(["run", f"{name}.py", "bad.txt", "out"])
    err = shell.capture.readouterr().err
    assert code in (1, 2)
    assert all(word in err for word in wanted), err
    if name != "segfaults":  # pytest's own fault handler speaks there
        assert not [
            line
            for line in err.splitlines()
            if line.lstrip().startswith('File "') and any(p in line for p in OUR_FRAMES)
        ]
    lines = err.splitlines()
    assert any(line.startswith("error: ") for line in lines)
    assert lines[-1].startswith("  try: ")
    assert sorted(
        path.name for path in shell.directory.iterdir() if path.name != "__pycache__"
    ) == ["bad.txt", f"{name}.py"]


def test_verbose_keeps_the_engines_frames(shell: Shell) -> None:
    shell.file("bad.txt", "x\n")
    shell.file("job.py", HEAD + BODY.format("yield int(line), 1"))
    _out, err = shell.mrc("-v", "job.py", "bad.txt", "out", rc=1)
    assert "map_task.py" in err


@pytest.mark.parametrize("split_bytes", [4_001, 65_536, 10_000_000])
def test_lines_are_neither_lost_nor_doubled(shell: Shell, split_bytes: int) -> None:
    rng = random.Random(20261122)
    lines = [("é日" * rng.randrange(0, 60)).encode() for _ in range(1000)] + [
        b"x" * 300_000,
        b"",
        b"lone \r stays",
        b"last, no newline",
    ]
    shell.file(
        "e/a.txt", b"".join(line + rng.choice([b"\n", b"\r\n"]) for line in lines[:-1]) + lines[-1]
    )
    shell.file("e/empty.txt", b"")
    shell.file("e/_hidden", b"no\n")
    shell.file(
        "lines.py", HEAD + BODY.format("yield len(line), 1").replace("line: str", "line: bytes")
    )
    shell.mrc("--split-bytes", split_bytes, "lines.py", "e", "out")
    assert shell.output("out") == {
        str(k): v for k, v in collections.Counter(map(len, lines)).items()
    }


def test_names_that_scripts_get_wrong(shell: Shell) -> None:
    names = [
        "plain",
        "a b",
        "quote'\"s",
        "naïve-日本",
        "100%&?#;=+",
        "back\\slash",
        "*star[1]",
        "new\nline",
    ]
    for name in names:
        shell.file(f"in dir/{name}", f"{len(name)}\n")
    shell.file(
        "job.py",
        HEAD
        + BODY.format("yield self.context.input_path.rpartition('/')[2].replace('\\n', '~'), 1"),
    )
    shell.mrc("job.py", "in dir", "out dir")
    assert shell.output("out dir") == {name.replace("\n", "~"): 1 for name in names}
    shell.mrc("job.py", "in dir/*star[1]", f"file://{shell.directory}/in dir/plain", "out2")
    assert shell.output("out2") == {"*star[1]": 1, "plain": 1}


@pytest.mark.parametrize(
    ("text", "uri", "path"),
    [
        ("file:///in/a#b", "file:///", "/in/a#b"),
        ("file:///in/a%20b", "file:///", "/in/a%20b"),
        ("file:/in/../x", "file:///", "/x"),
        ("/in//./x", "file:///", "/in/x"),
        ("hdfs://h:1/in?x", "hdfs://h:1", "/in?x"),
        ("hdfs://h:1//in/../y", "hdfs://h:1", "/y"),
    ],
)
def test_an_argument_names_one_path_in_one_file_system(text: str, uri: str, path: str) -> None:
    assert local_target(text) == (uri, path)


def test_one_cluster_spelt_two_ways_is_one() -> None:
    assert spelt_once(["hdfs://127.0.0.1:1", "hdfs://localhost:1"]) == ["hdfs://127.0.0.1:1"]
    assert spelt_once(["hdfs://127.0.0.1", "hdfs://localhost:8020"]) == ["hdfs://127.0.0.1"]
    assert (
        len(spelt_once(["hdfs://127.0.0.1:1", "hdfs://127.0.0.1:2", "file:///", "file:///"])) == 3
    )
    for refused in ("", "s3://b/x", "file://elsewhere/x"):
        with pytest.raises(UsageError):
            local_target(refused)
