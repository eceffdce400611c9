"""`mrc fs`: the verbs and their options. What they do is in the `fs_` rooms beside this one, loaded
when a verb runs.

Hadoop's spelling of a verb (`mrc fs -ls -R /`) is the same verb, and so are its option names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from clusterkit.errors import UsageError
from mrc.fs.spellings import FsGroup

F = TypeVar("F", bound=Callable[..., Any])


@click.group(
    cls=FsGroup, context_settings={"help_option_names": ["--help"]}, invoke_without_command=False
)
def fs() -> None:
    """Work with files in the cluster.

    Paths are the cluster's, as hdfs:///PATH are; hdfs://HOST:PORT/… names another cluster,
    file:///… this machine. Nothing in a URI is decoded. Patterns (* ? [a-z] {a,b}) are expanded
    here, so quote them from your shell; a path that exists as it is written is never a pattern.
    Exit codes: 0 done, 1 failed, 2 wrong usage, 69 no cluster answers, 75 try again, 77 not
    permitted.
    """


def _json(function: F) -> F:
    return click.option(
        "-o",
        "output",
        type=click.Choice(["text", "json"]),
        default="text",
        help="How to print [default: text].",
    )(function)


def _last_is_destination(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """A single word is a source, as Hadoop has it: it goes to the current directory of the other
    side."""
    return (words[:-1], words[-1]) if len(words) > 1 else (words, ".")


_human = click.option("-h", "human", is_flag=True, help="Sizes as 1.5 K, 64.0 M.")
_paths = click.argument("paths", nargs=-1, required=True, metavar="PATH...")
_recursive = click.option("-R", "recursive", is_flag=True, help="Everything below directories too.")
_force = click.option("-f", "force", is_flag=True, help="Replace what exists.")
_preserve = click.option("-p", "preserve", is_flag=True, help="Keep times and permissions.")


@fs.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("-d", "directory", is_flag=True, help="Directories themselves, not what they hold.")
@_human
@click.option("-R", "recursive", is_flag=True, help="Everything below.")
@click.option("-t", "by_time", is_flag=True, help="Newest first.")
@click.option("-S", "by_size", is_flag=True, help="Largest first.")
@click.option("-r", "reverse", is_flag=True, help="The other way round.")
@click.option("-u", "access_time", is_flag=True, help="Time of last access.")
@click.option("-C", "paths_only", is_flag=True, help="Paths only.")
@click.option("-q", is_flag=True, hidden=True, expose_value=False)
@_json
@click.pass_obj
def ls(obj: object, /, paths: tuple[str, ...], output: str, **flags: bool) -> int:
    """List directories and files."""
    from mrc.fs.listing import LsOptions, ls
    from mrc.fs.targets import Verb

    return ls(Verb(obj), paths, LsOptions(json=output == "json", **flags))


@fs.command()
@_paths
@click.option("-s", "summary", is_flag=True, help="The sum of each path only.")
@_human
@click.option("-v", "header", is_flag=True, help="A line of headings.")
@click.option("-x", is_flag=True, hidden=True, expose_value=False)
@_json
@click.pass_obj
def du(
    obj: object, paths: tuple[str, ...], summary: bool, human: bool, header: bool, output: str
) -> int:
    """Sizes: of the content, and with all replicas."""
    from mrc.fs.listing import du
    from mrc.fs.targets import Verb

    return du(
        Verb(obj), paths, summary=summary, human=human, header=header, as_json=output == "json"
    )


@fs.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@_human
@_json
@click.pass_obj
def df(obj: object, paths: tuple[str, ...], human: bool, output: str) -> int:
    """Capacity and use of the file system."""
    from mrc.fs.listing import df
    from mrc.fs.targets import Verb

    return df(Verb(obj), paths, human=human, as_json=output == "json")


@fs.command()
@_paths
@click.option("-q", "quotas", is_flag=True, help="Quotas and what is left of them first.")
@_human
@click.option("-v", "header", is_flag=True, help="A line of headings.")
@_json
@click.pass_obj
def count(
    obj: object, paths: tuple[str, ...], quotas: bool, human: bool, header: bool, output: str
) -> int:
    """Count directories, files and bytes."""
    from mrc.fs.listing import count
    from mrc.fs.targets import Verb

    return count(
        Verb(obj), paths, quotas=quotas, human=human, header=header, as_json=output == "json"
    )


@fs.command()
@click.argument("arguments", nargs=-1, required=True, metavar="[FORMAT] PATH...")
@_json
@click.pass_obj
def stat(obj: object, arguments: tuple[str, ...], output: str) -> int:
    """Facts of files: %a %A permission, %b size, %F type, %g group, %n name, %o block size, %r
    replication, %u owner, %x %X access, %y %Y modification time (UTC; milliseconds)."""
    from mrc.fs.listing import stat
    from mrc.fs.targets import Verb

    return stat(Verb(obj), arguments, as_json=output == "json")


@fs.command()
@click.argument("path")
@click.option("-e", "question", flag_value="e", help="Does it exist?")
@click.option("-d", "question", flag_value="d", help="Is it a directory?")
@click.option("-f", "question", flag_value="f", help="Is it a file?")
@click.option("-s", "question", flag_value="s", help="Is it longer than zero bytes?")
@click.option("-z", "question", flag_value="z", help="Is it of zero length?")
@click.option("-r", "question", flag_value="r", help="May I read it?")
@click.option("-w", "question", flag_value="w", help="May I write it?")
@click.pass_obj
def test(obj: object, path: str, question: str | None) -> int:
    """Answer with the exit code: 0 yes, 1 no."""
    from mrc.fs.listing import test
    from mrc.fs.targets import Verb

    if question is None:
        raise UsageError("test: ask something", next_command="mrc fs test -e PATH")
    return test(Verb(obj), path, question)


@fs.command()
@click.argument("words", nargs=-1, required=True, metavar="LOCAL... [PATH]")
@_force
@_preserve
@click.option("-l", is_flag=True, hidden=True, expose_value=False)
@click.option("-d", "direct", is_flag=True, help="Write under the final name from the beginning.")
@click.option(
    "--replication", type=click.IntRange(1, 512), default=None, help="Replicas of the new files."
)
@click.option(
    "--block-bytes", type=click.IntRange(1024), default=None, help="Block size of the new files."
)
@click.pass_obj
def put(
    obj: object,
    /,
    words: tuple[str, ...],
    force: bool,
    preserve: bool,
    direct: bool,
    **sizes: int | None,
) -> int:
    """Copy files and directories of this machine into the cluster; `-` is standard input. Without
    PATH: to your home directory there."""
    from mrc.fs.targets import Verb
    from mrc.fs.transfer import CopyOptions, put

    replication, block_bytes = sizes["replication"] or 0, sizes["block_bytes"] or 0
    return put(
        Verb(obj),
        *_last_is_destination(words),
        CopyOptions(force, preserve, replication, block_bytes, direct),
    )


@fs.command()
@click.argument("words", nargs=-1, required=True, metavar="PATH... [LOCAL]")
@_force
@_preserve
@click.option("-ignoreCrc", "-crc", is_flag=True, hidden=True, expose_value=False)
@click.pass_obj
def get(obj: object, words: tuple[str, ...], force: bool, preserve: bool) -> int:
    """Copy files and directories out of the cluster; `-` is standard output. Without LOCAL: into
    the current directory."""
    from mrc.fs.get import get
    from mrc.fs.targets import Verb
    from mrc.fs.transfer import CopyOptions

    return get(Verb(obj), *_last_is_destination(words), CopyOptions(force, preserve))


@fs.command()
@click.argument("sources", nargs=-1, required=True, metavar="PATH...")
@click.argument("destination", metavar="PATH")
@_force
@_preserve
@click.pass_obj
def cp(obj: object, sources: tuple[str, ...], destination: str, force: bool, preserve: bool) -> int:
    """Copy within the cluster, or between clusters."""
    from mrc.fs.targets import Verb
    from mrc.fs.transfer import CopyOptions, cp

    return cp(Verb(obj), sources, destination, CopyOptions(force, preserve))


@fs.command()
@click.argument("sources", nargs=-1, required=True, metavar="PATH...")
@click.argument("destination", metavar="PATH")
@click.pass_obj
def mv(obj: object, sources: tuple[str, ...], destination: str) -> int:
    """Rename, or move into a directory."""
    from mrc.fs.changes import mv
    from mrc.fs.targets import Verb

    return mv(Verb(obj), sources, destination)


@fs.command()
@_paths
@click.option("-ignoreCrc", is_flag=True, hidden=True, expose_value=False)
@click.pass_obj
def cat(obj: object, paths: tuple[str, ...]) -> int:
    """Files to standard output."""
    from mrc.fs.show import cat
    from mrc.fs.targets import Verb

    return cat(Verb(obj), paths)


@fs.command()
@_paths
@click.option("-ignoreCrc", is_flag=True, hidden=True, expose_value=False)
@click.pass_obj
def text(obj: object, paths: tuple[str, ...]) -> int:
    """As cat, and gzip, bzip2 and xz are decompressed."""
    from mrc.fs.show import text
    from mrc.fs.targets import Verb

    return text(Verb(obj), paths)


@fs.command()
@_paths
@click.option("-v", is_flag=True, hidden=True, expose_value=False)
@click.pass_obj
def checksum(obj: object, paths: tuple[str, ...]) -> int:
    """The CRC of a file's content, the same however it is cut into blocks."""
    from mrc.fs.show import checksum
    from mrc.fs.targets import Verb

    return checksum(Verb(obj), paths)


@fs.command(context_settings={"ignore_unknown_options": True})
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[PATH]... [-name PATTERN] [-iname PATTERN] [-print0]",
)
@click.pass_obj
def find(obj: object, words: tuple[str, ...]) -> int:
    """Paths below a directory whose names match."""
    from mrc.fs.find import find
    from mrc.fs.targets import Verb

    return find(Verb(obj), words)


@fs.command()
@click.option("-immediate", is_flag=True, hidden=True, expose_value=False)
@click.pass_obj
def expunge(obj: object) -> int:
    """Empty the trash. There is none: what is removed is gone at once."""
    from mrc.fs.targets import Verb

    Verb(obj).target("/").fs.server_defaults()  # a cluster that is not there is said
    return 0


@fs.command()
@click.argument("path")
@click.pass_obj
def head(obj: object, path: str) -> int:
    """The first KiB of a file."""
    from mrc.fs.show import head
    from mrc.fs.targets import Verb

    return head(Verb(obj), path, 1024)


@fs.command()
@click.argument("path")
@click.option("-f", "follow", is_flag=True, help="Go on as the file grows, until interrupted.")
@click.option(
    "-s",
    "pause_ms",
    type=click.IntRange(10),
    default=5000,
    help="Milliseconds between looks with -f [default: 5000].",
)
@click.pass_obj
def tail(obj: object, path: str, follow: bool, pause_ms: int) -> int:
    """The last KiB of a file."""
    from mrc.fs.show import tail
    from mrc.fs.targets import Verb

    return tail(Verb(obj), path, count=1024, follow=follow, pause_s=pause_ms / 1000)


@fs.command()
@_paths
@click.pass_obj
def touchz(obj: object, paths: tuple[str, ...]) -> int:
    """Make files of zero length."""
    from mrc.fs.targets import Verb
    from mrc.fs.transfer import touchz

    return touchz(Verb(obj), paths)


@fs.command()
@_paths
@click.option("-p", "parents", is_flag=True, help="Parents too; an existing directory is no error.")
@click.pass_obj
def mkdir(obj: object, paths: tuple[str, ...], parents: bool) -> int:
    """Make directories."""
    from mrc.fs.changes import mkdir
    from mrc.fs.targets import Verb

    return mkdir(Verb(obj), paths, parents=parents)


@fs.command()
@_paths
@click.option("-r", "-R", "recursive", is_flag=True, help="Directories with everything in them.")
@click.option("-f", "force", is_flag=True, help="A missing path is no error.")
@click.option("-skipTrash", "-safely", is_flag=True, hidden=True, expose_value=False)
@click.pass_obj
def rm(obj: object, paths: tuple[str, ...], recursive: bool, force: bool) -> int:
    """Remove files, and with -r directories. There is no trash: what is removed is gone."""
    from mrc.fs.changes import rm
    from mrc.fs.targets import Verb

    return rm(Verb(obj), paths, recursive=recursive, force=force)


@fs.command()
@_paths
@click.option(
    "--ignore-fail-on-non-empty",
    "ignore_non_empty",
    is_flag=True,
    help="A directory that holds something is no error.",
)
@click.pass_obj
def rmdir(obj: object, paths: tuple[str, ...], ignore_non_empty: bool) -> int:
    """Remove empty directories."""
    from mrc.fs.changes import rmdir
    from mrc.fs.targets import Verb

    return rmdir(Verb(obj), paths, ignore_non_empty=ignore_non_empty)


@fs.command(context_settings={"ignore_unknown_options": True})
@_recursive
@click.argument("mode")
@_paths
@click.pass_obj
def chmod(obj: object, mode: str, paths: tuple[str, ...], recursive: bool) -> int:
    """Change permissions: octal as 640, or symbolic as u+x,go-w."""
    from mrc.fs.changes import chmod
    from mrc.fs.targets import Verb

    return chmod(Verb(obj), mode, paths, recursive=recursive)


@fs.command()
@_recursive
@click.argument("who", metavar="[OWNER][:GROUP]")
@_paths
@click.pass_obj
def chown(obj: object, who: str, paths: tuple[str, ...], recursive: bool) -> int:
    """Change owner and group."""
    from mrc.fs.changes import chown
    from mrc.fs.targets import Verb

    return chown(Verb(obj), who, paths, recursive=recursive)


@fs.command()
@_recursive
@click.argument("group")
@_paths
@click.pass_obj
def chgrp(obj: object, group: str, paths: tuple[str, ...], recursive: bool) -> int:
    """Change the group."""
    from mrc.fs.changes import chown
    from mrc.fs.targets import Verb

    return chown(Verb(obj), f":{group}", paths, recursive=recursive)


@fs.command()
@click.option("-w", "wait", is_flag=True, help="Wait until as many replicas exist.")
@click.option("-R", is_flag=True, hidden=True, expose_value=False)
@click.argument("replication", type=click.IntRange(1, 512))
@_paths
@click.pass_obj
def setrep(obj: object, replication: int, paths: tuple[str, ...], wait: bool) -> int:
    """Set how many replicas files have; of everything below a directory."""
    from mrc.fs.changes import setrep
    from mrc.fs.targets import Verb

    return setrep(Verb(obj), replication, paths, wait=wait)
