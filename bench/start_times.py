"""How long a cluster takes to be ready and a tiny job to run, beside a bare Python start in the
same run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5
JOB = """from mapreduce import Job


class Tiny(Job):
    def map(self, line: str):
        yield line, 1

    def reduce(self, k, ones):
        yield k, sum(ones)
"""


def timed(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    mrc = str(Path(sys.executable).with_name("mrc"))
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"MRC_HOME": f"{scratch}/home", "NO_COLOR": "1"}
        job, tiny = Path(scratch) / "tiny.py", Path(scratch) / "tiny.txt"
        job.write_text(JOB)
        tiny.write_text("a b\n")
        python, up, again, submit, help_ = [], [], [], [], []
        try:
            for index in range(ROUNDS):
                python.append(timed([sys.executable, "-c", "pass"], environment))
                up.append(timed([mrc, "up", "-n", "3"], environment))
                help_.append(timed([mrc, "--help"], environment))
                again.append(timed([mrc, "up", "-n", "3"], environment))
                if index == 0:
                    timed([mrc, "fs", "put", str(tiny), "/tiny"], environment)
                    timed([mrc, "submit", str(job), "/tiny", "/warm"], environment)
                submit.append(
                    timed([mrc, "submit", str(job), "/tiny", f"/out-{index}"], environment)
                )
                timed([mrc, "down"], environment)
        finally:
            subprocess.run([mrc, "down"], env=environment, check=False, capture_output=True)
    base = statistics.median(python)
    rows = (
        ("python -c pass", python, None),
        ("mrc --help", help_, 0.15),
        ("mrc up -n 3, ready", up, 3.0),
        ("mrc up, already up", again, None),
    )
    for name, times, target in (*rows, ("mrc submit, tiny job", submit, 0.5)):
        median = statistics.median(times)
        reach = f"  reach {target:g} s" if target else ""
        print(f"{name:22} {median:7.3f} s   {median / base:6.1f} × python{reach}")


if __name__ == "__main__":
    main()
