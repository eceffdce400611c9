"""docs/faults.md names a test for each fault: the test exists, or the page is a tale."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.tidy.source import ROOT

PAGE = ROOT / "docs" / "faults.md"
_ROW = re.compile(r"^\|(?P<cells>.*)\|$")
_NAMED = re.compile(r"`(tests/[\w./-]+)(?:::(\w+)(?:::(\w+))?)?`")


def rows() -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        found = _ROW.match(line)
        if found and not line.startswith(("| fault |", "|---")):
            yield number, [cell.strip() for cell in re.split(r"(?<!\\)\|", found["cells"])]


def test_every_row_has_its_four_cells() -> None:
    wrong = [f"line {number}: {len(cells)} cells" for number, cells in rows() if len(cells) != 4]
    assert not wrong, "\n".join(wrong)


def test_every_test_that_the_page_names_exists() -> None:
    wrong = []
    for number, cells in rows():
        named = _NAMED.findall(cells[-1])
        if cells[-1] and not named:
            wrong.append(f"line {number}: names no test: {cells[-1]}")
        for path, *names in named:
            text = (ROOT / path).read_text() if (ROOT / path).is_file() else None
            if text is None or any(
                name and not re.search(rf"\b(def|class) {name}\b", text) for name in names
            ):
                wrong.append(
                    f"line {number}: {path}{''.join('::' + name for name in names if name)} is "
                    "not there"
                )
    assert not wrong, "\n".join(wrong)
