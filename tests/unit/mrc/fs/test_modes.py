"""chmod's modes."""

from __future__ import annotations

import pytest

from clusterkit.errors import UsageError
from mrc.fs.modes import changed


@pytest.mark.parametrize(
    ("mode", "before", "after"),
    [
        ("644", 0, 0o644),
        ("1777", 0, 0o1777),
        ("0", 0o777, 0),
        ("u+x", 0o644, 0o744),
        ("+x", 0o644, 0o755),
        ("-x", 0o755, 0o644),
        ("a=r", 0o777, 0o444),
        ("u=rwx,go=", 0o666, 0o700),
        ("g-w,o+r", 0o620, 0o604),
        ("u+r-w", 0o200, 0o400),
        ("+t", 0o755, 0o1755),
        ("-t", 0o1755, 0o755),
    ],
)
def test_a_mode_changes_a_permission(mode: str, before: int, after: int) -> None:
    assert changed(mode, before, is_directory=False) == after


def test_capital_x_is_for_directories_and_what_can_be_executed_already() -> None:
    assert changed("a+X", 0o644, is_directory=False) == 0o644
    assert changed("a+X", 0o744, is_directory=False) == 0o755
    assert changed("a+X", 0o644, is_directory=True) == 0o755


@pytest.mark.parametrize("mode", ["", "9", "u+q", "77777", "rwx", "u", "4755", "u+x,", "x+u"])
def test_what_is_no_mode_is_refused(mode: str) -> None:
    with pytest.raises(UsageError):
        changed(mode, 0o644, is_directory=False)
