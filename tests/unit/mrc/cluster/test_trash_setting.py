"""The trash interval: a setting with a range."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.errors import UsageError
from coordinator.home import Home
from mrc.settings import read_settings


def test_the_trash_interval_is_off_unless_it_is_set_and_has_a_range(tmp_path: Path) -> None:
    assert read_settings(Home(tmp_path))[0].filesystem.trash_interval_s == 0
    assert (
        read_settings(Home(tmp_path), ["filesystem.trash_interval_s=86400"])[
            0
        ].filesystem.trash_interval_s
        == 86_400
    )
    for wrong in ("-1", "400000000"):
        with pytest.raises(UsageError, match=r"filesystem.trash_interval_s"):
            read_settings(Home(tmp_path), [f"filesystem.trash_interval_s={wrong}"])
