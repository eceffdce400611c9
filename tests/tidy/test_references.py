"""What docstrings say of docs and docs of files is there: a reference that leads nowhere is worse
than none."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.tidy.source import ROOT

DOC = re.compile(r'(docs/[\w/-]+\.md)(?:,\s+"([^"]+)")?')
FILE = re.compile(r"`([\w./*{},-]+\.(?:py|proto|md|txt))(?:::\w+)?`")
PLACEHOLDER = re.compile(r"NAME|ROOM")
USERS = {"visits.v2.py"}
"""Files of users that a page tells of."""


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_code_refers_to_pages_and_headings_that_are_there() -> None:
    wrong = []
    for name in tracked():
        if not name.endswith(".py") or "_pb2" in name or name == "tests/tidy/test_references.py":
            continue
        text = re.sub(r"\n\s*(#\s*)?", " ", (ROOT / name).read_text())
        for page, heading in DOC.findall(text):
            if not (ROOT / page).is_file():
                wrong.append(f"{name}: {page} is not there")
            elif heading and heading.rstrip(".") not in (ROOT / page).read_text():
                wrong.append(f'{name}: {page} has no "{heading}"')
    assert not wrong, "\n".join(wrong)


def test_pages_name_files_that_are_there() -> None:
    files = tracked()
    wrong = []
    for page in [name for name in files if name.endswith(".md") and name != "CHANGELOG.md"]:
        for said in FILE.findall((ROOT / page).read_text()):
            if said in USERS or set("*{}") & set(said) or PLACEHOLDER.search(said):
                continue
            if not any(f"/{name}".endswith(f"/{said.removeprefix('./')}") for name in files):
                wrong.append(f"{page}: {said}")
    assert not wrong, "\n".join(wrong)


def test_links_of_pages_lead_somewhere() -> None:
    wrong: list[str] = []
    for page in [name for name in tracked() if name.endswith(".md")]:
        wrong += [
            f"{page}: {target}"
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
            if "://" not in target and not ((ROOT / page).parent / Path(target)).exists()
        ]
    assert not wrong, "\n".join(wrong)
