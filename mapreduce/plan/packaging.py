"""Makes the code archive: the job's file and the modules beside it, as a zip whose bytes depend on
nothing but names and contents.

What goes in: every `*.py` beside the job's file, and the packages there (directories that hold
`*.py`), with their data files. What stays out without a word: hidden names, caches, virtual
environments, and other files beside the job (inputs and outputs often lie there). What stays out
and is told: a package's file that does not fit, cannot be read or has a name that is no UTF-8, and
a file beside the job that its code names. Everything is bounded, because a job's file may lie in
anybody's home directory.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from clusterkit.errors import CorruptRecord, UsageError
from mapreduce.failures import printable
from mapreduce.plan.spec import CodeRef

MAX_ARCHIVE_BYTES = 64 << 20
MAX_FILES = 5_000
MAX_BESIDE = 1_000
"""Files beside the job's that are looked for in its code."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED_DIRECTORIES = frozenset({"__pycache__", "node_modules"})


def package_code(file: Path, left_out: list[str] | None = None) -> tuple[bytes, str]:
    """The archive and its SHA-256 in hexadecimal. Adds to `left_out` what its author may miss, each
    with the reason. Raises UsageError when the code alone would grow beyond bounds."""
    gathering = _Gathering(file)
    content = gathering.archive()
    if left_out is not None:
        left_out += gathering.left_out
    return content, hashlib.sha256(content).hexdigest()


def unpack_code(archive: bytes, code: CodeRef, directory: Path) -> None:
    """The archive's files in a directory of their own. Raises CorruptRecord unless these are the
    bytes that the job was submitted with."""
    found = hashlib.sha256(archive).hexdigest()
    if found != code.sha256:
        raise CorruptRecord(
            f"code archive {code.archive} is not the one submitted: SHA-256 {found[:12]}…, "
            f"wanted {code.sha256[:12]}…"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            if sum(info.file_size for info in opened.infolist()) > MAX_ARCHIVE_BYTES:
                raise CorruptRecord(
                    f"code archive {code.archive} holds more than {MAX_ARCHIVE_BYTES >> 20} MiB"
                )
            opened.extractall(directory)
    except zipfile.BadZipFile as error:
        raise CorruptRecord(f"code archive {code.archive}: {error}") from error


class _Gathering:
    def __init__(self, file: Path) -> None:
        self.left_out: list[str] = []
        self._file, self._root = file, file.resolve().parent
        self._read: dict[str, bytes] = {}
        self._total = 0

    def archive(self) -> bytes:
        code, data = self._names()
        for name, path in sorted(code):
            self._add(name, path)
        for name, path in data:
            self._add_if_it_fits(name, path)
        self._look_beside()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name in sorted(self._read):
                info = zipfile.ZipInfo(name, _EPOCH)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(info, self._read[name])
        return buffer.getvalue()

    def _names(self) -> tuple[list[tuple[str, Path]], list[tuple[str, Path]]]:
        """(code, data): name in the archive and path of each."""
        if printable(self._file.name) != self._file.name:
            raise UsageError(
                f"job file {printable(str(self._file))}: its name must be UTF-8 text to travel",
                next_command="mv",
            )
        code, data = [(self._file.name, self._file)], list[tuple[str, Path]]()
        for name, path in self._beside():
            if printable(name) != name:
                self.left_out.append(f"{printable(name)} (its name is no UTF-8)")
            elif not _is_readable(path):
                self.left_out.append(f"{name} (it cannot be read)")
            else:
                (code if path.suffix == ".py" else data).append((name, path))
        if len(code) > MAX_FILES:
            raise UsageError(
                f"there are more than {MAX_FILES} code files beside {self._file}",
                next_command="move the job's file to a directory of its own",
            )
        if len(code) + len(data) > MAX_FILES:
            kept = MAX_FILES - len(code)
            self.left_out.append(
                f"{data[kept][0]} and {len(data) - kept - 1} more (more than {MAX_FILES} files)"
            )
            data = data[:kept]
        return code, data

    def _beside(self) -> Iterator[tuple[str, Path]]:
        for path in sorted(self._root.iterdir()):
            if path.name == self._file.name or path.name.startswith("."):
                continue
            if path.suffix == ".py" and path.is_file():
                yield path.name, path
            elif path.is_dir() and _is_package(path):
                yield from _package_files(self._root, path, {path.resolve()})

    def _add(self, name: str, path: Path) -> None:
        self._read[name] = path.read_bytes()
        self._total += len(self._read[name])
        if self._total > MAX_ARCHIVE_BYTES:
            raise UsageError(
                f"the code beside {self._file} is more than {MAX_ARCHIVE_BYTES >> 20} MiB (at "
                f"{name})",
                next_command="move the job's file to a directory of its own",
            )

    def _add_if_it_fits(self, name: str, path: Path) -> None:
        size = path.stat().st_size
        if self._total + size > MAX_ARCHIVE_BYTES:
            self.left_out.append(
                f"{name} ({size >> 20} MiB; all together may be {MAX_ARCHIVE_BYTES >> 20})"
            )
        else:
            self._add(name, path)

    def _look_beside(self) -> None:
        """A file beside the job's that its code seems to read: it is found here, and would not be
        on the cluster."""
        texts = [data for name, data in self._read.items() if name.endswith(".py")]
        entries = (
            entry
            for entry in sorted(os.scandir(self._root), key=lambda entry: entry.name)
            if entry.is_file()
        )
        loose = [
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.name not in self._read
        ]
        for name in loose[:MAX_BESIDE]:
            wanted = os.fsencode(name)
            if not name.endswith(".py") and any(wanted in text for text in texts):
                self.left_out.append(
                    f"{printable(name)} (its code names it, but only modules and packages go "
                    "with a job)"
                )


def _is_package(path: Path) -> bool:
    """An importable directory that holds Python files and is neither hidden nor a virtual
    environment."""
    if (
        path.name in _SKIPPED_DIRECTORIES
        or not path.name.isidentifier()
        or (path / "pyvenv.cfg").exists()
    ):
        return False
    try:
        return any(child.suffix == ".py" for child in path.iterdir())
    except OSError:
        return False


def _package_files(root: Path, directory: Path, above: set[Path]) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.name in _SKIPPED_DIRECTORIES or path.suffix == ".pyc":
            continue
        if path.is_dir():
            real = path.resolve()
            if (
                real not in above and not (path / "pyvenv.cfg").exists()
            ):  # a link that leads back up
                yield from _package_files(root, path, above | {real})
        elif path.is_file():  # asked first: opening a FIFO would wait for a writer
            yield str(path.relative_to(root)), path


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False
