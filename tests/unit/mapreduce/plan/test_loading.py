"""Job files as people write them, good and bad: loaded from a directory and from an archive,
described, refused with reasons."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import traceback
import zipfile
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from clusterkit.errors import CorruptRecord, UsageError
from mapreduce.failures import UserCodeFailed
from mapreduce.plan.describe import describe
from mapreduce.plan.imports import CodeSource
from mapreduce.plan.loading import load_job, module_name
from mapreduce.plan.packaging import package_code, unpack_code
from mapreduce.plan.planning import checked_parameters, checked_settings
from mapreduce.plan.spec import CodeRef

HEAD = "from mapreduce import Job\n"
BODY = "class {name}(Job):\n    def map(self, line: str):\n        yield line, 1\n"


def write(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def load(file: Path, class_name: str, origin: str = "/home/author/jobs") -> Any:
    archive, digest = package_code(file)
    facts = describe(f"{file}:{class_name}")
    code = msgspec.structs.replace(facts.code(digest), origin=origin)
    unpack_code(archive, code, file.parent.parent / f"unpacked-{file.stem}-{file.parent.name}")
    return load_job(code, file.parent.parent / f"unpacked-{file.stem}-{file.parent.name}")


def test_what_describe_says(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "job.py",
        """
        from __future__ import annotations
        from typing import ClassVar
        from mapreduce import Job

        class Base(Job):
            min_length: int = 2
            shared: ClassVar[int] = 5
            def map(self, line: bytes):
                yield line, 1

        class Mine(Base):
            '''Counts things.

            At length.'''
            reducers = 3
            no_progress_limit_s = 5
            needed: str
            rate: float = 1
            loud: bool = False
            _hidden: int = 0
            def reduce(self, key, values):
                yield key, sum(values)
            combine = reduce
        """,
    )
    facts = describe(str(file))
    assert (facts.class_name, facts.summary, facts.module_file, facts.origin) == (
        "Mine",
        "Counts things.",
        "job.py",
        str(tmp_path),
    )
    assert [(p.name, p.type, p.default, p.required) for p in facts.parameters] == [
        ("min_length", int, 2, False),
        ("needed", str, None, True),
        ("rate", float, 1.0, False),
        ("loud", bool, False, False),
    ]
    assert facts.parameters[0].option == "--min-length"
    assert (facts.record_type, facts.has_reduce, facts.has_combine) == ("bytes", True, True)
    assert (facts.settings["reducers"], facts.settings["no_progress_limit_s"]) == (3, 5.0)
    assert facts.explicit_settings == {"reducers", "no_progress_limit_s"}
    assert checked_settings(facts, {"reducers": 0})["reducers"] == 0
    assert checked_parameters(facts, {"needed": "x"}) == {
        "min_length": 2,
        "needed": "x",
        "rate": 1.0,
        "loud": False,
    }
    with pytest.raises(UsageError, match="Mine needs --needed"):
        checked_parameters(facts, {})
    with pytest.raises(UsageError, match="reducers is -1"):
        checked_settings(facts, {"reducers": -1})
    with pytest.raises(UsageError, match="must be strict or replace"):
        checked_settings(facts, {"encoding_errors": "ignore"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", ["defines no Job"]),
        (HEAD + BODY.format(name="A") + BODY.format(name="B"), ["defines 2 Jobs: A and B"]),
        (HEAD + "class A(Job):\n    pass\n", ["Job A has no map method"]),
        (
            HEAD + BODY.format(name="A") + "    limit: int = 'three'\n",
            ["A.limit is annotated int, but its default is 'three'"],
        ),
        (
            HEAD + BODY.format(name="A") + "    limit: list = []\n",
            ["A.limit: a parameter is str, int, float or bool, not list"],
        ),
        (
            HEAD + BODY.format(name="A") + "    reducers = 'many'\n",
            ["A.reducers must be int, not 'many'"],
        ),
        (
            HEAD + "class A(Job):\n    def map(self, key, value):\n        yield 1, 1\n",
            ["A.map takes one record"],
        ),
        (
            HEAD + "class A(Job):\n    def map(self, record: dict):\n        yield 1, 1\n",
            ["a record is str or bytes, not dict"],
        ),
    ],
)
def test_what_is_no_job_is_refused(tmp_path: Path, text: str, said: list[str]) -> None:
    file = write(tmp_path, "bad.py", text)
    with pytest.raises(UsageError) as caught:
        describe(str(file))
    assert all(part in caught.value.message for part in said), caught.value.message


def test_one_of_two_jobs_by_name(tmp_path: Path) -> None:
    file = write(tmp_path, "two.py", HEAD + BODY.format(name="A") + BODY.format(name="B"))
    assert describe(f"{file}:B").class_name == "B"
    with pytest.raises(UsageError, match="has no Job called C; it has: A, B"):
        describe(f"{file}:C")
    with pytest.raises(UsageError) as caught:
        describe(str(file))
    assert caught.value.next_command == f"{file}:A"


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.py does not exist"):
        describe(str(tmp_path / "none.py"))
    with pytest.raises(UsageError, match="is a directory"):
        describe(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message", "shown"),
    [
        (
            "def broken(:\n",
            "SyntaxError in {file}, line 1: invalid syntax",
            ['File "{file}", line 1', "def broken(:"],
        ),
        (
            "import no_such_module_here\n",
            "ModuleNotFoundError: No module named 'no_such_module_here'",
            ['File "{file}", line 1, in <module>'],
        ),
        (
            "import beside\n",
            "ZeroDivisionError: division by zero",
            ['File "{file}", line 1, in <module>', 'beside.py", line 1, in <module>'],
        ),
        ("raise SystemExit(4)\n", "exited with status 4", ['File "{file}", line 1']),
    ],
)
def test_a_file_that_does_not_load_shows_the_users_own_traceback(
    tmp_path: Path, text: str, message: str, shown: list[str]
) -> None:
    write(tmp_path, "beside.py", "1 / 0\n")
    file = write(tmp_path, "bad.py", text)
    with pytest.raises(UserCodeFailed) as caught:
        describe(str(file))
    report = caught.value.report
    assert report.message == message.format(file=file)
    assert all(part.format(file=file) in report.traceback for part in shown), report.traceback
    assert "loading.py" not in report.traceback
    assert "importlib" not in report.traceback
    assert report.traceback.startswith("Traceback") == ("in <module>" in report.traceback)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    with pytest.raises(UserCodeFailed) as caught:
        describe(str(tmp_path / "latin.py"))
    assert (
        "latin.py: not a text of its declared or default encoding, UTF-8"
        in caught.value.report.message
    )
    assert "tokenize.py" not in caught.value.report.traceback
    (tmp_path / "late.py").write_bytes(b"x = 1\n" * 10 + b"# caf\xe9\n")
    with pytest.raises(UserCodeFailed) as caught:
        describe(str(tmp_path / "late.py"))
    assert "late.py: not valid utf-8 text at byte 65" in caught.value.report.message


def test_an_archive_loads_with_the_authors_paths_and_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, "pkg/__init__.py", "")
    write(tmp_path, "pkg/stop.py", "from pkg.deep.more import STOP\n")
    write(tmp_path, "pkg/deep/more.py", "STOP = {'the'}\ndef fail(): raise ValueError('deep')\n")
    write(tmp_path, "pkg/words.txt", "the")
    file = write(
        tmp_path,
        "job.py",
        """
        import pkgutil
        from mapreduce import Job
        from pkg.stop import STOP
        from pkg.deep import more

        class Mine(Job):
            def map(self, line: str):
                assert pkgutil.get_data("pkg", "words.txt") == b"the"
                more.fail()
                yield line, 1
        """,
    )
    job = load(file, "Mine")
    assert {"the"} == sys.modules["job"].STOP
    with pytest.raises(ValueError, match="deep") as caught:
        list(job.map(None, "x"))
    text = "".join(traceback.format_exception(caught.value))
    assert 'File "/home/author/jobs/job.py", line 10, in map\n    more.fail()' in text
    assert 'File "/home/author/jobs/pkg/deep/more.py", line 2, in fail' in text


def test_the_next_job_forgets_the_modules_of_the_last(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, f"{name}/shared.py", f"NAME = '{name}'\n")
        write(
            tmp_path,
            f"{name}/job.py",
            HEAD + "from shared import NAME\n" + BODY.format(name="Mine") + "    name = NAME\n",
        )
        assert load(tmp_path / name / "job.py", "Mine").name == name


def test_the_standard_library_is_never_shadowed(tmp_path: Path) -> None:
    write(tmp_path, "colorsys.py", "raise RuntimeError('shadowed')\n")
    file = write(
        tmp_path,
        "json.py",
        HEAD + "import colorsys\nimport json\n" + BODY.format(name="Mine") + "    d = json.dumps\n",
    )
    assert module_name(CodeSource(str(tmp_path), tmp_path), "json.py") == "job_json"
    assert load(file, "Mine").d([1]) == "[1]"


def test_an_archive_that_is_not_the_submitted_one(tmp_path: Path) -> None:
    archive, _digest = package_code(write(tmp_path, "job.py", HEAD + BODY.format(name="A")))
    with pytest.raises(CorruptRecord, match="is not the one submitted"):
        unpack_code(
            archive,
            CodeRef("/c.zip", hashlib.sha256(b"other").hexdigest(), "job.py", "A", "/x"),
            tmp_path / "unpacked",
        )


def test_what_goes_into_an_archive(tmp_path: Path) -> None:
    for name in (
        "job.py",
        "beside.py",
        "pkg/__init__.py",
        "pkg/data.json",
        "pkg/.hidden",
        "pkg/__pycache__/x.pyc",
        ".venv/lib.py",
        "venv/a.py",
        "venv/pyvenv.cfg",
        "odd-name/b.py",
        "text/input.txt",
        "corpus.txt",
        ".secret.py",
    ):
        write(tmp_path, name, "1\n")
    (tmp_path / "pkg" / "big.bin").write_bytes(bytes(2 << 20))
    (tmp_path / "pkg" / "loop").symlink_to(tmp_path / "pkg")
    os.mkfifo(tmp_path / "pipe.py")
    first, digest = package_code(tmp_path / "job.py")
    names = ["beside.py", "job.py", "pkg/__init__.py", "pkg/big.bin", "pkg/data.json"]
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == names
    os.utime(tmp_path / "job.py", (1, 1))
    assert package_code(tmp_path / "job.py") == (first, digest)


def test_an_archive_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapreduce.plan.packaging.MAX_ARCHIVE_BYTES", 100)
    write(tmp_path, "beside.py", "#" * 100)
    with pytest.raises(UsageError, match=r"is more than 0 MiB \(at job.py\)"):
        package_code(write(tmp_path, "job.py", "#\n"))
