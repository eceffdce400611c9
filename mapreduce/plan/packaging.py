"""Makes the code archive: the job's file and the modules beside it, as a zip whose bytes depend on nothing but names and contents.

What goes in: every `*.py` beside the job's file, and the packages there (directories that hold `*.py`), with their small data files. What
stays out: hidden names, caches, virtual environments, other files beside the job (inputs and outputs often lie
there), and files of packages above MAX_DATA_FILE_BYTES. Everything is bounded, because a job's file may lie in anybody's home directory.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from clusterkit.errors import CorruptRecord, UsageError
from mapreduce.plan.spec import CodeRef

MAX_ARCHIVE_BYTES = 64 << 20
MAX_FILES = 5_000
MAX_DATA_FILE_BYTES = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED_DIRECTORIES = frozenset({"__pycache__", "node_modules", "venv", "env", "site-packages", "build", "dist"})


def package_code(file: Path) -> tuple[bytes, str]:
    """The archive and its SHA-256 in hexadecimal. Raises UsageError when it would grow beyond bounds."""
    files = sorted(_collect(file), key=lambda pair: pair[0])
    buffer, total = io.BytesIO(), 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, path in files:
            data = path.read_bytes()
            total += len(data)
            if total > MAX_ARCHIVE_BYTES:
                raise UsageError(
                    f"the code beside {file} is more than {MAX_ARCHIVE_BYTES >> 20} MiB (at {name})",
                    next_command="move the job's file to a directory of its own",
                )
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, data)
    content = buffer.getvalue()
    return content, hashlib.sha256(content).hexdigest()


def verify(archive: bytes, code: CodeRef) -> None:
    """Raises CorruptRecord unless these are the bytes that the job was submitted with."""
    found = hashlib.sha256(archive).hexdigest()
    if found != code.sha256:
        raise CorruptRecord(f"code archive {code.archive} is not the one submitted: SHA-256 {found[:12]}…, wanted {code.sha256[:12]}…")


def _collect(file: Path) -> Iterator[tuple[str, Path]]:
    root = file.resolve().parent
    yield file.name, file
    count = 1
    for path in sorted(root.iterdir()):
        if path.name == file.name or path.name.startswith("."):
            continue
        if path.suffix == ".py" and _is_readable_file(path):
            found: Iterator[tuple[str, Path]] = iter([(path.name, path)])
        elif path.is_dir() and _is_package(path):
            found = _package_files(root, path, {path.resolve()})
        else:
            continue
        for pair in found:
            count += 1
            if count > MAX_FILES:
                raise UsageError(
                    f"there are more than {MAX_FILES} code files beside {file}",
                    next_command="move the job's file to a directory of its own",
                )
            yield pair


def _is_package(path: Path) -> bool:
    """An importable directory that holds Python files and is neither hidden nor a virtual environment."""
    if path.name in _SKIPPED_DIRECTORIES or not path.name.isidentifier() or (path / "pyvenv.cfg").exists():
        return False
    try:
        return any(child.suffix == ".py" for child in path.iterdir())
    except OSError:
        return False


def _package_files(root: Path, directory: Path, above: set[Path]) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.name in _SKIPPED_DIRECTORIES:
            continue
        if path.is_dir():
            real = path.resolve()
            if real not in above:  # a link that leads back up
                yield from _package_files(root, path, above | {real})
        elif _is_readable_file(path) and (path.suffix == ".py" or path.stat().st_size <= MAX_DATA_FILE_BYTES) and path.suffix != ".pyc":
            yield str(path.relative_to(root)), path


def _is_readable_file(path: Path) -> bool:
    try:
        if not path.is_file():  # asked first: opening a FIFO would wait for a writer
            return False
        with path.open("rb"):
            return True
    except OSError:
        return False
