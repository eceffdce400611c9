"""Imports of a job's own modules, and the two ways in which names must not meet.

A job may have a module of the same name as an installed one (`rich.py` beside the job). Python
would let it shadow the installed one for everybody in the process, which breaks what the engine
imports late. Here it is *private*: loaded as `_beside_rich`, which is what `import rich` means in
the job's own modules and nowhere else. Which names are private is settled when the job is planned
and travels with it, so that a class has one name in all its tasks. The standard library's names and
this project's are never anybody's else.
"""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.machinery
import importlib.readers
import importlib.util
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mapreduce.failures import seed_linecache

PROTECTED = sys.stdlib_module_names | {
    "mapreduce",
    "minihdfs",
    "clusterkit",
    "coordinator",
    "mrc",
    "__main__",
}
_PRIVATE = "_beside_"
_Spec = importlib.machinery.ModuleSpec


class CodeSource:
    """The files of a job by relative name: where they are, and the directory that their paths are
    shown under."""

    def __init__(self, origin: str, directory: Path) -> None:
        self.origin, self.directory = origin, directory

    def shown(self, name: str) -> str:
        return f"{self.origin.rstrip('/')}/{name}"

    def file(self, name: str) -> Path:
        return self.directory / name

    def has(self, name: str) -> bool:
        return self.file(name).is_file()

    def has_modules_in(self, name: str) -> bool:
        """Whether `name` is a directory that holds Python files."""
        return any(self.file(name).glob("*.py"))

    def has_module(self, name: str) -> bool:
        return self.has(f"{name}.py") or self.has_modules_in(name)

    def top_modules(self) -> list[str]:
        found = (
            path.stem if path.suffix == ".py" else path.name for path in self.directory.iterdir()
        )
        return sorted(name for name in set(found) if name.isidentifier() and self.has_module(name))

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        return self.file(name).read_bytes()


class CodeFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the modules beside a job's file. It stands first, as a script's own directory
    does."""

    def __init__(self, source: CodeSource, private: Collection[str] = ()) -> None:
        self.source, self.private = source, frozenset(private)
        self.loaded: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> _Spec | None:
        top = fullname.partition(".")[0]
        if top in PROTECTED or top in self.private or ("." in fullname and top not in self.loaded):
            return None
        base = _base(fullname)
        for name, is_package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if self.source.has(name):
                return self._spec(fullname, name, is_package)
        if self.source.has_modules_in(base):  # a package without a file of its own
            spec = _Spec(fullname, self, is_package=True)
            spec.submodule_search_locations = [str(self.source.file(base))]
            self.loaded.add(fullname)
            return spec
        return None

    def _spec(self, fullname: str, name: str, is_package: bool) -> _Spec:
        spec = _Spec(fullname, self, origin=str(self.source.file(name)), is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [str(self.source.file(_base(fullname)))]
        self.loaded.add(fullname)
        return spec

    def is_package(self, fullname: str) -> bool:
        return self.source.has(_base(fullname) + "/__init__.py")

    def get_source(self, fullname: str) -> str:
        name = self._file_name(fullname)
        if not self.source.has(name):
            return ""
        return decoded_source(self.source.read(name), self.source.shown(name))

    def get_data(self, path: str) -> bytes:
        """For pkgutil.get_data."""
        return Path(path).read_bytes()

    def get_resource_reader(self, fullname: str) -> Any:
        """For importlib.resources."""
        return importlib.readers.FileReader(
            cast(Any, types.SimpleNamespace(path=str(self.source.file(self._file_name(fullname)))))
        )

    def exec_module(self, module: types.ModuleType) -> None:
        shown, text = (
            self.source.shown(self._file_name(module.__name__)),
            self.get_source(module.__name__),
        )
        seed_linecache(shown, text)
        exec(compile(text, shown, "exec", dont_inherit=True), module.__dict__)

    def _file_name(self, fullname: str) -> str:
        base = _base(fullname)
        return (
            f"{base}.py"
            if self.source.has(f"{base}.py") and not self.is_package(fullname)
            else f"{base}/__init__.py"
        )

    def is_own(self, importer: Mapping[str, Any] | None) -> bool:
        """Whether the module with these globals is the job's."""
        return (
            importer is not None and str(importer.get("__name__")).partition(".")[0] in self.loaded
        )


_current: CodeFinder | None = None
_python_import = builtins.__import__


def install(finder: CodeFinder) -> None:
    """Makes it the one whose modules can be imported; those of the last one are forgotten."""
    global _current
    if _current is not None:
        sys.meta_path.remove(_current)
        for name in _current.loaded:
            sys.modules.pop(name, None)
    _current = finder
    sys.meta_path.insert(0, finder)
    builtins.__import__ = _import if finder.private else _python_import  # type: ignore[assignment]


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> Any:
    """`import NAME`, where the job's own modules mean their own private ones."""
    assert _current is not None
    if level == 0 and name.partition(".")[0] in _current.private and _current.is_own(globals):
        name = _PRIVATE + name
    return _python_import(name, globals, locals, fromlist, level)


def is_installed(name: str, source: CodeSource) -> bool:
    """Whether a module of that name can be imported that is not the job's own, which PYTHONPATH may
    lead to as well."""
    try:
        spec = importlib.machinery.PathFinder.find_spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return name in sys.modules and (_current is None or name not in _current.loaded)
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return not any(
        Path(place).resolve().is_relative_to(source.directory.resolve()) for place in places
    )


def decoded_source(data: bytes, path: str) -> str:
    """A source file's text by its coding cookie. Raises SyntaxError, as Python does."""
    try:
        return importlib.util.decode_source(data)
    except UnicodeDecodeError as error:
        raise SyntaxError(
            f"not valid {error.encoding} text at byte {error.start}", (path, None, None, None)
        ) from None
    except SyntaxError as error:  # of the coding cookie; it does not say which file
        raise SyntaxError(
            f"not a text of its declared or default encoding, UTF-8 ({error})",
            (path, None, None, None),
        ) from None


def _base(fullname: str) -> str:
    return fullname.removeprefix(_PRIVATE).replace(".", "/")
