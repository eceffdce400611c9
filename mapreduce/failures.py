"""How a task ends badly: one exception family that carries the FailureReport a user will read.

`run_map`, `run_map_only` and `run_reduce` raise nothing but `TaskFailed` and its subclasses (and
KeyboardInterrupt). A report's traceback starts at the first frame that is not ours;
`engine_traceback` keeps all of them for `-v`.
"""

from __future__ import annotations

import errno
import linecache
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import msgspec

RECORD_CHARACTERS = 200
MESSAGE_CHARACTERS = 1000
LINE_CHARACTERS, TRACEBACK_CHARACTERS = 4_000, 48_000
"""Of one frame or exception of a traceback, and of all of it: a message may be as long as the data
it complains about."""
_HEADER = "Traceback (most recent call last):\n"
_OURS = tuple(
    str(Path(__file__).resolve().parents[1] / package) + "/"
    for package in ("mapreduce", "mrc", "clusterkit", "minihdfs")
)


class FailureReport(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt ended, as the user should read it."""

    # raised | exited | signalled | no_progress | memory | bad_key | bad_record | input | storage |
    # permission | shuffle | disk | engine
    kind: str
    # one line: "ValueError: invalid literal …", "exited with status 3", "killed by SIGSEGV"
    message: str
    traceback: str = ""  # the user's frames only
    engine_traceback: str = ""  # all frames, shown with -v
    path: str = ""
    offset: int = -1  # byte offset of the record
    record: str = ""  # its text, cut at 200 characters
    attempt_id: str = ""
    worker_id: str = ""
    next_command: str = ""  # what to try on that worker's machine; "" = what is tried for any job

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> FailureReport:
        return msgspec.json.decode(data, type=FailureReport)


class TaskFailed(Exception):
    """Ends a task attempt. `report` is complete but for attempt and worker id, which the worker
    knows."""

    def __init__(self, report: FailureReport) -> None:
        super().__init__(report.message)
        self.report = report


class UserCodeFailed(TaskFailed):
    """The job's own fault: it raised, exited, or yielded something that cannot be a key; or its
    input is not what it says."""


class SegmentCorrupt(TaskFailed):
    """A map output segment does not match its checksum or does not decode: fetch it again, or make
    it again."""

    def __init__(self, report: FailureReport, task: int) -> None:
        super().__init__(report)
        self.task = task  # whose output it is


_STANDARD_LIBRARY = str(Path(linecache.__file__).resolve().parent) + "/"


def is_ours(filename: str) -> bool:
    """Whether a frame belongs to the engine rather than to the user."""
    return filename.startswith(_OURS) or filename.startswith("<frozen importlib")


def _is_standard(filename: str) -> bool:
    return filename.startswith(_STANDARD_LIBRARY) and "-packages/" not in filename


def printable(text: str) -> str:
    """Lone surrogates (of a user's own making, or of a file name that is no UTF-8) as escapes:
    reports travel as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def record_text(record: object) -> str:
    """A record as a message shows it: text as it is, bytes decoded where they can be, cut at 200
    characters."""
    if isinstance(record, bytes):
        text = record[: 4 * RECORD_CHARACTERS].decode("utf-8", "backslashreplace")
    else:
        text = printable(
            record[: RECORD_CHARACTERS + 1] if isinstance(record, str) else repr(record)
        )
    return text if len(text) <= RECORD_CHARACTERS else text[: RECORD_CHARACTERS - 1] + "…"


def one_line(error: BaseException) -> str:
    """`ValueError: invalid literal …`, whatever the exception's own str does."""
    try:
        said = str(error)
        text = cut(" ".join(said[: 4 * MESSAGE_CHARACTERS].split()), MESSAGE_CHARACTERS, len(said))
    except (
        BaseException
    ):  # a user's __str__ may raise anything; the type's name is still worth telling
        text = "(its message cannot be shown)"
    name = type(error).__qualname__
    return printable(f"{name}: {text}" if text else name)


def cut(text: str, most: int, length: int = 0) -> str:
    """The beginning of a text that is too long, and how much was left out; `length` is the whole
    one's where it was cut before."""
    if len(text) <= most:
        return text
    return f"{text[:most]} [… {max(len(text), length) - most} characters left out]"


def user_traceback(error: BaseException) -> str:
    """The traceback without frames of ours, causes and contexts included; only the exception lines
    where no frame is the user's."""
    shown = traceback.TracebackException.from_exception(error, compact=True)
    part: traceback.TracebackException | None = shown
    seen: set[int] = set()
    parts = [shown]
    while parts:
        part = parts.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        frames = [frame for frame in part.stack if not is_ours(frame.filename)]
        first = next(
            (i for i, frame in enumerate(frames) if not _is_standard(frame.filename)), len(frames)
        )
        part.stack = traceback.StackSummary.from_list(frames[first:])
        parts += [linked for linked in (part.__cause__, part.__context__) if linked is not None]
        parts += getattr(part, "exceptions", None) or []
    return (
        _joined(shown.format()).removeprefix(_HEADER)
        if not shown.stack
        else _joined(shown.format())
    )


def user_frames(error: BaseException) -> str:
    """The user's frames alone, for an error that says all itself."""
    return user_traceback(error).removeprefix(_HEADER)


def full_traceback(error: BaseException) -> str:
    return _joined(traceback.format_exception(error))


def has_user_frame(trace: TracebackType | None) -> bool:
    """Whether the exception passed through code that is neither ours nor the standard library's,
    which we call too."""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not is_ours(name) and not _is_standard(name):
            return True
        trace = trace.tb_next
    return False


def raised(
    error: BaseException, *, path: str = "", offset: int = -1, record: object = "", why: str = ""
) -> FailureReport:
    """The report on an exception that came out of the user's code. `why` is what it means, where
    the exception alone would not say."""
    kind, message = "raised", cut(printable(why), MESSAGE_CHARACTERS) or one_line(error)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        message += " (the job's file_limit_bytes)"
    if isinstance(error, SystemExit):
        kind, message = "exited", f"exited with status {exit_status(error)}"
    return FailureReport(
        kind=kind,
        message=message,
        traceback=user_traceback(error),
        engine_traceback=full_traceback(error),
        path=printable(path),
        offset=offset,
        record=record_text(record),
    )


def exit_status(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1


def seed_linecache(filename: str, source: str) -> None:
    """Lets tracebacks quote a file that need not exist here."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def _joined(lines: Iterable[str]) -> str:
    """Lines of a traceback as one text. Its beginning and its end tell the story of a recursion."""
    text = printable(
        "".join(
            [
                cut(line, LINE_CHARACTERS) + ("\n" if len(line) > LINE_CHARACTERS else "")
                for line in lines
            ]
        ).rstrip("\n")
    )
    if len(text) <= TRACEBACK_CHARACTERS:
        return text
    half = TRACEBACK_CHARACTERS // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
