"""The agent's side of its conversation with the tracker: attending, reporting, and who may give
orders.

Rules:
* One report is under way at a time. It is sent again, with the same number and content, until an
  answer takes it. News that comes meanwhile waits for the next one. Progress is only kept in its
  newest form and travels with the heartbeat; all else goes at once.
* The highest epoch ever heard is remembered on disk before anything is obeyed under it; whoever
  speaks under a lower one is deposed, and the agent looks for the tracker anew.
* A stream of orders has a number, `session`. What an older stream still brings is void.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from clusterkit.effects import Send
from mapreduce.exchange import FetchFailed, HeldAttempt, News, Progressed, Report, TaskDone
from mapreduce.model import MESSAGE_RESULT_BYTES
from mapreduce.worker.core.commands import DISK, TRACKER, Attend, RememberEpoch
from mapreduce.worker.core.events import AttendEnded, ReportLost, ReportTaken


@dataclass(frozen=True, slots=True)
class SessionOptions:
    heartbeat_us: int = 500_000
    answer_timeout_us: int = 5_000_000  # a call that has no answer by then is lost
    hello_grace_us: int = (
        200_000  # reports wait so long for the first order, which shows that the hello was heard
    )
    retry_first_us: int = 100_000
    # each wait is drawn between half of itself and itself: workers must not come back in step
    retry_last_us: int = 1_000_000
    max_items: int = 2_000  # in one report


class TrackerSession:
    def __init__(
        self,
        options: SessionOptions,
        highest_epoch: int,
        inventory: Callable[[], tuple[HeldAttempt, ...]],
        rng: Random,
    ) -> None:
        self._options, self._inventory, self._rng = options, inventory, rng
        self.highest_epoch = highest_epoch
        self.session = 0
        self._no_room = ""  # as in Attend
        self._attending = False
        self._attend_at_us: int | None = None  # when to try again
        self._reports_from_us = 0
        self._backoff_us = options.retry_first_us
        self._sequence = 0
        self._news: list[News] = []
        self._progress: dict[str, Progressed] = {}
        self._under_way: Report | None = None
        self._send_at_us: int | None = None  # of the report under way, when it must be sent again
        self._answer_by_us = 0
        self._heartbeat_at_us = 0
        self.sends: list[Send] = []

    # ── what the agent adds ──

    def begin(self, now_us: int) -> None:
        self._attend_at_us = now_us

    def tell(self, item: News) -> None:
        """News that must arrive. It supersedes what was known of that attempt's progress."""
        if isinstance(item, Progressed):
            self._progress[item.attempt_id] = item
        else:
            self._progress.pop(item.attempt_id, None)
            self._news.append(item)

    def tell_room(self, no_room: str, now_us: int) -> None:
        """Travels with every report; a change goes at once."""
        self._no_room, self._heartbeat_at_us = no_room, now_us

    def forget(self, attempt_ids: set[str]) -> None:
        """Of attempts whose job has ended, only their own end is news: the tracker holds the slot
        of one that it killed until then."""
        self._news = [
            item
            for item in self._news
            if item.attempt_id not in attempt_ids or not isinstance(item, FetchFailed)
        ]
        for attempt_id in sorted(attempt_ids):
            self._progress.pop(attempt_id, None)

    # ── what the tracker says ──

    def admits(self, epoch: int, now_us: int) -> bool:
        """May somebody of this epoch be obeyed? A new highest one is remembered first."""
        if epoch < self.highest_epoch:
            self._attend_anew(now_us)
            return False
        if epoch > self.highest_epoch:
            self.highest_epoch = epoch
            self.sends.append(Send(DISK, RememberEpoch(epoch)))
        return True

    def hears(self, session: int, epoch: int, now_us: int) -> bool:
        """Is an order of this stream to be obeyed?"""
        if session != self.session or not self._attending or not self.admits(epoch, now_us):
            return False
        self._reports_from_us = min(self._reports_from_us, now_us)
        return True

    def attend_ended(self, event: AttendEnded, now_us: int) -> None:
        if event.session == self.session and self._attending:
            self._attend_anew(now_us)

    def report_taken(self, event: ReportTaken, now_us: int) -> tuple[News, ...]:
        """What the tracker has durably, now that it has taken the report."""
        report = self._under_way
        if (
            report is None
            or event.sequence != report.sequence
            or not self.admits(event.epoch, now_us)
        ):
            return ()
        self._backoff_us = self._options.retry_first_us
        self._under_way, self._send_at_us = None, None
        if event.hello_again:
            self._news[:0] = [item for item in report.news if not isinstance(item, Progressed)]
            if self._attending:
                self._attending, self._attend_at_us = False, now_us
            return ()
        return report.news

    def _next_items(self) -> int:
        """How much of the news one report carries: a message has a largest size."""
        left = MESSAGE_RESULT_BYTES
        for count, item in enumerate(self._news[: self._options.max_items]):
            left -= len(item.result) if isinstance(item, TaskDone) else 0
            if left < 0 and count:
                return count
        return self._options.max_items

    def report_lost(self, event: ReportLost, now_us: int) -> None:
        if self._under_way is not None and event.sequence == self._under_way.sequence:
            self._report_missed(now_us)

    # ── time ──

    def next_deadline(self) -> int:
        if not self._attending:
            return self._attend_at_us if self._attend_at_us is not None else self._heartbeat_at_us
        if self._under_way is not None:
            return (
                self._answer_by_us
                if self._send_at_us is None
                else max(self._send_at_us, self._reports_from_us)
            )
        return max(self._reports_from_us, 0 if self._news else self._heartbeat_at_us)

    def turn(self, now_us: int) -> list[Send]:
        """Says what is due and hands over everything said since the last turn."""
        if not self._attending and self._attend_at_us is not None and self._attend_at_us <= now_us:
            self._attend(now_us)
        if (
            self._attending
            and self._under_way is not None
            and self._send_at_us is None
            and self._answer_by_us <= now_us
        ):
            self._report_missed(now_us)
        if self._attending and self._reports_from_us <= now_us:
            self._report(now_us)
        sends, self.sends = self.sends, []
        return sends

    def _attend(self, now_us: int) -> None:
        self.session += 1
        self._attending, self._attend_at_us = True, None
        self._reports_from_us = now_us + self._options.hello_grace_us
        if self._under_way is not None:
            self._send_at_us = now_us  # the tracker found may be another one, which never saw it
        self.sends.append(
            Send(
                TRACKER,
                Attend(self.session, self.highest_epoch, self._inventory(), self._no_room),
            )
        )

    def _attend_anew(self, now_us: int) -> None:
        self._attending = False
        if self._attend_at_us is None:
            self._attend_at_us = now_us + self._rng.randint(self._backoff_us // 2, self._backoff_us)
            self._backoff_us = min(self._backoff_us * 2, self._options.retry_last_us)

    def _report_missed(self, now_us: int) -> None:
        """The same report again, over a stream opened anew: whoever does not answer may not be the
        tracker any more."""
        self._send_at_us = now_us
        self._attend_anew(now_us)

    def _report(self, now_us: int) -> None:
        if self._under_way is None:
            if not self._news and self._heartbeat_at_us > now_us:
                return
            self._sequence += 1
            count = self._next_items()
            items: list[News] = self._news[:count]
            self._news = self._news[count:]
            items += [self._progress[attempt_id] for attempt_id in sorted(self._progress)]
            self._progress = {}
            self._under_way = Report(self._sequence, tuple(items), self._no_room)
        elif self._send_at_us is None or self._send_at_us > now_us:
            return
        self._send_at_us = None
        self._answer_by_us = now_us + self._options.answer_timeout_us
        self._heartbeat_at_us = now_us + self._options.heartbeat_us
        self.sends.append(Send(TRACKER, self._under_way))
