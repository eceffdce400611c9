"""The rules of the house, executable: layers, cycles, sizes, bans with their replacement
(rules.py), and fresh generated code."""

from __future__ import annotations

import ast
import collections
import re
from collections.abc import Iterable

import pytest

from tests.tidy import rules
from tests.tidy.source import ROOT, Module, modules, own_imports

CLOCKS_AND_IO = ("datetime.now", "datetime.datetime.now", "open", "print", "id")


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def within_any(name: str, rooms: Iterable[str]) -> bool:
    return any(within(name, room) for room in rooms)


def where(module: Module, line: int) -> str:
    return f"{module.path.relative_to(ROOT)}:{line}"


def test_layers_point_down_only() -> None:
    wrong = []
    for module in modules().values():
        room, allowed = next(
            (room, allowed) for room, allowed in rules.LAYERS if within(module.name, room)
        )
        for imported, line in own_imports(module):
            if not within_any(imported, (room, "clusterkit", *allowed)) and imported not in (
                room.rpartition(".")[0],
            ):
                wrong.append(f"{where(module, line)}: {room} may not import {imported}")
            for who, whom, why in rules.FORBIDDEN_PAIRS:
                if within(module.name, who) and within(imported, whom):
                    wrong.append(f"{where(module, line)}: {who} may not import {whom}: {why}")
    assert not wrong, "\n".join(wrong)


def test_only_one_file_joins_the_two_halves() -> None:
    joints = {
        m.name
        for m in modules().values()
        for name, _ in own_imports(m)
        if within(m.name, "mapreduce") and within(name, "minihdfs")
    }
    joints |= {
        m.name
        for m in modules().values()
        for name, _ in own_imports(m)
        if within(m.name, "minihdfs") and within(name, "mapreduce")
    }
    assert joints <= {"mapreduce.storage.minihdfs"}


def test_no_import_cycles() -> None:
    graph = {
        name: {i for i, _ in own_imports(module) if i in modules() and i != name}
        for name, module in modules().items()
    }
    for name in list(graph):
        # importing a.b.c runs a and a.b first, but facades are lazy: only what they import
        # themselves counts
        graph[name] -= {name.rpartition(".")[0]}
    state: dict[str, int] = {}
    cycles: list[str] = []

    def visit(name: str, path: list[str]) -> None:
        state[name] = 1
        for other in sorted(graph[name]):
            if state.get(other) == 1:
                cycles.append(
                    " → ".join(
                        [*path[path.index(other) :], other] if other in path else [name, other]
                    )
                )
            elif other not in state:
                visit(other, [*path, other])
        state[name] = 2

    for name in sorted(graph):
        if name not in state:
            visit(name, [name])
    assert not set(cycles) - rules.CYCLES, "\n".join(cycles)


def test_cores_touch_nothing_outside_themselves() -> None:
    wrong = []
    for module in modules().values():
        core = next((c for c in rules.CORES if within(module.name, c)), None)
        if core is None:
            continue
        allowed = next(allowed for room, allowed in rules.LAYERS if within(module.name, room))
        for dotted, line in module.imports():
            top = dotted.split(".")[0]
            ours = within_any(dotted, (core, *allowed, *rules.CORE_MAY_IMPORT_OURS))
            if not ours and top not in rules.CORE_MAY_IMPORT:
                wrong.append(f"{where(module, line)}: a core may not import {dotted}")
        for called, node in module.calls():
            if re.fullmatch(r"random\.(?!Random$)\w+", called) or called in (
                "datetime.now",
                "datetime.datetime.now",
                "open",
                "print",
                "id",
            ):
                wrong.append(f"{where(module, node.lineno)}: a core may not call {called}()")
    assert not wrong, "\n".join(wrong)


def test_bans() -> None:
    wrong = []
    for module in modules().values():
        for called, node in module.calls():
            if called in rules.BANNED_CALLS:
                wrong.append(
                    f"{where(module, node.lineno)}: {called}() is banned: use "
                    f"{rules.BANNED_CALLS[called]}"
                )
            if called in ("os.fork", "os.forkpty") and not within_any(
                module.name, rules.FORK_ROOMS
            ):
                wrong.append(
                    f"{where(module, node.lineno)}: {called}() belongs in "
                    f"{', '.join(rules.FORK_ROOMS)}"
                )
            if any(
                k.arg == "shell"
                and not (isinstance(k.value, ast.Constant) and k.value.value is False)
                for k in node.keywords
            ):
                wrong.append(
                    f"{where(module, node.lineno)}: shell=… is banned: pass a list of arguments"
                )
        for dotted, line in module.imports():
            for banned, instead in rules.BANNED_IMPORTS.items():
                if within(dotted, banned):
                    wrong.append(f"{where(module, line)}: {banned} is banned: use {instead}")
            top = dotted.split(".")[0]
            if top in ("grpc", "grpc_status") and not within_any(module.name, rules.GRPC_ROOM):
                wrong.append(f"{where(module, line)}: grpc is touched in clusterkit.rpc only")
            if top in rules.UNPICKLERS and within_any(module.name, rules.DAEMONS):
                wrong.append(f"{where(module, line)}: a daemon never unpickles")
            if dotted.startswith("relative"):
                wrong.append(f"{where(module, line)}: {dotted}: import by full name")
            if within_any(module.name, rules.NO_GRPC) and (
                top == "grpc" or dotted.endswith("_pb2_grpc") or within(dotted, "clusterkit.rpc")
            ):
                wrong.append(
                    f"{where(module, line)}: task processes load {module.name} and never import "
                    "gRPC"
                )
    assert not wrong, "\n".join(wrong)


def test_one_room_one_noun() -> None:
    wrong = []
    for module in modules().values():
        key = str(module.path.relative_to(ROOT))
        if module.lines > rules.MAX_FILE_LINES and key not in rules.LONG_FILES:
            wrong.append(
                f"{key}: {module.lines} lines; {rules.MAX_FILE_LINES} are enough for one noun"
            )
        for name, line, length in module.functions():
            if length > rules.MAX_FUNCTION_LINES and f"{key}:{name}" not in rules.LONG_FUNCTIONS:
                wrong.append(
                    f"{key}:{line}: {name} has {length} lines; {rules.MAX_FUNCTION_LINES} are "
                    "enough"
                )
        if set(re.split(r"[._]", module.name)) & set(rules.BANNED_NAMES):
            wrong.append(f"{key}: name it after what it holds")
        if not ast.get_docstring(module.tree) and module.text.strip():
            wrong.append(f"{key}: a file opens with its rules")
    assert not wrong, "\n".join(wrong)


def test_a_folder_can_be_read_at_a_glance() -> None:
    sizes = collections.Counter(
        str(module.path.parent.relative_to(ROOT))
        for module in modules().values()
        if module.path.name != "__init__.py"
    )
    full = {name: count for name, count in sizes.items() if count > rules.MAX_FOLDER_MODULES}
    assert full == rules.FULL_FOLDERS, (
        f"{rules.MAX_FOLDER_MODULES} modules are enough for one folder: make rooms, or take what "
        "has shrunk out of FULL_FOLDERS"
    )


@pytest.mark.parametrize("table", [rules.LONG_FILES, rules.LONG_FUNCTIONS])
def test_exceptions_give_a_reason_and_only_shrink(table: dict[str, str]) -> None:
    sizes = {
        str(m.path.relative_to(ROOT)): m.lines > rules.MAX_FILE_LINES for m in modules().values()
    }
    sizes |= {
        f"{m.path.relative_to(ROOT)}:{name}": length > rules.MAX_FUNCTION_LINES
        for m in modules().values()
        for name, _, length in m.functions()
    }
    assert all(len(reason) > 20 for reason in table.values())
    assert [key for key in table if not sizes.get(key)] == [], (
        "no longer needed: take it off the list"
    )
