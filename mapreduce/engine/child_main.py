"""What a process that a task makes with `multiprocessing` (spawn, forkserver; a concurrent.futures
pool too) loads before it is given work: the task's job. Without it, the functions and classes of
the job's file would not be found there, and the pool would wait for ever.

Such a process runs its maker's main module first, under the name `__mp_main__`; a task says that
this is it. It talks with its maker through a socket in the temporary directory, whose path must not
be long: where a task's is, its descriptor stands for it.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import msgspec

from mapreduce.plan.spec import CodeRef

VARIABLE = "MRC_TASK_CODE"
_LONGEST_DIRECTORY = 70
"""A unix socket's path has 107 bytes, and `/pymp-xxxxxxxx/listener-xxxxxxxx` goes behind the
directory."""
_NAME = "mapreduce.engine.child_main"


class _Loaded(msgspec.Struct, frozen=True):
    code: CodeRef
    directory: str  # its bytes in hexadecimal: it need not be UTF-8


def prepare_children(code: CodeRef, directory: Path) -> None:
    """In a task's process, once its job is loaded from `directory`: processes it makes from now on
    load the same."""
    os.environ[VARIABLE] = msgspec.json.encode(_Loaded(code, os.fsencode(directory).hex())).decode()
    sys.modules["__main__"].__spec__ = ModuleSpec(_NAME, None)
    temporary = os.environ.get("TMPDIR", "")
    if len(os.fsencode(temporary)) > _LONGEST_DIRECTORY:
        process: Any = import_module(
            "multiprocessing.process"
        ).current_process()  # for the job's use: we use none of it
        process._config["tempdir"] = (
            f"/proc/{os.getpid()}/fd/{os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)}"
        )


def _load() -> None:
    from mapreduce.plan.loading import load_job

    loaded = msgspec.json.decode(os.environ[VARIABLE], type=_Loaded)
    load_job(loaded.code, Path(os.fsdecode(bytes.fromhex(loaded.directory))))


if __name__ == "__mp_main__":
    _load()
