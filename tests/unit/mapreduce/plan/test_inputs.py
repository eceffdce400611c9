"""What IN arguments name, and what is refused with one line and a next command."""

from __future__ import annotations

import pytest

from mapreduce.errors import InputRefused
from mapreduce.plan.inputs import input_files
from mapreduce.storage.memory import MemoryStorage


@pytest.fixture
def storage() -> MemoryStorage:
    made = MemoryStorage()
    for path in ("/d/b", "/d/a", "/d/_SUCCESS", "/d/.hidden", "/d/sub/c", "/d/sub/_x", "/only/one/f", "/only/two/g", "/log-1", "/log-2",
                 "/_log-3", "/star*", "/stare", "/e/empty"):  # fmt: skip
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
    assert paths(storage, "/d/_SUCCESS", "/d/.hidden", "/e/empty") == ["/d/_SUCCESS", "/d/.hidden", "/e/empty"]


def test_patterns(storage: MemoryStorage) -> None:
    assert paths(storage, "/log-*") == ["/log-1", "/log-2"]
    assert paths(storage, "/_log-?") == ["/_log-3"]
    assert paths(storage, "/only/*/[fg]") == ["/only/one/f", "/only/two/g"]
    assert paths(storage, "/only/*") == ["/only/one/f", "/only/two/g"]
    assert paths(storage, "/*/sub/c") == ["/d/sub/c"]


def test_a_path_that_exists_is_no_pattern(storage: MemoryStorage) -> None:
    assert paths(storage, "/star*") == ["/star*"]
    assert paths(storage, "/sta[r]*") == ["/star*", "/stare"]


@pytest.mark.parametrize(
    ("inputs", "said", "next_command"),
    [
        (["/none/such"], "input memory:///none/such does not exist", "mrc fs ls /"),
        (["/d/none"], "input memory:///d/none does not exist", "mrc fs ls /d"),
        (["/d/*.gz"], "no file matches input memory:///d/*.gz", "mrc fs ls /d"),
        (["/nothing"], "input directory memory:///nothing holds no files to read", "mrc fs ls /nothing"),
        (["/hid"], "input directory memory:///hid holds no files to read", "mrc fs ls /hid"),
        (["/only"], "input memory:///only holds only directories: one, two; --recursive reads what is in them", "mrc fs ls /only/one"),
        (["/d", "/d/a"], "input /d/a is named twice, by /d and by /d/a", "mrc fs ls /d"),
    ],
)
def test_refusals(storage: MemoryStorage, inputs: list[str], said: str, next_command: str) -> None:
    with pytest.raises(InputRefused) as caught:
        input_files(storage, inputs)
    assert caught.value.message == said
    assert caught.value.next_command == next_command
