"""What IN arguments name, and what is refused with one line and a next command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mapreduce.errors import InputRefused
from mapreduce.plan.inputs import input_files
from mapreduce.storage.local import LocalStorage
from mapreduce.storage.memory import MemoryStorage


@pytest.fixture
def storage() -> MemoryStorage:
    made = MemoryStorage()
    for path in (
        "/d/b",
        "/d/a",
        "/d/_SUCCESS",
        "/d/.hidden",
        "/d/sub/c",
        "/d/sub/_x",
        "/only/one/f",
        "/only/two/g",
        "/log-1",
        "/log-2",
        "/_log-3",
        "/star*",
        "/stare",
        "/e/empty",
    ):
        made.put(path, b"" if path == "/e/empty" else b"x")
    made.mkdirs("/nothing")
    made.put("/hid/_a", b"x")
    return made


def paths(storage: MemoryStorage, *inputs: str, recursive: bool = False) -> list[str]:
    return [info.path for info in input_files(storage, inputs, recursive=recursive)]


def test_a_directory_is_read_one_level_deep_in_byte_order(storage: MemoryStorage) -> None:
    assert paths(storage, "/d") == ["/d/a", "/d/b"]
    assert paths(storage, "/d/") == ["/d/a", "/d/b"]
    assert paths(storage, "/d", recursive=True) == ["/d/a", "/d/b", "/d/sub/c"]


def test_a_file_is_itself_whatever_its_name(storage: MemoryStorage) -> None:
    assert paths(storage, "/d/_SUCCESS", "/d/.hidden", "/e/empty") == [
        "/d/_SUCCESS",
        "/d/.hidden",
        "/e/empty",
    ]


def test_patterns(storage: MemoryStorage) -> None:
    assert paths(storage, "/log-*") == ["/log-1", "/log-2"]
    assert paths(storage, "/_log-?") == ["/_log-3"]
    assert paths(storage, "/only/*/[fg]") == ["/only/one/f", "/only/two/g"]
    assert paths(storage, "/only/*") == ["/only/one/f", "/only/two/g"]
    assert paths(storage, "/*/sub/c") == ["/d/sub/c"]


def test_braces_and_any_number_of_directories(storage: MemoryStorage) -> None:
    assert paths(storage, "/{log-2,log-1}") == ["/log-2", "/log-1"]
    assert paths(storage, "/{d,only/one}/{a,f}") == ["/d/a", "/only/one/f"]
    assert paths(storage, "/d/{a,[ab]}") == ["/d/a", "/d/b"]
    storage.put("/y/2025/05/c.txt", b"x")
    storage.put("/y/2025/b.txt", b"x")
    storage.put("/y/a.txt", b"x")
    storage.put("/y/_tmp/z.txt", b"x")
    storage.put("/y/.tmp/z.txt", b"x")
    assert sorted(paths(storage, "/y/**/*.txt")) == [
        "/y/2025/05/c.txt",
        "/y/2025/b.txt",
        "/y/a.txt",
    ]
    assert sorted(paths(storage, "/**/**/*.txt")) == [
        "/y/2025/05/c.txt",
        "/y/2025/b.txt",
        "/y/a.txt",
    ]
    assert sorted(paths(storage, "/y/**")) == ["/y/2025/05/c.txt", "/y/2025/b.txt", "/y/a.txt"]
    assert paths(storage, "/y/**/05") == ["/y/2025/05/c.txt"]


def test_hidden_names_are_no_results(storage: MemoryStorage) -> None:
    assert paths(storage, "/d/*[aS]") == ["/d/a"]
    assert paths(storage, "/d/{*,_S*}", recursive=True) == [
        "/d/a",
        "/d/b",
        "/d/sub/c",
        "/d/_SUCCESS",
    ]


def test_a_path_that_exists_is_no_pattern(storage: MemoryStorage) -> None:
    assert paths(storage, "/star*") == ["/star*"]
    assert paths(storage, "/sta[r]*") == ["/star*", "/stare"]


@pytest.mark.parametrize(
    ("inputs", "said", "next_command"),
    [
        (["/none/such"], "input memory:///none/such does not exist", "mrc fs ls /"),
        (["/d/none"], "input memory:///d/none does not exist", "mrc fs ls /d"),
        (["/d/*.gz"], "no file matches input memory:///d/*.gz", "mrc fs ls /d"),
        (
            ["/nothing"],
            "input directory memory:///nothing holds no files to read",
            "mrc fs ls /nothing",
        ),
        (["/hid"], "input directory memory:///hid holds no files to read", "mrc fs ls /hid"),
        (
            ["/only"],
            "input memory:///only holds only directories: one, two; --recursive reads what is in "
            "them",
            "mrc fs ls /only/one",
        ),
        (["/d", "/d/a"], "input /d/a is named twice, by /d and by /d/a", "mrc fs ls /d"),
    ],
)
def test_refusals(storage: MemoryStorage, inputs: list[str], said: str, next_command: str) -> None:
    with pytest.raises(InputRefused) as caught:
        input_files(storage, inputs)
    assert caught.value.message == said
    assert caught.value.next_command == next_command


def test_what_says_that_it_is_empty_and_is_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    storage = LocalStorage()
    for path in (
        str(tmp_path / "pipe"),
        str(tmp_path),
        "/proc/cpuinfo",
        "/proc/self/status",
        "/dev/null",
        "/dev/stdin",
    ):
        with pytest.raises(InputRefused, match="is a pipe or a device") as caught:
            input_files(storage, [path])
        assert str(caught.value.next_command).startswith("cat ")


def test_links_that_lead_back_up_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("x")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    assert [info.path for info in input_files(LocalStorage(), [str(tmp_path)], recursive=True)] == [
        str(tmp_path / "sub" / "file")
    ]
    assert [info.path for info in input_files(LocalStorage(), [f"{tmp_path}/**/file"])] == [
        str(tmp_path / "sub" / "file")
    ]
    (tmp_path / "other").symlink_to(tmp_path / "sub" / "file")
    with pytest.raises(InputRefused, match="is named twice"):
        input_files(LocalStorage(), [f"{tmp_path}/sub/file", f"{tmp_path}/other"])
