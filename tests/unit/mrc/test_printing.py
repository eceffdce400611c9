"""Nothing that a name, an owner, a job or an error holds acts on a terminal, whichever verb prints
it."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable

import pytest

from clusterkit.errors import ClusterError
from clusterkit.readable import clean
from mrc import printing
from mrc.main import run, say
from tests.equipment.terminal import acts_on_a_terminal, on_a_terminal
from tests.tidy.source import ROOT

ESCAPES = "\x1b]0;PWNED\x07\x1b[31m\r\n\x00\x7f\x9b31m\u202e\u2028\u200b\udcff"
MOVING = {"fs/progress.py", "jobs/progress.py"}
"""They draw a line of their own making; names in it are cleaned."""


def test_mrc_prints_in_one_place() -> None:
    wrong = []
    for path in sorted((ROOT / "mrc").rglob("*.py")):
        name = str(path.relative_to(ROOT / "mrc"))
        for node in ast.walk(ast.parse(path.read_text())):
            if name == "printing.py" or not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in ("print", "click.echo", "click.secho") or (
                called in ("sys.stderr.write", "sys.stdout.write")
                and name not in (*MOVING, "demo/corpus.py")
            ):
                wrong.append(f"{name}:{node.lineno}: {called}; mrc.printing prints")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "call",
    [
        lambda: printing.out(f"name {ESCAPES} end", "second"),
        lambda: printing.out_json({f"k{ESCAPES}": [ESCAPES]}),
        lambda: printing.out_json({f"k{ESCAPES}": [ESCAPES]}, indent=None),
        lambda: printing.err(f"name {ESCAPES} end"),
        lambda: printing.err(ESCAPES, lines=False),
        lambda: printing.out_log(ESCAPES.encode("utf-8", "surrogateescape")),
        lambda: say(
            ClusterError(f"{ESCAPES} does not exist", next_command=f"mrc fs ls '{ESCAPES}'")
        ),
    ],
)
def test_no_control_character_reaches_a_terminal(
    call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = on_a_terminal(call, monkeypatch)
    assert said.strip()
    assert not acts_on_a_terminal(said)


def test_an_error_is_one_line_and_its_hint_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["frobnicate"]) == 2, "no cluster is chosen"
    capsys.readouterr()
    say(ClusterError("no file x\n  try: rm -rf ~\nerror: forged", next_command="mrc fs ls 'a\nb'"))
    assert capsys.readouterr().err.splitlines() == [
        "error: no file x?  try: rm -rf ~?error: forged",
        "  try: mrc fs ls 'a?b'",
    ]


def test_programs_get_names_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    name = "new\nline \x1b \udcff ü"
    printing.out(name)
    printing.out_json([name])
    first, second = capfdbinary.readouterr().out.split(b"\xc3\xbc\n", 1)
    assert first == name.encode("utf-8", "surrogateescape")[:-2]
    assert json.loads(second.decode("utf-8", "surrogateescape")) == [name]


def test_readable_names_stay() -> None:
    for name in ("a b", "ünï-文", "naïve café", "\u00a0", "emoji 🙂", "e\u0301"):
        assert clean(name) == name
