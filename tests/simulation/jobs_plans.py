"""Plans that jobs of the simulator have: classic ones, diamonds, chains over every kind of edge,
and open ones whose stages come one after the other."""

from __future__ import annotations

import random

from mapreduce.model import ALL, PART, RESULT, SAME, SPLITS, Edge, JobOutput, Stage, TaskSplit

Plan = tuple[tuple[Stage, ...], tuple[JobOutput, ...]]


def some_plan(rng: random.Random, path: str) -> tuple[*Plan, tuple[Plan, ...]]:
    """Stages and outputs that are submitted, and what an open job is extended by."""
    make = rng.choices((classic, diamond, chain, loop), (8, 4, 3, 2))[0]
    return make(rng, path)


def _maps(rng: random.Random, tasks: int, partitions: int, commits: tuple[int, ...] = ()) -> Stage:
    return Stage(
        id=0,
        name="map",
        tasks=tasks,
        inputs=(Edge(0, 0, SPLITS),),
        partitions=partitions,
        commits=commits,
        splits=tuple(TaskSplit(0, b"", (f"h{rng.randrange(3)}",)) for _ in range(tasks)),
    )


def classic(rng: random.Random, path: str) -> tuple[*Plan, tuple[Plan, ...]]:
    maps, reduces = rng.randrange(6), rng.randrange(4)
    output = (JobOutput(0, path),)
    if not reduces:
        return (_maps(rng, maps, 0, (0,)),), output, ()
    reduce = Stage(id=1, name="reduce", tasks=reduces, inputs=(Edge(0, 0, PART),), commits=(0,))
    return (_maps(rng, maps, reduces), reduce), output, ()


def diamond(rng: random.Random, path: str) -> tuple[*Plan, tuple[Plan, ...]]:
    """One stage feeds two (two cuts of one output), two feed one."""
    left, right, last = rng.randrange(1, 4), rng.randrange(1, 3), rng.randrange(1, 3)
    stages = (
        _maps(rng, rng.randrange(1, 5), left + right),
        Stage(id=1, name="left", tasks=left, inputs=(Edge(0, 0, PART),), partitions=last),
        Stage(
            id=2, name="right", tasks=right, inputs=(Edge(0, 0, PART, first=left),), partitions=last
        ),
        Stage(
            id=3,
            name="join",
            tasks=last,
            inputs=(Edge(0, 1, PART), Edge(1, 2, PART)),
            commits=(0,),
        ),
    )
    return stages, (JobOutput(0, path),), ()


def chain(rng: random.Random, path: str) -> tuple[*Plan, tuple[Plan, ...]]:
    """Broadcast, task by task, results, a durable cut on the way."""
    tasks = rng.randrange(1, 4)
    stages = (
        _maps(rng, rng.randrange(1, 4), 1),
        Stage(id=1, name="sample", tasks=1, inputs=(Edge(0, 0, ALL),)),
        Stage(
            id=2,
            name="sort",
            tasks=tasks,
            inputs=(Edge(0, 0, ALL), Edge(1, 1, RESULT)),
            partitions=2,
        ),
        Stage(id=3, name="cut", tasks=tasks, inputs=(Edge(0, 2, SAME),), commits=(1,)),
        Stage(
            id=4, name="write", tasks=2, inputs=(Edge(0, 2, PART), Edge(1, 3, RESULT)), commits=(0,)
        ),
    )
    return stages, (JobOutput(0, path), JobOutput(1, f"{path}-cut", published=False)), ()


def loop(rng: random.Random, path: str) -> tuple[*Plan, tuple[Plan, ...]]:
    """A driver watches, each round reads the one before, the first and the last publish."""
    tasks, rounds = rng.randrange(1, 3), rng.randrange(1, 4)
    stages = (
        _maps(rng, rng.randrange(1, 4), tasks),
        Stage(id=1, name="drive", tasks=1, driver=True),
        Stage(id=2, name="round", tasks=tasks, inputs=(Edge(0, 0, PART),), partitions=tasks),
    )
    later: list[Plan] = []
    for number in range(1, rounds + 1):
        last, read = number == rounds, Edge(0, number + 1, PART)
        stage = Stage(
            id=number + 2,
            name=f"round-{number}",
            tasks=tasks,
            inputs=(read,),
            partitions=0 if last else tasks,
            commits=(0,) if last else (),
        )
        later.append(((stage,), (JobOutput(0, f"{path}-{number}"),) if last else ()))
    return stages, (), tuple(later)
