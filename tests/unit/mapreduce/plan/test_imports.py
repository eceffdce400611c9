"""A job's modules may be called anything, lie anywhere and read what lies in their packages;
nothing shadows anything."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from clusterkit.errors import CorruptRecord, UsageError
from mapreduce.failures import UserCodeFailed
from mapreduce.plan import packaging
from mapreduce.plan.describe import describe
from mapreduce.plan.loading import load_job
from mapreduce.plan.packaging import package_code, unpack_code

JOB = (
    "from mapreduce import Job\nclass Same(Job):\n    def map(self, line):\n        yield line, 1\n"
)


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        path = directory / name.replace("__DOT__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return directory


def elsewhere(file: Path, tmp_path: Path) -> Any:
    """The job as a worker loads it: from an archive, where the author's directory is not."""
    facts = describe(str(file))
    archive, digest = package_code(facts.file)
    code, directory = facts.code(digest), tmp_path / "worker"
    unpack_code(archive, code, directory)
    file.parent.rename(file.parent.with_name("gone"))
    return load_job(code, directory)


@pytest.mark.parametrize(
    "name",
    [
        "visits.v2.py",
        "my job-2.py",
        "2025-05.py",
        "a.b.c.py",
        "visits..py",
        "größe.py",
        "class.py",
        "nosuffix",
        "é.py",
    ],
)
def test_what_a_job_makes_travels_whatever_its_file_is_called(tmp_path: Path, name: str) -> None:
    file = tmp_path / "jobs" / name
    file.parent.mkdir()
    file.write_text(
        "from dataclasses import dataclass\n"
        + JOB
        + "@dataclass\nclass Visit:\n    page: str\nMADE = Visit('a')\n"
    )
    job = elsewhere(file, tmp_path)
    made = sys.modules[job.__module__].MADE
    assert pickle.loads(pickle.dumps(made)) == made


def test_a_module_beside_the_job_keeps_its_name(tmp_path: Path) -> None:
    jobs = write(
        tmp_path / "jobs",
        **{
            "visits_v2.py": "X = 1\n",
            "visits.v2.py": "import visits_v2\n" + JOB + "    x = visits_v2.X\n",
        },
    )
    assert elsewhere(jobs / "visits.v2.py", tmp_path).x == 1


LIBRARIES = ["rich", "msgspec", "click", "grpc", "crc32c", "kazoo", "lmdb", "google", "pytest"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_nothing_of_the_users_shadows_what_is_installed(tmp_path: Path, name: str) -> None:
    jobs = write(tmp_path / "jobs", **{f"{name}.py": JOB})
    job = elsewhere(jobs / f"{name}.py", tmp_path)
    assert job.__module__ == f"job_{name}"
    installed = __import__(name)
    assert str(tmp_path) not in str(getattr(installed, "__file__", "")), (
        "the product's own import finds the installed one"
    )


@pytest.mark.parametrize("name", LIBRARIES)
def test_and_the_other_way_round(tmp_path: Path, name: str) -> None:
    text = (
        f"import {name}, helper\nfrom {name} import X as Y\n{JOB}    found = ({name}.X, Y, "
        f"helper.{name}.X)\n    made = {name}.Made()\n"
    )
    module = (
        "X = 'mine'\nclass Made:\n    def __eq__(self, other):\n        return type(self) "
        "is type(other)\n    __hash__ = None\n"
    )
    jobs = write(
        tmp_path / "jobs", **{"job.py": text, f"{name}.py": module, "helper.py": f"import {name}\n"}
    )
    job = elsewhere(jobs / "job.py", tmp_path)
    assert job.found == ("mine", "mine", "mine")
    assert pickle.loads(pickle.dumps(job.made)) == job.made
    assert not hasattr(__import__(name), "X"), "everybody else has the installed one"


def test_the_import_function_takes_what_pythons_takes(tmp_path: Path) -> None:
    """Libraries call it by its arguments' names."""
    text = (
        "found = __import__('rich', globals=globals(), locals=None, fromlist=['X'], level=0).X\n"
        + JOB
        + "    found = found\n"
    )
    jobs = write(tmp_path / "jobs", **{"job.py": text, "rich.py": "X = 'mine'\n"})
    assert elsewhere(jobs / "job.py", tmp_path).found == "mine"
    assert not hasattr(__import__("rich", fromlist=["console"], level=0), "X")


def test_a_private_package_with_modules_in_it(tmp_path: Path) -> None:
    files = {
        "job.py": "import rich.deep.more\nfrom rich.deep import more\n"
        + JOB
        + "    found = (rich.deep.more.X, more.X)\n",
        "rich/__init__.py": "from . import deep\n",
        "rich/deep/__init__.py": "from .more import X\n",
        "rich/deep/more.py": "X = 1\n",
    }
    assert elsewhere(write(tmp_path / "jobs", **files) / "job.py", tmp_path).found == (1, 1)


@pytest.mark.parametrize(
    "name", ["mapreduce", "mrc", "minihdfs", "json", "types", "os", "__main__", "site", "abc"]
)
def test_a_job_file_called_like_ours_or_pythons(tmp_path: Path, name: str) -> None:
    jobs = write(tmp_path / "jobs", **{f"{name}.py": "import json, types\n" + JOB})
    assert elsewhere(jobs / f"{name}.py", tmp_path).__name__ == "Same"


def test_the_whole_command_runs_beside_files_called_like_libraries(tmp_path: Path) -> None:
    """In a process of its own, where what the product imports late is not loaded yet."""
    for name in ("rich", "msgspec", "crc32c", "click"):
        write(tmp_path, **{f"{name}.py": "raise SystemExit('shadowed')\n"})
    write(tmp_path, **{"job.py": JOB, "in.txt": "a\n"})
    for flags in ((), ("--inline",)):
        command = [
            sys.executable,
            "-m",
            "mrc.main",
            "run",
            *flags,
            "job.py",
            "in.txt",
            f"out{len(flags)}",
        ]
        done = subprocess.run(
            [command[0], "-P", *command[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_a_link_imports_what_lies_beside_its_target(tmp_path: Path) -> None:
    write(
        tmp_path / "real",
        **{
            "job.py": "import helper\n" + JOB + "    where = helper.WHERE\n",
            "helper.py": "WHERE = 'target'\n",
        },
    )
    write(tmp_path / "links", **{"helper.py": "WHERE = 'link'\n"})
    (tmp_path / "links" / "named.py").symlink_to(tmp_path / "real" / "job.py")
    facts = describe(str(tmp_path / "links" / "named.py"))
    assert (facts.module_file, facts.origin) == ("job.py", str(tmp_path / "real"))
    assert elsewhere(facts.file, tmp_path).where == "target"


READS = """
    import importlib.resources, json, pkgutil
    from pathlib import Path
    from mapreduce import Job
    import words

    class Reads(Job):
        def map(self, line):
            files = importlib.resources.files
            yield files("words.lists").joinpath("stop.txt").read_text(), 1
            yield importlib.resources.read_text("words", "more.txt"), 1
            with importlib.resources.as_file(files("words") / "plain" / "deep.txt") as path:
                yield path.read_text(), 1
            names = [entry.name for entry in files("words").iterdir()]
            yield sorted(name for name in names if name.endswith(".txt")), 1
            yield pkgutil.get_data("words", "more.txt").decode(), 1
            yield (Path(words.__file__).parent / "plain" / "deep.txt").read_text(), 1
            yield (Path(__file__).parent / "words" / "more.txt").read_text(), 1
            yield files("bare").joinpath("data.txt").read_text(), 1
    """


def test_a_package_reads_its_data_here_and_there(tmp_path: Path) -> None:
    files = {
        "words/__init__.py": "",
        "words/lists/__init__.py": "",
        "words/lists/stop.txt": "the",
        "words/more.txt": "and",
    }
    files |= {
        "words/plain/deep.txt": "or",
        "bare/module.py": "",
        "bare/data.txt": "nor",
        "job.py": READS,
    }
    jobs = write(tmp_path / "jobs", **files)
    wanted = ["the", "and", "or", ["more.txt"], "and", "or", "and", "nor"]
    here = load_job(describe(str(jobs / "job.py")).code(""), jobs)
    assert [key for key, _ in here.map(here, "")] == wanted  # type: ignore[arg-type]
    there = elsewhere(jobs / "job.py", tmp_path)
    assert [key for key, _ in there.map(there, "")] == wanted


def test_what_is_not_shipped_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "MAX_ARCHIVE_BYTES", 3 << 20)
    jobs = write(
        tmp_path, **{f"{name}/__init__.py": "" for name in ("env", "build", "dist", "venv")}
    )
    write(
        jobs,
        **{
            "pack/dist/__init__.py": "",
            "pack/__init__.py": "",
            "real_env/pyvenv.cfg": "",
            "real_env/x.py": "",
            "in.txt": "x",
        },
    )
    write(jobs, **{"job.py": JOB + "    names = open('stop.txt')\n", "stop.txt": "the"})
    (jobs / "pack" / "weights").write_bytes(bytes(2 << 20))
    (jobs / "pack" / "zz_more").write_bytes(bytes(2 << 20))
    (jobs / "pack" / "caf\udce9.txt").write_bytes(b"x")
    (jobs / "caf\udce9.py").write_bytes(b"1")
    (jobs / "caf\udce9.dat").write_bytes(b"1")
    left_out: list[str] = []
    archive, digest = package_code(jobs / "job.py", left_out)
    unpack_code(archive, describe_code(digest), tmp_path / "there")
    there = {
        str(path.relative_to(tmp_path / "there"))
        for path in (tmp_path / "there").rglob("*")
        if path.is_file()
    }
    assert there == {
        "env/__init__.py",
        "build/__init__.py",
        "dist/__init__.py",
        "venv/__init__.py",
        "pack/__init__.py",
        "pack/dist/__init__.py",
        "pack/weights",
        "job.py",
    }
    assert sorted(line.partition(" (")[0] for line in left_out) == [
        "caf\\udce9.py",
        "pack/caf\\udce9.txt",
        "pack/zz_more",
        "stop.txt",
    ]
    assert all(line.isprintable() for line in left_out)


def describe_code(digest: str) -> Any:
    from mapreduce.plan.spec import CodeRef

    return CodeRef("", digest, "job.py", "Same", "/")


def test_an_archive_that_would_fill_the_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, digest = package_code(write(tmp_path, **{"job.py": "#" * 10_000}) / "job.py")
    monkeypatch.setattr(packaging, "MAX_ARCHIVE_BYTES", 1_000)
    with pytest.raises(CorruptRecord, match="holds more than"):
        unpack_code(archive, describe_code(digest), tmp_path / "there")


def test_odd_names_of_the_job_and_its_directory(tmp_path: Path) -> None:
    odd = write(tmp_path / "caf\udce9", **{"job.py": JOB})
    facts = describe(str(odd / "job.py"))
    assert facts.code("").origin.endswith("caf\\udce9")
    package_code(facts.file)
    (odd / "caf\udce9.py").write_text(JOB)
    with pytest.raises(UsageError, match="its name must be UTF-8"):
        package_code(describe(str(odd / "caf\udce9.py")).file)


@pytest.mark.parametrize(
    "body",
    [
        "input()",
        "import sys; sys.stdin.read()",
        "import sys; sys.stdin.buffer.read()",
        "import sys; list(sys.stdin)",
    ],
)
def test_a_job_file_that_reads_standard_input_is_told_that_there_is_none(
    tmp_path: Path, body: str
) -> None:
    file = write(tmp_path, **{"job.py": body + "\n" + JOB}) / "job.py"
    before = sys.stdin
    with pytest.raises(
        UserCodeFailed, match="standard input is closed while a job's file is loaded"
    ):
        describe(str(file))
    assert sys.stdin is before


def test_its_children_find_no_input_either(tmp_path: Path) -> None:
    text = (
        "import os, subprocess\nGOT = subprocess.run(['cat'], capture_output=True).stdout + "
        "os.read(0, 10)\n" + JOB + "    got = GOT\n"
    )
    file = write(tmp_path, **{"job.py": text}) / "job.py"
    facts = describe(str(file))
    assert load_job(facts.code(""), tmp_path).got == b""  # type: ignore[attr-defined]
