"""`mrc fs` against a real small cluster: what it prints, what it leaves, and the exit code of every
kind of mistake."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from clusterkit.service import Announcement
from minihdfs.client.filesystem import FileSystem, connect
from minihdfs.errors import InvalidArgument
from minihdfs.model import ServerDefaults
from mrc.main import run
from tests.equipment.terminal import SEEN_BY_TERMINALS, acts_on_a_terminal, on_a_terminal
from tests.equipment.until import until
from tests.integration.file_system import SmallFileSystem, small_file_system

BLOCK = 64 << 10
DATA = bytes(range(256)) * 1000
ODD_NAMES = ["a b", "quo'te\"", "new\nline", "ünï-文", "st*r", "br[1]", "-dash"]


@dataclass
class Done:
    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def error(self) -> str:
        assert self.err.startswith("error: "), self.err
        assert "Traceback" not in self.err
        return self.err.splitlines()[0]


Mrc = Callable[..., Done]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFileSystem]:
    with small_file_system(
        tmp_path_factory.mktemp("fs"), 3, defaults=ServerDefaults(block_bytes=BLOCK)
    ) as running:
        yield running


@pytest.fixture
def fs(system: SmallFileSystem) -> Iterator[FileSystem]:
    with connect(system.uri) as opened:
        for entry in opened.list("/"):
            opened.delete(entry.path, recursive=True)
        yield opened


@pytest.fixture
def mrc(
    system: SmallFileSystem,
    fs: FileSystem,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Mrc:
    """`mrc fs …` in this process, in a home whose namenode is the one of `system`."""
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / "namenode-nn1").symlink_to(system._namenode_options.data_dir)
    Announcement(
        role="namenode", id="nn1", pid=os.getpid(), address=system.namenode.address
    ).publish(home)
    monkeypatch.setenv("MRC_HOME", str(home))
    monkeypatch.delenv("MRC_CLUSTER", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*arguments: object, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code = run(["fs", *map(str, arguments)])
        out, err = capfdbinary.readouterr()
        return Done(code, out, err.decode())

    return call


def test_put_cat_get(mrc: Mrc, fs: FileSystem) -> None:
    Path("f").write_bytes(DATA)
    assert mrc("put", "f", "/").code == 0
    assert mrc("cat", "/f").out == DATA
    assert mrc("get", "/f", "back").code == 0
    assert Path("back").read_bytes() == DATA
    assert mrc("-put", "f", "/g").code == 0
    assert mrc("-get", "/g", "-").out == DATA
    assert mrc("put", "-", "/in", stdin=b"from a pipe\n").code == 0
    assert mrc("cat", "/in", "/in").out == b"from a pipe\n" * 2
    assert mrc("tail", "/f").out == DATA[-1024:]
    assert mrc("head", "/f").out == DATA[:1024]
    assert [entry.name for entry in fs.list("/")] == ["f", "g", "in"]


def test_an_existing_target_is_refused_and_f_replaces_it(mrc: Mrc, fs: FileSystem) -> None:
    Path("f").write_bytes(b"one")
    mrc("put", "f", "/f")
    Path("f").write_bytes(b"two")
    refused = mrc("put", "f", "/f")
    assert (refused.code, refused.err) == (1, "error: /f exists\n  try: mrc fs put -f f /f\n")
    assert mrc("cat", "/f").out == b"one"
    assert mrc("put", "-f", "f", "/f").code == 0
    assert mrc("cat", "/f").out == b"two"
    Path("g").write_bytes(b"mine")
    kept = mrc("get", "/f", "g")
    assert (kept.code, kept.err.splitlines()[1]) == (1, "  try: mrc fs get -f /f g")
    for again in (
        ["cp", "/f", "/f"],
        ["cp", "-f", "/f", "//f"],
        ["mv", "/f", "/f"],
        ["mv", "/f", "/"],
    ):
        assert (mrc(*again).code, mrc(*again).err) == (1, "error: /f and /f are the same file\n"), (
            "and no hint that removes it"
        )
    assert Path("g").read_bytes() == b"mine"
    assert mrc("get", "-f", "/f", "g").code == 0
    assert Path("g").read_bytes() == b"two"
    assert not [p for p in Path.cwd().iterdir() if "COPYING" in p.name]
    assert not [e for e in fs.list("/") if "COPYING" in e.name]


def test_one_word_goes_to_the_current_directory_of_the_other_side(mrc: Mrc, fs: FileSystem) -> None:
    Path("f").write_bytes(b"one")
    lost = mrc("put", "f")
    assert (lost.code, lost.err.splitlines()[1]) == (1, "  try: mrc fs mkdir -p /user")
    fs.mkdirs(fs.home)
    assert mrc("put", "f").code == 0
    Path("f").unlink()
    assert mrc("get", f"{fs.home}/f").code == 0
    assert Path("f").read_bytes() == b"one"


def test_what_to_try_next_is_a_command_that_works(mrc: Mrc, fs: FileSystem) -> None:
    fs.mkdirs("/full/of")
    for refused, then in (
        (mrc("cat", "/none/such/file"), "ls /"),
        (mrc("cat", "/full/such/file"), "ls /full"),
        (mrc("mkdir", "/full"), "ls -d /full"),
        (mrc("rmdir", "/full"), "ls /full"),
    ):
        assert (refused.code, refused.err.splitlines()[1]) == (1, f"  try: mrc fs {then}")
        assert mrc(*then.split()).code == 0


def test_hadoops_help_and_verbs_that_are_not_there(mrc: Mrc) -> None:
    for words in (["-help", "ls"], ["-usage", "-ls"], ["-help"], ["-h"]):
        assert (mrc(*words).code, b"Usage: mrc fs" in mrc(*words).out) == (0, True)
    assert (mrc("-getmerge", "/a").code, mrc("-getmerge", "/a").err) == (
        2,
        "error: no such command '-getmerge'\n  try: mrc fs --help\n",
    )


def test_directories_go_in_and_out_whole(mrc: Mrc) -> None:
    tree = {
        f"t/{'x/' * depth}{name}": f"{depth} {name}".encode()
        for depth in range(3)
        for name in ODD_NAMES
    }
    for name, data in tree.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)
    Path("t/empty").mkdir()
    assert mrc("put", "t", "/new").code == 0, "a new name: created with the contents"
    assert mrc("get", "/new", "back").code == 0
    assert {
        f"t/{p.relative_to('back')}": p.read_bytes() for p in Path("back").rglob("*") if p.is_file()
    } == tree
    assert Path("back/empty").is_dir()
    assert mrc("put", "t", "/new").code == 0, "an existing directory: into it"
    assert mrc("test", "-f", "/new/t/x/a b").code == 0
    Path("into").mkdir()
    assert mrc("get", "/new/t", "into").code == 0
    assert Path("into/t/x/x/new\nline").read_bytes() == b"2 new\nline"


def test_text_decompresses_or_says_what_it_is(mrc: Mrc) -> None:
    import bz2
    import gzip
    import lzma

    plain = b"line\n" * 300_000
    for name, data in {
        "plain": plain,
        "a.gz": gzip.compress(plain),
        "two.gz": gzip.compress(plain[:5]) + gzip.compress(plain[5:]) + b"\0" * 100,
        "b.bz2": bz2.compress(plain[:7]) + bz2.compress(plain[7:]),
        "c.xz": lzma.compress(plain),
    }.items():
        assert mrc("put", "-", f"/{name}", stdin=data).code == 0
        assert mrc("text", f"/{name}").out == mrc("-text", f"/{name}").out == plain, name
        assert mrc("cat", f"/{name}").out == data, "cat never changes a byte"
    mrc("put", "-", "/cut.gz", stdin=gzip.compress(plain)[:-20])
    mrc("put", "-", "/bad.gz", stdin=b"\x1f\x8b garbage")
    mrc("put", "-", "/d.zst", stdin=b"\x28\xb5\x2f\xfd....")
    mrc("put", "-", "/empty", stdin=b"")
    assert "in the middle" in mrc("text", "/cut.gz").error
    assert "does not decompress" in mrc("text", "/bad.gz").error
    assert "is zstd" in mrc("text", "/d.zst").error
    assert (mrc("text", "/empty").code, mrc("text", "/empty").out) == (0, b"")


def test_checksum_find_and_expunge(mrc: Mrc) -> None:
    for path in ("/d/a.txt", "/d/e/B.TXT", "/d/e/c"):
        mrc("mkdir", "-p", path.rpartition("/")[0])
        mrc("put", "-", path, stdin=b"123456789")
    assert mrc("-checksum", "/d/a.txt").out == b"/d/a.txt\tCOMPOSITE-CRC32C\te3069283\n"
    assert mrc("-find", "/d").lines == ["/d", "/d/a.txt", "/d/e", "/d/e/B.TXT", "/d/e/c"]
    assert mrc("-find", "/d", "-name", "*.txt", "-print").lines == ["/d/a.txt"]
    assert mrc("find", "/d", "-iname", "*.txt", "-print0").out == b"/d/a.txt\0/d/e/B.TXT\0"
    assert (
        mrc("find", "/d", "-newer", "x").code,
        mrc("find", "/d", "-name").code,
        mrc("find", "/none").code,
    ) == (2, 2, 1)
    assert (mrc("-expunge").code, mrc("expunge", "-immediate").code) == (0, 0)


def test_no_verb_lets_a_stranger_act_on_a_terminal(
    mrc: Mrc, fs: FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"f{SEEN_BY_TERMINALS}forged"
    path = f"/d/{name}"
    fs.mkdirs("/d")
    _write(fs, path, b"x")
    with pytest.raises(InvalidArgument, match="cannot be printed"):
        fs.set_owner(path, f"o{SEEN_BY_TERMINALS}forged", f"g{SEEN_BY_TERMINALS}forged")
    Path(name).write_bytes(b"x")
    local = str(Path(name).absolute())
    looking, changing = (
        "ls du count df stat find checksum",
        "touchz rmdir mkdir setrep:1 chmod:644 chown:a",
    )
    calls = [[*verb.split(":"), path] for verb in f"{looking} {changing}".split()]
    calls += [
        ["stat", "%n %u %g", path],
        ["ls", "-C", "/d"],
        ["ls", "-R", "/"],
        ["setrep", "-w", "2", path],
    ]
    calls += [[verb, "-o", "json", path] for verb in ("ls", "du", "count", "stat")]
    calls += [
        [verb, f"{path}/none"]
        for verb in ("ls", "cat", "text", "tail", "head", "rm", "du", "find", "stat")
    ]
    calls += [["put", local, path], ["put", "-f", local, path], ["put", f"{local}-none", "/d"]]
    calls += [["get", path, local], ["get", path, f"/none/{name}"], [name], ["ls", f"--{name}"]]
    calls += [[verb, path, to] for verb in ("cp", "mv") for to in (path, f"/none/{name}")]
    calls += [["ls", f"s3://{name}/x"], ["chown", name, path], ["chmod", name, path], ["rm", path]]
    for words in calls:
        said = on_a_terminal(lambda words=words: run(["fs", *words]), monkeypatch)  # type: ignore[misc]
        assert not acts_on_a_terminal(said), (words[0], said)


def test_tail_f_shows_what_replaced_the_file_from_its_beginning(
    mrc: Mrc, fs: FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    mrc("put", "-", "/log", stdin=b"old old old\n")
    happenings = iter(
        [
            lambda: fs.delete("/log"),
            lambda: _write(fs, "/log", b"new, and longer than before\n"),
            None,
        ]
    )

    def look_again(_pause_s: float) -> None:
        then = next(happenings)
        if then is None:
            raise KeyboardInterrupt
        then()

    monkeypatch.setattr("mrc.fs.show.time.sleep", look_again)
    done = mrc("tail", "-f", "/log")
    assert (done.code, done.out) == (130, b"old old old\nnew, and longer than before\n")


@pytest.mark.parametrize("options", [(), ("-f",)])
def test_the_tail_of_a_directory_is_refused(mrc: Mrc, options: tuple[str, ...]) -> None:
    mrc("mkdir", "/d")
    done = mrc("tail", *options, "/d")
    assert (done.code, done.out) == (1, b"")
    assert "/d is a directory" in done.err


def _write(fs: FileSystem, path: str, data: bytes) -> None:
    with fs.create(path) as file:
        file.write(data)


def test_times_of_other_ages_are_shown(mrc: Mrc, fs: FileSystem) -> None:
    mrc("put", "-", "/x", stdin=b"x")
    mrc("put", "-", "/y", stdin=b"y")
    fs.set_times("/x", 253_402_300_800_000_000, 253_402_300_800_000_000)
    assert [line.split()[-1] for line in mrc("ls", "/").lines[1:]] == ["/x", "/y"]
    assert mrc("stat", "%y", "/x").lines == ["+10000-01-01 00:00:00"]
    assert (
        json.loads(mrc("stat", "-o", "json", "/x").out)[0]["modified_at"]
        == "+10000-01-01T00:00:00.000Z"
    )
    assert mrc("get", "-p", "/x", "x").code == 0


@pytest.mark.parametrize("name", ["n" * 246, "n" * 255, "é" * 127, "f._COPYING_"])
def test_long_names_go_in_through_and_out(mrc: Mrc, fs: FileSystem, name: str) -> None:
    Path("d").mkdir()
    (Path("d") / name).write_bytes(b"x")
    for words in (
        ["put", "d", "/d"],
        ["cp", "/d", "/e"],
        ["cp", "-f", f"/e/{name}", f"/d/{name}"],
        ["put", "-f", f"d/{name}", "/d"],
    ):
        assert mrc(*words).code == 0, words
    assert mrc("get", "/e", "back").code == 0
    assert (Path("back") / name).read_bytes() == b"x"
    assert [e.name for e in fs.walk("/")] == ["d", name, "e", name]


def test_nobodys_file_is_taken_for_a_temporary(mrc: Mrc, fs: FileSystem) -> None:
    for name in ("f", "f._COPYING_"):
        Path(name).write_bytes(name.encode())
        assert mrc("put", name, "/").code == 0
    Path("f").write_bytes(b"new")
    assert (
        mrc("put", "-f", "f", "/f").code
        == mrc("cp", "/f", "/g").code
        == mrc("get", "-f", "/f", "f").code
        == 0
    )
    assert mrc("cat", "/f._COPYING_").out == Path("f._COPYING_").read_bytes() == b"f._COPYING_"


def test_links_that_lead_back_are_left_out_and_said(mrc: Mrc, fs: FileSystem) -> None:
    Path("d/e").mkdir(parents=True)
    Path("d/x").write_bytes(b"x")
    Path("d/e/back").symlink_to("..")
    Path("d/e/self").symlink_to(".")
    done = mrc("put", "d", "/d")
    assert (done.code, done.err.count("leads back")) == (1, 2)
    assert [e.path for e in fs.walk("/")] == ["/d", "/d/e", "/d/x"]


def test_a_directory_is_not_copied_into_itself_however_it_is_spelt(
    mrc: Mrc, fs: FileSystem, system: SmallFileSystem
) -> None:
    fs.mkdirs("/d/sub")
    port = system.uri.rpartition(":")[2]
    for inside in (
        "//d/new",
        "/d/./new",
        "/x/../d/new",
        "/d/",
        f"{system.uri}/d/new",
        f"hdfs://localhost:{port}/d/new",
    ):
        done = mrc("cp", "/d", inside)
        assert (done.code, "into itself" in done.err) == (1, True), inside
    assert mrc("cp", "/d", "/dd").code == 0
    assert [e.path for e in fs.walk("/")] == ["/d", "/d/sub", "/dd", "/dd/sub"]


def test_get_f_is_as_cp_and_a_planted_link_is_not_followed(mrc: Mrc, fs: FileSystem) -> None:
    mrc("put", "-", "/f", stdin=b"new")
    fs.mkdirs("/t/d")
    mrc("cp", "/f", "/t/d/f")
    Path("private").write_bytes(b"old")
    Path("private").chmod(0o600)
    Path("link").symlink_to("private")
    assert mrc("get", "-f", "/f", "link").code == 0
    assert (
        Path("link").is_symlink(),
        Path("private").read_bytes(),
        Path("private").stat().st_mode & 0o777,
    ) == (True, b"new", 0o600)
    Path("victim").mkdir()
    Path("t").mkdir()
    Path("t/d").symlink_to(Path("victim").absolute())
    done = mrc("get", "-f", "/t", ".")
    assert (done.code, "is a link" in done.err) == (77, True)
    assert list(Path("victim").iterdir()) == []
    assert mrc("get", "/f", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()


def test_a_slash_at_the_end_means_a_directory(mrc: Mrc, fs: FileSystem) -> None:
    Path("f").write_bytes(b"x")
    mrc("put", "f", "/f")
    for words in (["put", "f", "/books/"], ["cp", "/f", "/books/"], ["mv", "/f", "/books/"]):
        done = mrc(*words)
        assert (done.code, done.err.splitlines()[1]) == (1, "  try: mrc fs mkdir -p /books"), words
    assert [e.path for e in fs.walk("/")] == ["/f"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_copy_that_is_stopped_leaves_nothing(
    fs: FileSystem, system: SmallFileSystem, number: int, code: int
) -> None:
    command = [sys.executable, "-m", "mrc.main", "fs", "put", "-", f"{system.uri}/stopped"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(DATA)
        process.stdin.flush()
        until(lambda: len(fs.list("/")) == 1, "the copy has begun")
        process.send_signal(number)
        assert process.wait(20) == code
    assert fs.list("/") == []


@pytest.mark.parametrize(
    ("first", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("verb", ["put", "get", "cp"])
def test_a_second_signal_leaves_nothing_either(
    fs: FileSystem, system: SmallFileSystem, tmp_path: Path, verb: str, first: int, code: int
) -> None:
    """The second one comes at once: into the undoing that the first one began."""
    fs.mkdirs("/d")
    with fs.create("/big") as file:
        file.write(bytes(8 << 20))
    here = tmp_path / "here"
    here.mkdir()
    big, target = f"{system.uri}/big", f"{system.uri}/d/f"
    words = {"put": ["-", target], "get": [big, str(here / "f")], "cp": [big, target]}
    slow = (
        "import time, mrc.main, mrc.fs.progress\n"
        "def add(*_):\n    print(flush=True)\n    for _ in range(1000): time.sleep(0.02)\n"
        "mrc.fs.progress.Progress.add = add; mrc.main.main()"
    )
    command = [sys.executable, "-c", slow, "fs", verb, *words[verb]]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert (
            process.stdin is not None and process.stdout is not None and process.stderr is not None
        )
        if verb == "put":
            process.stdin.write(DATA[:1000])
            process.stdin.flush()
        assert process.stdout.readline(), "the copy has begun"
        for number in (first, signal.SIGTERM, signal.SIGTERM):
            process.send_signal(number)
        assert process.wait(20) == code
        assert b"Traceback" not in process.stderr.read()
    assert (fs.list("/d"), list(here.iterdir())) == ([], [])


def test_several_sources_need_a_directory(mrc: Mrc, fs: FileSystem) -> None:
    for name in "abc":
        Path(name).write_bytes(name.encode())
    assert mrc("put", "a", "b", "/none").code == 1
    mrc("mkdir", "/d")
    assert mrc("put", "a", "b", "c", "/d").code == 0
    assert mrc("put", "-f", "[ab]", "none", "c", "/d").code == 1, "one is missing, the others go"
    Path("out").mkdir()
    assert mrc("get", "/d/*", "out").code == 0
    assert sorted(p.name for p in Path("out").iterdir()) == ["a", "b", "c"]
    assert mrc("get", "/d/a", "/d/b", "nowhere").code == 2
    assert mrc("cp", "/d/a", "/d/b", "/e").code == 1
    mrc("mkdir", "/e")
    assert mrc("mv", "/d/a", "/d/b", "/e").code == 0
    assert [e.path for e in fs.walk("/")] == ["/d", "/d/c", "/e", "/e/a", "/e/b"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_name_that_a_file_can_have(mrc: Mrc, name: str) -> None:
    path = f"/dir/{name}"
    mrc("mkdir", "/dir")
    for other in ("star", "br1", "ax"):
        mrc("touchz", f"/dir/{other}")
    assert mrc("put", "-", path, stdin=name.encode()).code == 0
    assert mrc("cat", path).out == name.encode()
    assert [row["path"] for row in json.loads(mrc("ls", "-o", "json", path).out)] == [path]
    assert mrc("ls", "-C", path).out == f"{path}\n".encode()
    assert mrc("stat", "%n %b", path).out == f"{name} {len(name.encode())}\n".encode()
    assert mrc("mv", path, f"{path}-2").code == 0
    assert mrc("cp", f"{path}-2", path).code == 0
    assert mrc("rm", path).code == 0
    assert mrc("test", "-e", f"{path}-2").code == 0, "rm took the name for a pattern"
    assert mrc("test", "-e", "/dir/star").code == 0


def test_names_that_cannot_be_are_refused(mrc: Mrc) -> None:
    Path("a:b").write_bytes(b"x")
    assert "':'" in mrc("put", "a:b", "/").error
    assert mrc("mkdir", "/x:y").code == 1
    assert mrc("mkdir", "/" + "n" * 300).code == 1
    (Path(os.fsdecode(b"bad\xff"))).write_bytes(b"x")
    assert mrc("put", os.fsdecode(b"bad\xff"), "/").code == 1


def test_ls_is_shaped_like_hadoops(mrc: Mrc) -> None:
    mrc("mkdir", "-p", "/d/sub")
    mrc("put", "-", "/d/file", stdin=b"x" * 2000)
    lines = mrc("-ls", "/d").lines
    assert lines[0] == "Found 2 items"
    fields = lines[1].split()
    assert (fields[0], fields[1], fields[4], fields[7]) == ("-rw-r--r--", "3", "2000", "/d/file")
    assert lines[2].split()[:2] == ["drwxr-xr-x", "-"]
    assert [line.split()[-1] for line in mrc("ls", "-R", "/").lines] == ["/d", "/d/file", "/d/sub"]
    assert mrc("ls", "-C", "-S", "/d").lines == ["/d/file", "/d/sub"]
    assert mrc("ls", "-C", "-r", "/d").lines == ["/d/sub", "/d/file"]
    assert mrc("ls", "-d", "/d").lines[0].endswith(" /d")
    assert mrc("ls", "-h", "/d/file").lines[0].split()[4:6] == ["2.0", "K"]
    assert mrc("ls", "/d/sub").out == b""


def test_facts_are_json_on_request(mrc: Mrc, system: SmallFileSystem) -> None:
    mrc("mkdir", "/d")
    mrc("put", "-", "/d/f", stdin=b"12345")
    (row,) = json.loads(mrc("ls", "-o", "json", "/d").out)
    assert (row["path"], row["type"], row["length"], row["permission"]) == (
        "/d/f",
        "file",
        5,
        "0644",
    )
    assert json.loads(mrc("du", "-s", "-o", "json", "/d").out) == [
        {"path": "/d", "length": 5, "space_consumed": 15}
    ]
    (total,) = json.loads(mrc("count", "-o", "json", "/d").out)
    assert (total["directories"], total["files"], total["length"]) == (1, 1, 5)
    (disk,) = json.loads(mrc("df", "-o", "json").out)
    assert disk["filesystem"] == system.uri
    assert disk["size_bytes"] > disk["available_bytes"] > 0
    assert json.loads(mrc("stat", "-o", "json", "/d").out)[0]["type"] == "directory"
    assert mrc("du", "/d").lines == ["5  15  /d/f"]
    assert mrc("count", "/d").lines == [f"{1:>12} {1:>12} {5:>18} /d"]
    assert mrc("stat", "%a %b %r", "/d/f").lines == ["644 5 3"]


def test_changes(mrc: Mrc, fs: FileSystem) -> None:
    mrc("put", "-", "/f", stdin=b"x")
    for mode, wanted in (("640", 0o640), ("u+x,o=r", 0o744), ("-x", 0o644)):
        assert mrc("chmod", mode, "/f").code == 0
        assert fs.stat("/f").permission == wanted
    assert mrc("chmod", "wrong", "/f").code == 2
    assert mrc("chown", "ann:staff", "/f").code == 0
    assert mrc("chgrp", "crew", "/f").code == 0
    assert (fs.stat("/f").owner, fs.stat("/f").group) == ("ann", "crew")
    assert mrc("setrep", "-w", "2", "/f").lines == [
        "Replication 2 set: /f",
        "Waiting for /f ... done",
    ]
    until(lambda: len(fs.locate("/f")[0].locations) == 2, "two replicas")
    assert mrc("touchz", "/z").code == 0
    assert mrc("touchz", "/f").code == 1
    mrc("mkdir", "-p", "/d/e")
    assert mrc("mv", "/f", "/d").code == 0
    assert mrc("mv", "/d/f", "/z").code == 1
    assert mrc("mv", "/d", "/d/e").code == 1
    assert mrc("cp", "/d", "/d/e").code == 1
    assert mrc("cp", "/d", "/copy").code == 0
    assert mrc("cat", "/copy/f").out == b"x"
    assert mrc("rm", "/d").code == 1
    assert mrc("rmdir", "/d").code == 1
    assert mrc("rm", "-r", "-skipTrash", "/d", "/z").lines == ["Deleted /d", "Deleted /z"]
    assert mrc("rm", "-f", "/d").code == 0
    assert mrc("rm", "-r", "/").code == 77
    assert [e.path for e in fs.walk("/")] == ["/copy", "/copy/e", "/copy/f"]


def test_preserved_times_and_permissions(mrc: Mrc, fs: FileSystem) -> None:
    Path("f").write_bytes(b"x")
    Path("f").chmod(0o600)
    os.utime("f", (1_600_000_000, 1_500_000_000))
    assert mrc("put", "-p", "f", "/f").code == 0
    assert (fs.stat("/f").permission, fs.stat("/f").modified_us) == (0o600, 1_500_000_000_000_000)
    assert mrc("get", "-p", "/f", "g").code == 0
    assert (Path("g").stat().st_mode & 0o777, int(Path("g").stat().st_mtime)) == (
        0o600,
        1_500_000_000,
    )


def test_questions_are_answered_with_exit_codes(mrc: Mrc) -> None:
    mrc("mkdir", "/d")
    mrc("touchz", "/z")
    mrc("put", "-", "/f", stdin=b"x")
    answers = {
        "-e": (0, 0, 0, 1),
        "-d": (0, 1, 1, 1),
        "-f": (1, 0, 0, 1),
        "-s": (1, 1, 0, 1),
        "-z": (0, 0, 1, 1),
        "-r": (0, 0, 0, 1),
    }
    for question, wanted in answers.items():
        got = tuple(mrc("test", question, path).code for path in ("/d", "/z", "/f", "/none"))
        assert got == wanted, question


@pytest.mark.parametrize(
    "verb",
    [
        ["cat"],
        ["ls"],
        ["du"],
        ["rm"],
        ["tail"],
        ["head"],
        ["stat"],
        ["count"],
        ["chmod", "644"],
        ["setrep", "2"],
    ],
)
def test_a_missing_path_is_exit_1_and_one_line(mrc: Mrc, verb: list[str]) -> None:
    done = mrc(*verb, "/no/such")
    assert (done.code, done.error) == (1, "error: /no/such: no such file or directory")
    assert done.err.endswith("  try: mrc fs ls /\n")


def test_other_mistakes(
    mrc: Mrc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: SmallFileSystem
) -> None:
    assert mrc("cat", "/").code == 1
    assert mrc("ls", "s3://bucket/x").code == 2
    assert mrc("ls", "file:///etc").code == 2
    assert mrc("ls", "--no-such").code == 2
    assert mrc("nosuch").code == 2
    assert mrc("put").code == 2
    assert mrc("put", "none", "/x").code == 1
    assert mrc("put", str(tmp_path), "/no/such/dir").code == 1
    assert mrc("ls", f"{system.uri}/").code == 0
    nobody = mrc("ls", "hdfs://127.0.0.1:1/")
    assert nobody.code == 69
    monkeypatch.setenv("MRC_HOME", str(tmp_path / "elsewhere"))
    done = mrc("ls", "/")
    assert (done.code, done.err.splitlines()[1]) == (69, "  try: mrc up")


def test_not_permitted_is_exit_77(mrc: Mrc, monkeypatch: pytest.MonkeyPatch) -> None:
    mrc("mkdir", "/mine")
    mrc("chmod", "700", "/mine")
    monkeypatch.setenv("HADOOP_USER_NAME", "mallory")
    done = mrc("ls", "/mine")
    assert done.code == 77, done.err
    assert mrc("touchz", "/x").code == 77


def test_safe_mode_is_exit_75(mrc: Mrc, system: SmallFileSystem) -> None:
    system.client.set_safe_mode("enter")
    try:
        assert mrc("mkdir", "/x").code == 75
        assert mrc("put", "-", "/x", stdin=b"x").code == 75
        assert mrc("ls", "/").code == 0
    finally:
        system.client.set_safe_mode("leave")


def test_help_needs_no_cluster_and_loads_little() -> None:
    code = (
        "import sys, mrc.main; r = mrc.main.run(['fs', 'ls', '--help']); print([m for m in "
        "('google', 'grpc', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert "List directories" in done.stdout
    assert done.stdout.strip().endswith("[]")
