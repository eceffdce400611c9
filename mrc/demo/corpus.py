"""Real text that every machine has: the source of the running Python's standard library, joined
into a few files."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

from clusterkit.interpreter import interpreter

FILES = 4


def gather(scratch: Path, given: Path | None) -> list[Path]:
    """Writes (or, for a directory of the user's own, names) the input files of the demo."""
    if given is not None:
        return sorted(
            p for p in given.iterdir() if p.is_file() and not p.name.startswith((".", "_"))
        )
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = sorted(
        p
        for p in library.rglob("*.py")
        if "site-packages" not in p.parts and "dist-packages" not in p.parts
    )
    scratch.mkdir(parents=True, exist_ok=True)
    outputs = [scratch / f"python-source-{index}.txt" for index in range(FILES)]
    handles = [path.open("wb") for path in outputs]
    try:
        for index, source in enumerate(sources):
            text = source.read_bytes()
            handles[index % FILES].write(text if text.endswith(b"\n") else text + b"\n")
    finally:
        for handle in handles:
            handle.close()
    return outputs


def begin_gathering(scratch: Path, given: Path | None) -> subprocess.Popen[str]:
    """Gathers in a process beside this one; its output names the files, each ended by NUL."""
    words = [str(scratch), *([str(given)] if given else [])]
    command = [sys.executable, "-m", "mrc.demo.corpus", *words]
    return subprocess.Popen(command, executable=interpreter(), stdout=subprocess.PIPE, text=True)


def count_plainly(files: list[Path]) -> Counter[str]:
    """The same count without a cluster: one process, one dict."""
    counts: Counter[str] = Counter()
    for path in files:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                counts.update(line.split())
    return counts


if __name__ == "__main__":
    for path in gather(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None):
        sys.stdout.write(f"{path.absolute()}\0")
