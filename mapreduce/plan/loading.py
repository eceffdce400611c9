"""Turns a job's source into its class. The only place where user code is executed for the first time.

The source is a code archive (packaging.py) or the directory it came from. Modules are compiled with the path they had on the author's
machine, and linecache is seeded, so that tracebacks and `inspect` show what the author wrote; modules beside the job's file are importable
by their names (the standard library's names are never shadowed). One job's code is loaded at a time: loading the next forgets the
modules of the last.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import io
import sys
import types
import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from clusterkit.errors import UsageError
from mapreduce.api.job import Job, defines
from mapreduce.engine.failures import UserCodeFailed, raised, seed_linecache
from mapreduce.errors import SeveralJobs
from mapreduce.plan.packaging import verify
from mapreduce.plan.spec import CodeRef, FailureReport

_Spec = importlib.machinery.ModuleSpec


class CodeSource:
    """The files of a job by relative name, and the directory that their paths are shown under."""

    def __init__(self, origin: str, *, archive: bytes | None = None, directory: Path | None = None) -> None:
        self.origin = origin
        self._directory = directory
        self._archive = zipfile.ZipFile(io.BytesIO(archive)) if archive is not None else None
        self._names = frozenset(self._archive.namelist()) if self._archive is not None else frozenset()

    def path(self, name: str) -> str:
        return f"{self.origin.rstrip('/')}/{name}"

    def has(self, name: str) -> bool:
        return (self._directory / name).is_file() if self._directory is not None else name in self._names

    def has_modules_in(self, name: str) -> bool:
        """Whether `name` is a directory that holds Python files."""
        if self._directory is not None:
            return any((self._directory / name).glob("*.py"))
        return any(other.startswith(name + "/") and other.endswith(".py") and "/" not in other[len(name) + 1 :] for other in self._names)

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        if self._directory is not None:
            return (self._directory / name).read_bytes()
        if self._archive is None or name not in self._names:
            raise FileNotFoundError(name)
        return self._archive.read(name)


class _CodeFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the modules beside a job's file. It stands first, as a script's own directory does."""

    def __init__(self, source: CodeSource) -> None:
        self.source = source
        self.loaded: set[str] = set()

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None) -> _Spec | None:
        base, top = fullname.replace(".", "/"), fullname.partition(".")[0]
        if top in _PROTECTED or ("." in fullname and top not in self.loaded):
            return None
        for name, is_package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if self.source.has(name):
                return self._spec(fullname, name, is_package)
        if self.source.has_modules_in(base) and ("." in fullname or importlib.machinery.PathFinder.find_spec(fullname) is None):
            spec = _Spec(fullname, None, is_package=True)
            spec.submodule_search_locations = [self.source.path(base)]
            self.loaded.add(fullname)
            return spec
        return None

    def _spec(self, fullname: str, name: str, is_package: bool) -> _Spec:
        spec = _Spec(fullname, self, origin=self.source.path(name), is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [self.source.path(fullname.replace(".", "/"))]
        self.loaded.add(fullname)
        return spec

    def is_package(self, fullname: str) -> bool:
        return self.source.has(fullname.replace(".", "/") + "/__init__.py")

    def get_source(self, fullname: str) -> str:
        base = fullname.replace(".", "/")
        name = f"{base}/__init__.py" if self.is_package(fullname) else f"{base}.py"
        return _decoded(self.source.read(name), self.source.path(name))

    def get_data(self, path: str) -> bytes:
        """For pkgutil.get_data and importlib.resources."""
        return self.source.read(str(Path(path).relative_to(self.source.origin)))

    def exec_module(self, module: types.ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None and spec.origin is not None
        text = self.get_source(module.__name__)
        seed_linecache(spec.origin, text)
        exec(compile(text, spec.origin, "exec", dont_inherit=True), module.__dict__)


_PROTECTED = sys.stdlib_module_names | {"mapreduce", "minihdfs", "clusterkit", "coordinator", "mrc", "__main__"}
_current: _CodeFinder | None = None


def _decoded(data: bytes, path: str) -> str:
    """A source file's text by its coding cookie. Raises SyntaxError, as Python does."""
    try:
        return importlib.util.decode_source(data)
    except UnicodeDecodeError as error:
        raise SyntaxError(f"not valid {error.encoding} text at byte {error.start}", (path, None, None, None)) from None
    except SyntaxError as error:  # of the coding cookie; it does not say which file
        raise SyntaxError(f"not a text of its declared or default encoding, UTF-8 ({error})", (path, None, None, None)) from None


def load_module(source: CodeSource, module_file: str) -> types.ModuleType:
    """Executes the job's file. Raises UserCodeFailed with the user's traceback for whatever goes wrong in it, a syntax error included."""
    global _current
    if _current is not None:
        sys.meta_path.remove(_current)
        for name in _current.loaded:
            sys.modules.pop(name, None)
    finder = _current = _CodeFinder(source)
    sys.meta_path.insert(0, finder)
    path, name = source.path(module_file), module_name(module_file)
    module = types.ModuleType(name)
    module.__file__ = path
    finder.loaded.add(name)
    sys.modules[name] = module
    data = source.read(module_file)
    try:
        text = _decoded(data, path)
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
        return msgspec.structs.replace(report, message=f"{type(error).__name__} in {where}: {error.msg}")
    return report


def module_name(module_file: str) -> str:
    """The name under which a job's file is imported: its stem, unless Python or this project has a module of that name."""
    stem = module_file.removesuffix(".py")
    return f"job_{stem}" if stem in _PROTECTED else stem


def job_classes(module: types.ModuleType) -> list[type[Job]]:
    """The Job classes that the file itself defines, in the order of their definition; bases of another one among them do not count."""
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Job)]
    unique = list(dict.fromkeys(job for job in classes if job.__module__ == module.__name__))
    return [job for job in unique if not any(other is not job and issubclass(other, job) for other in unique)]


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
                f"{shown} defines no Job: a class with a map method that derives from mapreduce.Job", next_command="mrc run --help"
            )
        if len(found) > 1:
            names = " and ".join(job.__name__ for job in found)
            raise SeveralJobs(f"{shown} defines {len(found)} Jobs: {names}; say which one", next_command=f"{shown}:{found[0].__name__}")
        chosen = found[0]
    if not defines(chosen, "map"):
        raise UsageError(f"{shown}: Job {chosen.__name__} has no map method")
    return chosen


def load_job(code: CodeRef, archive: bytes | Path) -> type[Job]:
    """The job's class, from the bytes of its code archive or from a directory that holds its files. For task processes.

    Raises UserCodeFailed when the code does not load, CorruptRecord when the bytes are not the archive that `code` names."""
    if isinstance(archive, bytes):
        verify(archive, code)
        source = CodeSource(code.origin, archive=archive)
    else:
        source = CodeSource(code.origin, directory=archive)
    module = load_module(source, code.module_file)
    return choose_job(module, code.class_name, code.module_file)
