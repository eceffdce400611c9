"""Turns a job's source into its class. The only place where user code is executed for the first
time.

The source is a directory: the job's own, or one that a code archive was unpacked into
(packaging.py). Modules are compiled with the path they had on the author's machine, and linecache
is seeded, so that tracebacks and `inspect` show what the author wrote; `__file__` and
importlib.resources lead to the files that are here. One job's code is loaded at a time: loading the
next forgets the modules of the last. A job's file is loaded without standard input: every process
that runs the job loads it.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Collection
from pathlib import Path

import msgspec

from clusterkit.errors import UsageError
from mapreduce.api.job import Job, defines
from mapreduce.errors import SeveralJobs
from mapreduce.failures import FailureReport, UserCodeFailed, raised, seed_linecache
from mapreduce.plan.imports import (
    PROTECTED,
    CodeFinder,
    CodeSource,
    decoded_source,
    install,
    is_installed,
)
from mapreduce.plan.no_input import no_input
from mapreduce.plan.spec import CodeRef


def load_module(
    source: CodeSource, module_file: str, name: str = "", private: Collection[str] = ()
) -> types.ModuleType:
    """Executes the job's file as module `name`; `private`: see imports.py. Raises UserCodeFailed
    with the user's traceback for whatever goes wrong in it, a syntax error included."""
    name = name or module_name(source, module_file)
    finder = CodeFinder(source, private)
    install(finder)
    path = source.shown(module_file)
    module = types.ModuleType(name)
    module.__file__ = str(source.file(module_file))
    finder.loaded.add(name)
    sys.modules[name] = module
    data = source.read(module_file)
    try:
        with no_input():
            text = decoded_source(data, path)
            seed_linecache(path, text)
            exec(compile(text, path, "exec", dont_inherit=True), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and the like are the file's doing too
        raise UserCodeFailed(_load_failure(error, path)) from error
    return module


def _load_failure(error: BaseException, path: str) -> FailureReport:
    report = raised(error)
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}, line {error.lineno}" if error.lineno else error.filename
        return msgspec.structs.replace(
            report, message=f"{type(error).__name__} in {where}: {error.msg}"
        )
    return report


def module_name(source: CodeSource, module_file: str) -> str:
    """The name under which a job's file is imported: its stem as an identifier, unless a module is
    called so already: Python's, ours, an installed one, or another beside the job. Classes travel
    under it, so it is settled when the job is planned."""
    stem = module_file.removesuffix(".py")
    name = re.sub(r"\W", "_", stem)
    if not name.isidentifier() or name in PROTECTED or is_installed(name, source):
        name = f"job_{name}"
    while name != stem and source.has_module(name):
        name += "_"
    return name


def private_modules(source: CodeSource) -> list[str]:
    """Modules beside the job that are called like installed ones."""
    return [
        name
        for name in source.top_modules()
        if name not in PROTECTED and is_installed(name, source)
    ]


def job_classes(module: types.ModuleType) -> list[type[Job]]:
    """The Job classes that the file itself defines, in the order of their definition; bases of
    another one among them do not count."""
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Job)
    ]
    unique = list(dict.fromkeys(job for job in classes if job.__module__ == module.__name__))
    return [
        job
        for job in unique
        if not any(other is not job and issubclass(other, job) for other in unique)
    ]


def choose_job(module: types.ModuleType, class_name: str, shown: str) -> type[Job]:
    """The one Job of the file, or the named one. Raises UsageError that says which there are."""
    if class_name:
        chosen = getattr(module, class_name, None)
        if not (isinstance(chosen, type) and issubclass(chosen, Job)):
            names = ", ".join(job.__name__ for job in job_classes(module)) or "none"
            raise UsageError(f"{shown} has no Job called {class_name}; it has: {names}")
    else:
        found = job_classes(module)
        if not found:
            raise UsageError(
                f"{shown} defines no Job: a class with a map method that derives from "
                "mapreduce.Job",
                next_command="mrc run --help",
            )
        if len(found) > 1:
            names = " and ".join(job.__name__ for job in found)
            raise SeveralJobs(
                f"{shown} defines {len(found)} Jobs: {names}; say which one",
                next_command=f"{shown}:{found[0].__name__}",
            )
        chosen = found[0]
    if not defines(chosen, "map"):
        raise UsageError(f"{shown}: Job {chosen.__name__} has no map method")
    return chosen


def load_job(code: CodeRef, directory: Path) -> type[Job]:
    """The job's class, from the directory that holds its files. For task processes. Raises
    UserCodeFailed when the code does not load."""
    source = CodeSource(code.origin, directory)
    module = load_module(source, code.module_file, code.module, code.private)
    return choose_job(module, code.class_name, code.module_file)
