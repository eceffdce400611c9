"""The project's own source as data: modules, their imports (those inside functions too) and their
functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("clusterkit", "coordinator", "minihdfs", "mapreduce", "mrc")


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    def imports(self) -> Iterator[tuple[str, int]]:
        """(dotted name, line) of everything imported anywhere in the file, except for type checkers
        only."""
        only_types = {
            id(node)
            for block in ast.walk(self.tree)
            if _is_type_checking(block)
            for node in ast.walk(block)
        }
        for node in ast.walk(self.tree):
            if id(node) in only_types:
                continue
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level:
                yield (f"relative import of {node.module}", node.lineno)

    def functions(self) -> Iterator[tuple[str, int, int]]:
        """(name, line, length in lines) of every function and method."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """(dotted name as written, node) of every call."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


@cache
def modules() -> dict[str, Module]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "_pb2" in path.name:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            text = path.read_text(encoding="utf-8")
            found[name] = Module(name, path, text, ast.parse(text))
    return found


def own_imports(module: Module) -> Iterator[tuple[str, int]]:
    """Imports of this project's modules, resolved to module names (stubs too)."""
    known = modules()
    for dotted, line in module.imports():
        if dotted.split(".")[0] not in PACKAGES:
            continue
        name = dotted
        while name not in known and not _is_stub(name) and "." in name:
            name = name.rpartition(".")[0]
        yield name, line


def _is_stub(name: str) -> bool:
    return name.rpartition(".")[2].endswith(("_pb2", "_pb2_grpc"))
