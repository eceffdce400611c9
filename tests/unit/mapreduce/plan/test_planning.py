"""What planning looks at beside the job: what may be replaced, and how its input begins."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from clusterkit.errors import ClusterError, NotPermitted
from mapreduce.errors import InputRefused, OutputExists
from mapreduce.plan.describe import describe
from mapreduce.plan.planning import plan_job
from mapreduce.plan.spec import CodeRef, JobSpec
from mapreduce.runners.api import Submission
from mapreduce.runners.inline import InlineRunner
from mapreduce.runners.local.runner import LocalRunner
from mapreduce.storage.local import LocalStorage

JOB = (
    "from mapreduce import Job\nclass Lines(Job):\n    reducers = 1\n    def map(self, line: "
    "str):\n        yield line, None\n"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a job in `code`, an input, and an earlier output `out`; the working
    directory is another one."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "job.py").write_text(JOB)
    (tmp_path / "in.txt").write_text("a\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run(tmp_path, "in.txt", "out")
    return tmp_path


def run(here: Path, source: str, output: str, *, overwrite: bool = False) -> dict[str, object]:
    runner = InlineRunner(LocalStorage())
    submission = Submission([str(here / source)], str(here / output), overwrite=overwrite)
    job_id = runner.submit(describe(str(here / "code" / "job.py")), submission)
    return list(runner.watch(job_id, 1.0))[-1]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def plan(
    here: Path, source: str, output: str = "new", *, overwrite: bool = False, split_bytes: int = 0
) -> JobSpec:
    facts = describe(str(here / "code" / "job.py"))
    code = CodeRef("", "", "job.py", "Lines", str(here / "code"))
    settings = {"split_bytes": split_bytes} if split_bytes else {}
    return plan_job(
        facts,
        code,
        LocalStorage(),
        [str(here / source)],
        str(here / output),
        overwrite=overwrite,
        settings=settings,
    )


def test_an_earlier_output_is_replaced_by_the_next(here: Path) -> None:
    (here / "in.txt").write_text("b\n")
    assert run(here, "in.txt", "out", overwrite=True)["state"] == "SUCCEEDED"
    assert (here / "out" / "part-r-00000").read_text() == "b\n"
    (
        here / "out" / "part-r-00000"
    ).unlink()  # an output of which somebody has taken away a part is one all the same
    assert run(here, "in.txt", "out", overwrite=True)["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda out: (out / "notes.txt").write_text("mine"), "holds what no job made: notes.txt"),
        (lambda out: (out / ".git").mkdir(), "holds what no job made: .git"),
        (
            lambda out: (out / "part-r-00001").write_text("mine"),
            "holds what no job made: part-r-00001",
        ),
        (lambda out: (out / ".manifest.json").unlink(), "is no earlier output: no job made it"),
        (lambda out: (out / ".manifest.json").write_text("{}"), "is no earlier output"),
        (
            lambda out: (out / ".manifest.json").write_text('{"job_id": "x", "name": "x"}'),
            "is no earlier output",
        ),
    ],
)
def test_what_no_job_made_is_never_replaced(here: Path, make: object, said: str) -> None:
    make(here / "out")  # type: ignore[operator]
    before = names(here / "out")
    with pytest.raises(OutputExists, match=said):
        run(here, "in.txt", "out", overwrite=True)
    with pytest.raises(OutputExists, match="already exists") as caught:
        run(here, "in.txt", "out")
    assert caught.value.next_command == "another output name", "--overwrite would not help"
    assert names(here / "out") == before


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "n" + "\U0001f40d" * 63])
def test_every_legal_name_can_be_an_outputs(here: Path, name: str) -> None:
    run(here, "in.txt", name)
    run(here, "in.txt", name, overwrite=True)
    assert "part-r-00000" in names(here / name)
    assert not [left.name for left in here.iterdir() if left.name.startswith(".")]


def test_an_output_below_a_file_is_refused_before_anything_runs(here: Path) -> None:
    for output in ("in.txt/out", "in.txt/deeper/out"):
        with pytest.raises(OutputExists, match=r"in\.txt is a file"):
            run(here, "in.txt", output)


def test_an_output_where_nobody_may_write_is_refused_before_anything_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def may_write(_storage: LocalStorage, directory: str) -> bool:
        asked.append(directory)
        return False

    monkeypatch.setattr(LocalStorage, "may_write", may_write)
    for output in ("new", "deeper/new"):
        with pytest.raises(NotPermitted, match="you may not write in"):
            run(here, "in.txt", output)
    with pytest.raises(NotPermitted, match="you may not write in"):
        run(here, "in.txt", "out", overwrite=True)
    assert set(asked) == {str(here)}


def test_what_comes_into_the_output_while_the_job_runs_is_not_swapped_away(here: Path) -> None:
    runner = InlineRunner(LocalStorage())
    submission = Submission([str(here / "in.txt")], str(here / "out"), overwrite=True)
    statuses = runner.watch(runner.submit(describe(str(here / "code" / "job.py")), submission), 0.0)
    next(statuses)
    (here / "out" / "notes.txt").write_text("mine")
    last = list(statuses)[-1]
    assert last["state"] == "FAILED"
    assert "holds what no job made: notes.txt" in last["error"]
    assert (here / "out" / "notes.txt").read_text() == "mine"
    assert not [name for name in names(here) if name.startswith(".out")]


def test_of_two_that_replace_one_output_one_wins(here: Path) -> None:
    first, second = InlineRunner(LocalStorage()), InlineRunner(LocalStorage())
    facts, submission = (
        describe(str(here / "code" / "job.py")),
        Submission([str(here / "in.txt")], str(here / "out"), overwrite=True),
    )
    jobs = [(runner, runner.submit(facts, submission)) for runner in (first, second)]
    ends = [list(runner.watch(job_id, 1.0))[-1] for runner, job_id in jobs]
    assert [end["state"] for end in ends] == ["SUCCEEDED", "FAILED"]
    assert "by now" in ends[1]["error"]


def test_neither_input_nor_home_is_replaced(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "link").symlink_to(here / "out")
    with pytest.raises(InputRefused, match="lies in the output"):
        run(here, "out/part-r-00000", "out", overwrite=True)
    with pytest.raises(InputRefused, match="lies in the output"):
        run(here, "link/part-*", "out", overwrite=True)
    with pytest.raises(OutputExists, match="is a link to"):
        run(here, "in.txt", "link", overwrite=True)
    monkeypatch.chdir(here / "out")
    with pytest.raises(OutputExists, match=r"the working directory .* lies in the output"):
        run(here, "in.txt", "out", overwrite=True)
    for name in ("code", ".", "elsewhere"):
        with pytest.raises(ClusterError):
            run(here, "in.txt", name, overwrite=True)
    assert (here / "code" / "job.py").read_text() == JOB


def test_a_dangling_link_is_in_the_way_before_the_job_runs(here: Path) -> None:
    (here / "dangling").symlink_to(here / "nowhere")
    with pytest.raises(OutputExists, match="is a link to"):
        plan(here, "in.txt", "dangling")


def test_results_alone_are_input(here: Path) -> None:
    assert [split.path for split in plan(here, "out").splits] == [
        str(here / "out" / "part-r-00000")
    ]
    assert [split.path for split in plan(here, "out/*").splits] == [
        str(here / "out" / "part-r-00000")
    ]
    assert sorted(path.name for path in (here / "out").glob("[!.]*")) == [
        "_SUCCESS",
        "part-r-00000",
    ], "what a shell's * shows"


def test_a_compressed_file_is_never_cut_whatever_its_name(here: Path) -> None:
    (here / "plain").write_bytes(os.urandom(2000).hex().encode())
    (here / "data").write_bytes(gzip.compress(os.urandom(2000)))
    assert len(plan(here, "plain", split_bytes=100).splits) == 40
    (split,) = plan(here, "data", split_bytes=100).splits
    assert (split.offset, split.length) == (0, (here / "data").stat().st_size)


def test_a_format_that_is_no_lines_is_refused_before_it_is_cut(here: Path) -> None:
    (here / "table").write_bytes(b"PAR1\x15\x04" + bytes(1000))
    with pytest.raises(InputRefused, match="table is Parquet, not lines of text"):
        plan(here, "table", split_bytes=100)
    assert len(plan(here, "table").splits) == 1, (
        "the map of a file that is not cut sees how it begins"
    )
    runner = LocalRunner(slots=1, work=here / "elsewhere")
    job_id = runner.submit(
        describe(str(here / "code" / "job.py")),
        Submission([str(here / "table")], str(here / "new")),
    )
    last = list(runner.watch(job_id, 1.0))[-1]
    assert (last["state"], last["failure"]["kind"]) == ("FAILED", "input")
    assert last["error"] == f"input {here}/table is Parquet, not lines of text: convert it first"


@pytest.mark.parametrize("change", ["replaced", "appended", "touched", "gone"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_input_that_changes_while_the_job_runs_fails_it(
    here: Path, change: str, when: str
) -> None:
    """`before`: the map has not opened it yet; `after`: it has read some of it."""
    file = here / "in.txt"
    changes = {
        "replaced": "p = path + '.new'; open(p, 'w').write('b\\n' * 50); os.rename(p, path)",
        "appended": "open(path, 'a').write('b\\n')",
        "touched": "os.utime(path, ns=(1, 1))",
        "gone": "os.unlink(path)",
    }
    file.write_text("a\n" * 50)
    body = (
        f"    def {'map(self, line)' if when == 'after' else 'setup(self)'}:\n        path = "
        f"{str(file)!r}\n        if CHANGE:\n"
    )
    body += f"            CHANGE.pop()\n            {changes[change]}\n"
    body += (
        "        yield line, 1\n"
        if when == "after"
        else "    def map(self, line):\n        yield line, 1\n"
    )
    (here / "code" / "job.py").write_text(
        f"import os\nfrom mapreduce import Job\nCHANGE = [1]\nclass Lines(Job):\n{body}"
    )
    last = run(here, "in.txt", "new")
    if when == "after" and change in ("replaced", "gone") and last["state"] == "SUCCEEDED":
        assert (here / "new" / "part-r-00000").read_text() + (
            here / "new" / "part-r-00001"
        ).read_text() == "a\t1\n" * 50
        return
    assert last["state"] == "FAILED"
    assert str(file) in str(last["error"])
    assert not (here / "new").exists()


@pytest.mark.parametrize(
    "runner", [InlineRunner(LocalStorage()), LocalRunner(slots=1)], ids=["inline", "local"]
)
def test_names_that_are_no_utf8_are_read_and_loaded_from(
    here: Path, runner: InlineRunner | LocalRunner
) -> None:
    odd = here / "caf\udce9"
    odd.mkdir()
    (odd / "job.py").write_text(JOB)
    (odd / "in\udce9.txt").write_text("x\n")
    job_id = runner.submit(
        describe(str(odd / "job.py")),
        Submission([str(odd)], str(here / "new"), settings={"reducers": 0}),
    )
    last = list(runner.watch(job_id, 1.0))[-1]
    assert last["state"] == "SUCCEEDED", last["error"]
    assert b"x\n" in b"".join(path.read_bytes() for path in (here / "new").glob("part-*"))
