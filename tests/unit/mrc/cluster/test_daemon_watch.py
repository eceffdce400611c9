from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mrc.cluster import daemon


def sweep(directory: Path) -> None:
    (directory / "lock").unlink()


def replace(directory: Path) -> None:
    (directory / "new").write_text("")
    (directory / "new").replace(directory / "lock")


def remove(directory: Path) -> None:
    """In one step: a look between two would see a directory without a lock."""
    directory.rename(directory.with_name("gone"))


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (sweep, "lock was removed"),
        (replace, "lock was removed or replaced"),
        (remove, "was deleted"),
    ],
)
def test_a_daemon_ends_whose_lock_nobody_can_see_any_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    happens: Any,
    said: str,
) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "lock").write_text("")
    looked, stopped, over = threading.Semaphore(0), threading.Event(), threading.Event()
    monkeypatch.setattr(daemon, "HOME_LOOK_S", 0.001)
    monkeypatch.setattr(daemon.threading, "Timer", lambda *_: SimpleNamespace(start=lambda: None))

    def is_published(_home: Path) -> bool:
        looked.release()
        return True

    announcement: Any = SimpleNamespace(role="datanode", id="dn1", is_published=is_published)
    home: Any = SimpleNamespace(path=tmp_path, data=lambda _role, _id: directory)
    service: Any = SimpleNamespace(stop=stopped.set)
    try:
        daemon._watch_home(service, home, announcement, over)
        assert looked.acquire(timeout=20) and not stopped.is_set()
        happens(directory)
        assert stopped.wait(20)
        assert said in caplog.text and "try: mrc up" in caplog.text
    finally:
        over.set()


def test_a_disk_that_does_not_answer_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").write_text("")
    lock = daemon.lock_seen(tmp_path)

    def failing(_path: Path, **_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "stat", failing)
    assert daemon.is_ours(tmp_path, lock)


def test_a_home_that_is_being_deleted_is_not_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An announcement that is missing is told again when it is missing still at the next look: `rm
    -r` has passed by then."""
    (tmp_path / "lock").write_text("")
    monkeypatch.setattr(daemon, "HOME_LOOK_S", 0.001)
    answers, happened, published = (
        iter([True, False, True, False, False, True]),
        [],
        threading.Event(),
    )

    def is_published(_home: Path) -> bool:
        happened.append("look")
        return next(answers, True)

    def publish(_home: Path) -> None:
        happened.append("publish")
        published.set()

    announcement: Any = SimpleNamespace(
        role="datanode", id="dn1", is_published=is_published, publish=publish
    )
    over = threading.Event()
    try:
        home: Any = SimpleNamespace(path=tmp_path, data=lambda _role, _id: tmp_path)
        daemon._watch_home(SimpleNamespace(stop=over.set), home, announcement, over)  # type: ignore[arg-type]
        assert published.wait(20)
    finally:
        over.set()
    assert happened[: happened.index("publish") + 1] == ["look"] * 5 + ["publish"]
