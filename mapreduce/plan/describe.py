"""What the command line and the planner need to know of a job class: plain data, taken from the
class once."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from clusterkit.errors import UsageError
from mapreduce.api.job import PARAMETER_TYPES, Job, defines
from mapreduce.failures import printable
from mapreduce.plan.imports import CodeSource
from mapreduce.plan.loading import choose_job, load_module, private_modules
from mapreduce.plan.parameters import shown
from mapreduce.plan.spec import CodeRef

SETTINGS: dict[str, type] = {
    "reducers": int,
    "split_bytes": int,
    "encoding_errors": str,
    "max_attempts": int,
    "memory_limit_bytes": int,
    "file_limit_bytes": int,
    "spill_bytes": int,
    "no_progress_limit_s": float,
    "output_replication": int,
}
"""Settings of a job by attribute name, with their types. Each is a class attribute and an option
(`reducers` and `--reducers`)."""

_RESERVED = frozenset({*SETTINGS, "context"})


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: type  # str | int | float | bool
    default: Any
    required: bool

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class JobClassFacts:
    class_name: str
    summary: str  # first line of the docstring
    module_file: str  # file name inside the archive
    origin: str  # absolute directory the file is in
    parameters: tuple[Parameter, ...]
    settings: dict[str, Any]  # every setting: the class's value or the default
    explicit_settings: frozenset[str]  # those that the class itself gives
    record_type: str  # str | bytes
    has_reduce: bool
    has_combine: bool
    module: str = ""  # the name its file is imported under
    private: tuple[str, ...] = ()  # modules beside it that are called like installed ones

    @property
    def file(self) -> Path:
        return Path(self.origin) / self.module_file

    def code(self, sha256: str, archive: str = "") -> CodeRef:
        """How the job's code travels. The directory is for showing only, where its name may be no
        text."""
        return CodeRef(
            archive,
            sha256,
            self.module_file,
            self.class_name,
            printable(self.origin),
            self.module,
            list(self.private),
        )


def split_target(target: str) -> tuple[Path, str]:
    """`FILE[:Job]` -> (path, class name or "")."""
    path, colon, name = target.rpartition(":")
    if colon and name.isidentifier() and path:
        return Path(path), name
    return Path(target), ""


def describe(target: str) -> JobClassFacts:
    """Loads `FILE[:Job]` from this machine's disk and says what it is.

    UsageError: no such file, no Job, two Jobs, a Job without map, a setting or parameter that makes
    no sense. UserCodeFailed: the file has a syntax error or raises when imported; the report
    carries the user's own traceback."""
    file, class_name = split_target(target)
    if not file.is_file():
        reason = "is a directory" if file.is_dir() else "does not exist"
        raise UsageError(
            f"job file {printable(str(file))} {reason}",
            next_command=f"ls {shlex.quote(str(file if file.is_dir() else file.parent))}",
        )
    path = file.resolve()  # as Python: beside a link's file are the modules beside what it leads to
    source = CodeSource(str(path.parent), path.parent)
    try:
        private = tuple(private_modules(source))
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for data
            module = load_module(source, path.name, private=private)
    except OSError as error:
        raise UsageError(
            f"job file {printable(str(file))} cannot be read: {error.strerror}"
        ) from error
    return class_facts(
        choose_job(module, class_name, printable(str(file))),
        path.name,
        str(path.parent),
        module.__name__,
        private,
    )


def class_facts(
    job: type[Job], module_file: str, origin: str, module: str = "", private: tuple[str, ...] = ()
) -> JobClassFacts:
    _check_methods(job)
    hints = _hints(job)
    settings = {name: _setting(job, name, kind) for name, kind in SETTINGS.items()}
    return JobClassFacts(
        class_name=job.__name__,
        summary=_summary(job),
        module_file=module_file,
        origin=origin,
        module=module,
        private=private,
        parameters=tuple(
            _parameter(job, name, hint)
            for name, hint in hints.items()
            if not name.startswith("_") and name not in _RESERVED
        ),
        settings=settings,
        explicit_settings=frozenset(
            name for name in SETTINGS if getattr(job, name) is not getattr(Job, name)
        ),
        record_type=_record_type(job),
        has_reduce=defines(job, "reduce"),
        has_combine=defines(job, "combine"),
    )


def _summary(job: type[Job]) -> str:
    text = (job.__dict__.get("__doc__") or "").strip()
    return str(text.splitlines()[0]) if text else ""


def _hints(job: type[Job]) -> dict[str, Any]:
    """Annotations of the user's classes, bases first, with strings resolved."""
    found: dict[str, Any] = {}
    for base in reversed(job.__mro__):
        own = inspect.get_annotations(base)
        if base is Job or not own:
            continue
        try:
            hints = get_type_hints(base)
        except Exception as error:  # resolving an annotation runs the user's text
            raise UsageError(f"{job.__name__}: its annotations cannot be read: {error}") from error
        found.update(
            {
                name: hints[name]
                for name in own
                if name in hints and "ClassVar" not in str(own[name])
            }
        )
    return found


_METHODS = ("map", "reduce", "combine", "setup", "teardown", "counter")


def _check_methods(job: type[Job]) -> None:
    """A value where the engine calls a method would fail far from its cause."""
    for name in _METHODS:
        value = getattr(job, name, None)
        if value is not None and not callable(value):
            raise UsageError(
                f"{job.__name__}.{name} is {shown(repr(value))}, where every job has a method of "
                "that name"
            )


_NOTHING = object()


def _default(job: type[Job], name: str) -> Any:
    """A parameter's default, wherever the class or the decorator that made it keeps it; _NOTHING
    when there is none."""
    found = inspect.getattr_static(job, name, _NOTHING)
    if found is not _NOTHING and not inspect.ismemberdescriptor(found):
        return found
    field = getattr(job, "__dataclass_fields__", {}).get(name)
    if field is not None:
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        return _NOTHING if field.default is dataclasses.MISSING else field.default
    for attribute in getattr(job, "__attrs_attrs__", ()):
        if attribute.name == name:
            factory = getattr(attribute.default, "factory", None)
            if factory is not None and not attribute.default.takes_self:
                return factory()
            return (
                _NOTHING
                if type(attribute.default).__name__ in ("_Nothing", "NothingType")
                else attribute.default
            )
    return _NOTHING


def _parameter(job: type[Job], name: str, hint: Any) -> Parameter:
    if hint not in PARAMETER_TYPES:
        said = getattr(hint, "__name__", str(hint))
        raise UsageError(
            f"{job.__name__}.{name}: a parameter is str, int, float or bool, not {said}"
        )
    default = _default(job, name)
    if default is _NOTHING:
        return Parameter(name, hint, None, True)
    if hint is float and type(default) is int:
        default = float(default)
    if type(default) is not hint:
        raise UsageError(
            f"{job.__name__}.{name} is annotated {hint.__name__}, but its default is "
            f"{shown(repr(default))}"
        )
    return Parameter(name, hint, default, False)


def _setting(job: type[Job], name: str, kind: type) -> Any:
    value = getattr(job, name)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UsageError(f"{job.__name__}.{name} must be {kind.__name__}, not {value!r}")
    return value


def _record_type(job: type[Job]) -> str:
    """`bytes` when map's first argument says so, `str` when it says str or nothing."""
    function = inspect.unwrap(job.map)
    names = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    is_bound = isinstance(inspect.getattr_static(job, "map"), classmethod)
    wanted = 1 if is_bound or isinstance(inspect.getattr_static(job, "map"), staticmethod) else 2
    if len(names) != wanted:
        raise UsageError(f"{job.__name__}.map takes one record: def map(self, line: str)")
    try:
        hint = get_type_hints(function).get(names[-1].name, str)
    except Exception:  # an annotation that does not resolve is not one of ours
        hint = names[-1].annotation
    if hint in (bytes, "bytes"):
        return "bytes"
    if hint in (str, "str", Any, object) or hint is inspect.Parameter.empty:
        return "str"
    raise UsageError(
        f"{job.__name__}.map: a record is str or bytes, not {getattr(hint, '__name__', hint)}"
    )
