"""What a message may hold at most: counted before anything is made of it, because decoding costs
time and memory by the number of values, and others wait meanwhile."""

from __future__ import annotations

from clusterkit.errors import UsageError

MAX_PARTITIONS, MAX_ATTEMPTS, MAX_FILE_ID = 10_000, 100, (1 << 64) - 1
MAX_TASKS, MAX_JOB_TASKS = 10_000, 50_000
"""Of a stage, and of a job. Splits are doubled until a stage has no more (mapreduce.plan.splits); a
step of the core, which may be the job's submission, touches no more records."""
MAX_STAGES, MAX_EDGES, MAX_OUTPUTS = 200, 1_000, 100
MAX_HOSTS = 16 * MAX_TASKS
MAX_NUMBER = (1 << 16) - 1  # of an output
MAX_SPLITS_BYTES, MAX_SPEC_BYTES = 8 << 20, 1 << 20
MAX_WORDS, MAX_PATH = 1_000, 8_000
MAX_NAME, MAX_SLOTS, MAX_INVENTORY = 200, 10_000, 100_000
MAX_COUNTERS, MAX_COUNTER_BYTES = 10_000, 1 << 20  # of one attempt; its worker keeps to fewer
MAX_NEWS, MAX_NUMBERS = 10_000, 2_000_000
"""Of one report or hello: attempts; counters and partitions of all of them together."""
MAX_FAILURE_BYTES = 4 << 20


def check_range(name: str, value: float, least: int, most: int) -> None:
    """Raises UsageError."""
    if not least <= value <= most:
        raise UsageError(f"{name} = {value} is not within {least}…{most}")


def check_words(**words: str) -> None:
    """What a caller names or says in a call: it is looked for, told again and written down."""
    for what, said in words.items():
        check_range(f"length of {what}", len(said), 0, MAX_WORDS)
