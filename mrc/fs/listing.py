"""The verbs of `mrc fs` that only look: ls, du, df, count, stat, test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clusterkit.errors import ClusterError, UsageError
from minihdfs.errors import AccessDenied
from minihdfs.model import ContentSummary
from mrc.fs.targets import Found, Verb
from mrc.fs.text import facts_of, minute_text, permission_text, print_table, second_text, size_text
from mrc.printing import out, out_json


@dataclass(frozen=True, slots=True)
class LsOptions:
    directory: bool = False
    human: bool = False
    recursive: bool = False
    by_time: bool = False
    by_size: bool = False
    reverse: bool = False
    paths_only: bool = False
    access_time: bool = False
    json: bool = False


def ls(verb: Verb, paths: Sequence[str], options: LsOptions) -> int:
    if not paths:
        target = verb.target(".")
        paths = ["." if target.fs.exists(target.path) else "/"]
    rows: list[Found] = []
    for found in verb.each(paths):
        with verb.trying():
            entries = [*_entries(verb, found, options)]
            if options.json:
                rows += entries
                continue
            if (
                found.is_directory
                and not (options.recursive or options.directory or options.paths_only)
                and entries
            ):
                out(f"Found {len(entries)} items")
            _print_entries(entries, options)
    if options.json:
        out_json([facts_of(row.shown, row.entry.status) for row in rows])
    return verb.exit_code


def _entries(verb: Verb, found: Found, options: LsOptions) -> Iterator[Found]:
    if options.directory or not found.is_directory:
        entries = [found]
    elif options.recursive:
        entries = [*verb.below(found)]
    else:
        entries = [found.at(entry) for entry in found.fs.scan(found.path)]
    if options.by_time:
        entries.sort(
            key=lambda row: (
                -(
                    row.entry.status.accessed_us
                    if options.access_time
                    else row.entry.status.modified_us
                )
            )
        )
    elif options.by_size:
        entries.sort(key=lambda row: -row.entry.status.length)
    return iter(entries[::-1] if options.reverse else entries)


def _print_entries(entries: Sequence[Found], options: LsOptions) -> None:
    if options.paths_only:
        for row in entries:
            out(row.shown)
        return
    table = []
    for row in entries:
        status = row.entry.status
        table.append(
            (
                ("d" if status.is_directory else "-") + permission_text(status.permission) + " ",
                f"{'-' if status.is_directory else status.replication:>2}",
                status.owner,
                status.group,
                f"{size_text(status.length, human=options.human):>10}",
                minute_text(status.accessed_us if options.access_time else status.modified_us),
                row.shown,
            )
        )
    print_table(table, (True, False, True, True, False, True, True))


def du(
    verb: Verb, paths: Sequence[str], *, summary: bool, human: bool, header: bool, as_json: bool
) -> int:
    rows: list[tuple[Found, ContentSummary]] = []
    for found in verb.each(paths):
        with verb.trying():
            inside = (
                [found]
                if summary or not found.is_directory
                else [found.at(entry) for entry in found.fs.scan(found.path)]
            )
            rows += [(row, row.fs.content_summary(row.path)) for row in inside]
    if as_json:
        out_json(
            [
                {"path": row.shown, "length": total.length, "space_consumed": total.space_consumed}
                for row, total in rows
            ]
        )
        return verb.exit_code
    table = [("SIZE", "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS", "FULL_PATH_NAME")] if header else []
    for row, total in rows:
        table.append(
            (
                size_text(total.length, human=human),
                size_text(total.space_consumed, human=human),
                row.shown,
            )
        )
    print_table(table, (True, True, True), gap="  ")
    return verb.exit_code


def df(verb: Verb, paths: Sequence[str], *, human: bool, as_json: bool) -> int:
    rows: list[dict[str, Any]] = []
    for text in dict.fromkeys(paths or ["/"]):
        with verb.trying():
            target = verb.target(text)
            if paths:
                verb.matches(text)
            stats = target.fs.fs_stats()
            whole, free = verb.disks_below(target)
            sizes = {"size_bytes": min(stats.capacity_bytes, whole), "used_bytes": stats.used_bytes}
            sizes["available_bytes"] = min(stats.remaining_bytes, free)
            if not any(row["filesystem"] == target.fs.uri for row in rows):
                rows.append({"filesystem": target.fs.uri, **sizes})
    if as_json:
        out_json(rows)
        return verb.exit_code
    table = [("Filesystem", "Size", "Used", "Available", "Use%")]
    for row in rows:
        sizes_text = (
            size_text(row[key], human=human)
            for key in ("size_bytes", "used_bytes", "available_bytes")
        )
        used = f"{100 * row['used_bytes'] // max(1, row['size_bytes'])}%"
        table.append((row["filesystem"], *sizes_text, used))
    print_table(table, (True, False, False, False, False), gap="  ")
    return verb.exit_code


def count(
    verb: Verb, paths: Sequence[str], *, quotas: bool, human: bool, header: bool, as_json: bool
) -> int:
    facts: list[dict[str, Any]] = []
    if header and not as_json:
        quota_heads = (
            f"{'QUOTA':>12} {'REM_QUOTA':>15} {'SPACE_QUOTA':>15} {'REM_SPACE_QUOTA':>15} "
            if quotas
            else ""
        )
        out(f"{quota_heads}{'DIR_COUNT':>12} {'FILE_COUNT':>12} {'CONTENT_SIZE':>18} PATHNAME")
    for found in verb.each(paths):
        with verb.trying():
            total = found.fs.content_summary(found.path)
            if as_json:
                facts.append(
                    {
                        "path": found.shown,
                        "directories": total.directories,
                        "files": total.files,
                        "length": total.length,
                    }
                )
                facts[-1] |= {
                    "quota": total.quota,
                    "space_quota": total.space_quota,
                    "space_consumed": total.space_consumed,
                }
                continue
            front = _quota_text(total, human) if quotas else ""
            sizes = (
                f"{total.directories:>12} {total.files:>12} "
                f"{size_text(total.length, human=human):>18}"
            )
            out(f"{front}{sizes} {found.shown}")
    if as_json:
        out_json(facts)
    return verb.exit_code


def _quota_text(total: ContentSummary, human: bool) -> str:
    names = (
        ("none", "inf")
        if total.quota < 0
        else (str(total.quota), str(total.quota - total.files - total.directories))
    )
    space = ("none", "inf")
    if total.space_quota >= 0:
        space = (
            size_text(total.space_quota, human=human),
            size_text(total.space_quota - total.space_consumed, human=human),
        )
    return f"{names[0]:>12} {names[1]:>15} {space[0]:>15} {space[1]:>15} "


def stat(verb: Verb, arguments: Sequence[str], *, as_json: bool) -> int:
    form, paths = (
        ("%y", arguments)
        if not arguments or "%" not in arguments[0]
        else (arguments[0], arguments[1:])
    )
    if not paths:
        raise UsageError(
            "stat: name at least one path", next_command="mrc fs stat '%a %b %n' /path"
        )
    facts: list[dict[str, Any]] = []
    for found in verb.each(paths):
        with verb.trying():
            if as_json:
                facts.append(facts_of(found.shown, found.entry.status))
            else:
                out(formatted(form, found))
    if as_json:
        out_json(facts)
    return verb.exit_code


def formatted(form: str, found: Found) -> str:
    """Hadoop's stat formats: %a %A %b %F %g %n %o %r %u %x %X %y %Y, and %% for itself."""
    status = found.entry.status
    values = {
        "a": f"{status.permission:o}",
        "A": permission_text(status.permission),
        "b": str(status.length),
        "F": "directory" if status.is_directory else "regular file",
        "g": status.group,
        "n": found.entry.name or "/",
        "o": str(status.block_bytes),
        "r": str(status.replication),
        "u": status.owner,
        "x": second_text(status.accessed_us),
        "X": str(status.accessed_us // 1000),
        "y": second_text(status.modified_us),
        "Y": str(status.modified_us // 1000),
        "%": "%",
    }
    said, rest = "", form
    while rest:
        before, percent, rest = rest.partition("%")
        said += before
        if percent:
            said += values.get(rest[:1], "%" + rest[:1])
            rest = rest[1:]
    return said


def test(verb: Verb, path: str, question: str) -> int:
    """0 when the answer is yes, 1 when it is no. `question` is one of d e f s w r z."""
    target = verb.target(path)
    status = target.fs.find(target.path)
    if status is None:
        return 1
    if question in "rw":
        try:
            target.fs.calls.check_access(target.path, 4 if question == "r" else 2)
        except AccessDenied:
            return 1
        except ClusterError as error:
            verb.failed(error)
            return verb.exit_code
        return 0
    answers = {
        "e": True,
        "d": status.is_directory,
        "f": not status.is_directory,
        "s": status.length > 0,
        "z": status.length == 0,
    }
    return 0 if answers[question] else 1
