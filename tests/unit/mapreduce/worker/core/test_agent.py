"""The worker agent's stories: an agent, a moment in milliseconds, an event, and what it then
sends."""

from __future__ import annotations

import dataclasses
import itertools
from random import Random
from typing import Any

import pytest

from clusterkit.effects import Instant, Send, Tick
from mapreduce import exchange as ex
from mapreduce.model import MESSAGE_RESULT_BYTES, PART, Failure, FileResult, Limits, TaskOutput
from mapreduce.worker.core import commands as cmd
from mapreduce.worker.core import events as ev
from mapreduce.worker.core.agent import WorkerAgent
from mapreduce.worker.core.options import AgentOptions
from mapreduce.worker.core.tracker_session import SessionOptions, TrackerSession

FILE = FileResult("/.out.job_1/attempts/part-r-00000.r0", 7, 100, 5)
OUTPUT = TaskOutput((10, 20), (1, 2))
REFUSED = Failure("raised", "ValueError: no", b"{}")


class Stage:
    """One agent, driven by hand. `sent` keeps what the last call sent, without the addressees."""

    def __init__(self, slots: int = 2, highest_epoch: int = 0) -> None:
        self.agent = WorkerAgent(AgentOptions("w1", slots), Random(1), highest_epoch=highest_epoch)
        self.ms = 0
        self.session = 0
        self.reports: list[ex.Report] = []

    def tell(self, *events: Any, after_ms: int = 0) -> list[Any]:
        self.ms += after_ms
        sent: list[Send] = []
        for event in events:
            effects = self.agent.step(event, Instant(self.ms * 1000, 0))
            assert effects.journal == []
            self.agent.check_invariants()
            sent += effects.sends
        messages = [send.message for send in sent]
        for message in messages:
            if isinstance(message, cmd.Attend):
                self.session = message.session
            if isinstance(message, ex.Report):
                self.reports.append(message)
        return messages

    def order(
        self, *orders: ex.Order, epoch: int = 1, session: int | None = None, after_ms: int = 0
    ) -> list[Any]:
        self.ms += after_ms
        return self.tell(
            *(ev.OrderReceived(session or self.session, epoch, order) for order in orders)
        )

    def attend(self) -> list[Any]:
        return self.tell(ev.Started()) + self.order(ex.Ping()) + self.take()

    def take(self, hello_again: bool = False, epoch: int = 1) -> list[Any]:
        """The tracker takes the report under way."""
        return self.tell(ev.ReportTaken(self.reports[-1].sequence, epoch, hello_again))

    def until(self, kind: type, limit_ms: int = 20_000) -> Any:
        """Lets time pass by the agent's own deadlines until it sends such a thing."""
        end = self.ms + limit_ms
        while self.ms < end:
            deadline = self.agent.next_deadline()
            assert deadline is not None
            for message in self.tell(Tick(), after_ms=max(0, -(-deadline // 1000) - self.ms)):
                if isinstance(message, kind):
                    return message
        raise AssertionError(f"no {kind.__name__} within {limit_ms} ms")


READS = ex.Input(edge=0, tag=0, stage=0, kind=PART, first=0, tasks=1, partitions=2)


def launch(
    attempt_id: str, kind: str = "map", job_id: str = "job_1", memory: int = 0, silence_ms: int = 0
) -> ex.Launch:
    is_map = kind == "map"
    return ex.Launch(
        attempt_id=attempt_id,
        job_id=job_id,
        stage=0 if is_map else 1,
        index=0,
        spec=b"{}",
        limits=Limits(memory, silence_ms * 1000),
        partitions=2 if is_map else 0,
        inputs=() if is_map else (READS,),
        targets=() if is_map else (ex.Target(0, "/out", "part-r-00000"),),
        driver=kind == "driver",
    )


def of(kind: type, messages: list[Any]) -> list[Any]:
    return [message for message in messages if isinstance(message, kind)]


def items(messages: list[Any]) -> list[Any]:
    return [item for report in of(ex.Report, messages) for item in report.news]


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.attend()
    return stage


def test_says_hello_then_reports_once_it_is_heard() -> None:
    stage = Stage()
    assert stage.tell(ev.Started()) == [cmd.Attend(1, 0, ())]
    assert stage.order(ex.Ping(), epoch=4) == [cmd.RememberEpoch(4), ex.Report(1, ())]


def test_reports_even_if_the_tracker_says_nothing() -> None:
    stage = Stage()
    stage.tell(ev.Started())
    assert stage.until(ex.Report) == ex.Report(1, ())
    assert stage.ms < 1000


def measured(free_mib: float) -> ev.RoomMeasured:
    free = int(free_mib * (1 << 20))
    return ev.RoomMeasured("/s/w1", "/s", free, 100 << 20, "df -h /s/w1")


def test_a_disk_without_room_is_told_at_once_and_with_every_report_until_there_is_room(
    stage: Stage,
) -> None:
    assert stage.tell(measured(64)) == []
    note, report = stage.tell(measured(63.9))
    assert report.no_room == note.no_room
    assert note.no_room == (
        "the disk at /s is full: /s/w1, where tasks set things aside, has 63.9 of 100.0 MiB "
        "free, and worker.reserved_bytes is 64.0 MiB; try: df -h /s/w1"
    )
    stage.take()
    assert stage.tell(measured(20), measured(95)) == []
    assert stage.until(ex.Report).no_room == report.no_room
    stage.take(hello_again=True)
    assert stage.until(cmd.Attend).no_room == report.no_room
    stage.order(ex.Ping())
    assert of(cmd.NoteRoom, stage.tell(measured(96))) == [cmd.NoteRoom("")]
    stage.take()
    assert stage.until(ex.Report).no_room == ""


def test_what_runs_goes_on_when_the_disk_is_full(stage: Stage) -> None:
    stage.order(launch("a"), launch("b"), launch("c"))
    sent = stage.tell(measured(0))
    assert of(cmd.KillTask, sent) == [] and stage.agent.busy() == 2
    sent = stage.tell(ev.TaskExited("a", 0))
    assert of(cmd.StartTask, sent) == [cmd.StartTask(launch("c"))]


def test_an_attempt_that_met_a_full_disk_has_the_room_measured(stage: Stage) -> None:
    stage.order(launch("a"), launch("b"))
    full = Failure("disk", "the disk at /s is full")
    assert of(cmd.MeasureRoom, stage.tell(ev.TaskFailed("a", full))) == [cmd.MeasureRoom()]
    sent = stage.tell(ev.TaskNotStarted("b", full.message, full))
    assert of(cmd.MeasureRoom, sent) == [cmd.MeasureRoom()]
    stage.take()
    assert ex.AttemptFailed("b", full, False) in stage.until(ex.Report).news


def test_heartbeats_at_the_interval(stage: Stage) -> None:
    start, first = stage.ms, stage.reports[-1].sequence
    report = stage.until(ex.Report)
    assert (report.sequence, report.news) == (first + 1, ())
    assert stage.ms - start == 500


def test_a_launch_starts_at_once_and_a_second_of_the_same_id_does_nothing(stage: Stage) -> None:
    assert of(cmd.StartTask, stage.order(launch("m0"))) == [cmd.StartTask(launch("m0"))]
    assert stage.order(launch("m0")) == []


def test_launches_wait_for_a_slot_until_the_process_is_gone() -> None:
    stage = Stage(slots=1)
    stage.attend()
    assert len(of(cmd.StartTask, stage.order(launch("m0"), launch("m1")))) == 1
    sent = stage.tell(ev.TaskFinished("m0", OUTPUT, ()))
    assert items(sent) == [ex.TaskDone("m0", OUTPUT, ())]
    assert of(cmd.OfferOutput, sent) and not of(cmd.StartTask, sent)
    assert of(cmd.StartTask, stage.tell(ev.TaskExited("m0", 0))) == [cmd.StartTask(launch("m1"))]


def test_news_goes_at_once_one_report_at_a_time_and_again_until_taken(stage: Stage) -> None:
    stage.order(launch("m0"), launch("m1"))
    first = stage.tell(ev.TaskFinished("m0", OUTPUT, ()))
    assert len(of(ex.Report, first)) == 1
    assert stage.tell(ev.TaskFinished("m1", OUTPUT, ())) == [cmd.OfferOutput("job_1", "m1")]
    stage.tell(ev.ReportLost(stage.reports[-1].sequence, "deadline"))
    stage.until(cmd.Attend)
    again = stage.order(ex.Ping())
    assert of(ex.Report, again) == of(ex.Report, first), "the same number, the same content"
    assert items(stage.take()) == [ex.TaskDone("m1", OUTPUT, ())]


def test_an_unanswered_report_is_lost_after_a_while(stage: Stage) -> None:
    lost = stage.until(ex.Report)
    stage.until(cmd.Attend)
    assert stage.until(ex.Report) == lost


def test_progress_travels_with_the_heartbeat_in_its_newest_form(stage: Stage) -> None:
    stage.order(launch("m0"))
    for fraction in (0.1, 0.2):
        assert stage.tell(ev.TaskProgressed("m0", fraction, "map", "", ())) == []
    assert stage.until(ex.Report).news == (ex.Progressed("m0", 0.2, "map", "", ()),)


def test_hello_again_brings_the_inventory_and_the_news_not_yet_taken(stage: Stage) -> None:
    stage.order(launch("m0"), launch("m1"))
    stage.tell(ev.TaskFinished("m0", OUTPUT, (("g", "n", 1),)))
    stage.take()
    stage.tell(ev.TaskFailed("m1", REFUSED))
    sent = stage.take(hello_again=True, epoch=2)
    held = (
        ex.HeldAttempt("m0", "succeeded", OUTPUT, (("g", "n", 1),)),
        ex.HeldAttempt("m1", "ended"),
    )
    assert sent == [cmd.RememberEpoch(2), cmd.Attend(2, 2, held)]
    assert items(stage.order(ex.Ping(), epoch=2)) == [ex.AttemptFailed("m1", REFUSED, False)]


def test_a_deposed_tracker_is_refused_and_left() -> None:
    stage = Stage(highest_epoch=5)
    stage.tell(ev.Started())
    assert stage.order(launch("m0"), epoch=4) == []
    assert stage.agent.attempts == {}
    again = stage.until(cmd.Attend)
    assert (again.session, again.highest_epoch) == (2, 5)
    assert of(cmd.StartTask, stage.order(launch("m0"), epoch=5))


def test_orders_of_an_older_stream_are_void(stage: Stage) -> None:
    stage.tell(ev.AttendEnded(stage.session, "broken"))
    stage.until(cmd.Attend)
    assert stage.order(launch("m0"), session=1) == []
    assert of(cmd.StartTask, stage.order(launch("m0"), session=2))


def test_attends_again_ever_more_slowly_but_at_least_every_second(stage: Stage) -> None:
    moments = []
    for _ in range(8):
        stage.tell(ev.AttendEnded(stage.session, "refused"))
        stage.until(cmd.Attend)
        moments.append(stage.ms)
    pauses = [b - a for a, b in itertools.pairwise(moments)]
    assert pauses[0] < pauses[-1] <= 1000


def test_workers_do_not_come_back_in_step() -> None:
    """All of a big cluster lose their tracker at one moment; each draws its own waits."""

    def waits(seed: int) -> list[int]:
        session = TrackerSession(SessionOptions(), 0, tuple, Random(seed))
        session.begin(0)
        found, now_us = [], 0
        for _ in range(6):
            session.turn(now_us)
            session.attend_ended(ev.AttendEnded(session.session, "refused"), now_us)
            found.append(session.next_deadline() - now_us)
            now_us = session.next_deadline()
        return found

    drawn = [waits(seed) for seed in range(50)]
    assert len({tuple(found) for found in drawn}) == 50
    assert all(
        50_000 <= first <= 100_000 and 500_000 <= last <= 1_000_000 for first, *_, last in drawn
    )


def test_a_kill_is_reported_when_the_process_is_gone(stage: Stage) -> None:
    stage.order(launch("m0"))
    assert stage.order(ex.KillAttempt("m0", "job killed")) == [cmd.KillTask("m0")]
    sent = stage.tell(ev.TaskExited("m0", -9, "SIGKILL"))
    assert items(sent) == [ex.AttemptFailed("m0", Failure("killed", "job killed"), True)]
    assert cmd.DropAttempt("job_1", "m0") in sent


def test_a_kill_that_overtakes_its_launch_wins(stage: Stage) -> None:
    sent = stage.order(ex.KillAttempt("m0", "speculated"))
    assert items(sent) == [ex.AttemptFailed("m0", Failure("killed", "speculated"), True)]
    assert of(cmd.StartTask, stage.order(launch("m0"))) == []


def test_a_kill_takes_back_a_map_output(stage: Stage) -> None:
    stage.order(launch("m0"))
    stage.tell(ev.TaskFinished("m0", OUTPUT, ()), ev.TaskExited("m0", 0))
    assert cmd.DropAttempt("job_1", "m0") in stage.order(ex.KillAttempt("m0", "not needed"))


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (ev.TaskExited("r0", 3), "exited", "exited with status 3"),
        (ev.TaskExited("r0", 0), "exited", "exited with status 0 without asking to commit"),
        (ev.TaskExited("r0", -11, "SIGSEGV"), "signalled", "killed by SIGSEGV"),
    ],
)
def test_a_process_that_ends_unasked_has_failed(
    stage: Stage, event: ev.TaskExited, kind: str, message: str
) -> None:
    stage.order(launch("r0", "reduce"))
    assert items(stage.tell(event)) == [ex.AttemptFailed("r0", Failure(kind, message), False)]


def test_what_the_task_says_stands_whatever_its_exit(stage: Stage) -> None:
    stage.order(launch("m0"))
    assert items(stage.tell(ev.TaskFailed("m0", REFUSED))) == [
        ex.AttemptFailed("m0", REFUSED, False)
    ]
    stage.take()
    assert items(stage.tell(ev.TaskExited("m0", 1))) == []


def test_a_task_that_said_its_last_word_and_stays_is_killed(stage: Stage) -> None:
    stage.order(launch("m0"))
    stage.tell(ev.TaskFinished("m0", OUTPUT, ()))
    stage.take()
    assert stage.until(cmd.KillTask) == cmd.KillTask("m0")


def test_memory_beyond_the_limit_ends_the_task_with_both_numbers(stage: Stage) -> None:
    stage.order(launch("m0", memory=512 << 20))
    assert stage.tell(ev.TaskSampled("m0", 511 << 20, 1)) == []
    assert stage.tell(ev.TaskSampled("m0", 612 << 20, 1)) == [cmd.KillTask("m0")]
    failure = Failure("memory", "used 612 MiB of memory (resident), limit 512 MiB")
    assert items(stage.tell(ev.TaskExited("m0", -9, "SIGKILL"))) == [
        ex.AttemptFailed("m0", failure, False)
    ]


def test_too_many_processes_end_the_task(stage: Stage) -> None:
    stage.order(launch("m0"))
    assert stage.tell(ev.TaskSampled("m0", 1, 257)) == [cmd.KillTask("m0")]
    assert (
        "257 processes, limit 256"
        in items(stage.tell(ev.TaskExited("m0", -9, "SIGKILL")))[0].failure.message
    )


def test_silence_ends_the_task_and_names_where_it_was(stage: Stage) -> None:
    stage.order(launch("m0", silence_ms=5_000))
    start = stage.ms
    stage.tell(ev.TaskProgressed("m0", 0.1, "map", "", ()), after_ms=400)
    killed = None
    while killed is None:
        stage.take()
        report_or_kill = stage.until(object)
        killed = report_or_kill if isinstance(report_or_kill, cmd.KillTask) else None
    assert killed == cmd.KillTask("m0", dump_stacks=True)
    assert stage.ms - start == 5_400
    stage.take()
    sent = stage.tell(ev.TaskExited("m0", -9, "SIGKILL", "hang.py line 6 in map"))
    assert items(sent)[0].failure.message == "no progress for 5 s; it was in hang.py line 6 in map"


def test_the_workers_own_pause_is_not_the_tasks_silence(stage: Stage) -> None:
    stage.order(launch("m0", silence_ms=5_000))
    sent = stage.tell(Tick(), after_ms=60_000)
    assert of(cmd.KillTask, sent) == []


def test_commit_granted_ends_the_attempt(stage: Stage) -> None:
    stage.order(launch("r0", "reduce"))
    assert stage.tell(ev.CommitAsked("r0", (FILE,), ())) == [ex.AskCommit("r0", (FILE,), ())]
    assert stage.tell(ev.CommitAnswered("r0", 1, ex.CommitAnswer(True))) == [
        cmd.TellCommit("r0", True, "")
    ]
    assert stage.tell(ev.TaskExited("r0", 0)) == []
    assert stage.agent._inventory() == (ex.HeldAttempt("r0", "ended"),)


def test_commit_denied_is_told_and_reported_as_nobodys_fault(stage: Stage) -> None:
    stage.order(launch("r0", "reduce"))
    stage.tell(ev.CommitAsked("r0", (FILE,), ()))
    sent = stage.tell(ev.CommitAnswered("r0", 1, ex.CommitAnswer(False, "r0_1")))
    assert cmd.TellCommit("r0", False, "") in sent
    assert items(sent) == [
        ex.AttemptFailed("r0", Failure("killed", "commit denied: superseded by r0_1"), True)
    ]


def test_commit_is_asked_again_when_its_answer_is_lost_even_after_the_process_died(
    stage: Stage,
) -> None:
    stage.order(launch("r0", "reduce"))
    stage.tell(ev.CommitAsked("r0", (FILE,), ()))
    stage.tell(ev.TaskExited("r0", -9, "SIGKILL"))
    stage.tell(ev.CommitLost("r0", "unavailable"))
    assert stage.until(ex.AskCommit) == ex.AskCommit("r0", (FILE,), ())
    assert stage.tell(ev.CommitAnswered("r0", 1, ex.CommitAnswer(True))) == []
    assert stage.agent.attempts["r0"].state == "committed"


def test_a_deposed_trackers_grant_is_no_grant(stage: Stage) -> None:
    stage.order(launch("r0", "reduce"), epoch=3)
    stage.tell(ev.CommitAsked("r0", (FILE,), ()))
    assert of(cmd.TellCommit, stage.tell(ev.CommitAnswered("r0", 2, ex.CommitAnswer(True)))) == []
    assert stage.until(ex.AskCommit) == ex.AskCommit("r0", (FILE,), ())


def test_news_of_map_outputs_reaches_running_and_waiting_reduces() -> None:
    stage = Stage(slots=1)
    stage.attend()
    stage.order(
        launch("r0", "reduce"), launch("r1", "reduce"), launch("r2", "reduce", job_id="job_2")
    )
    news = (ex.OutputLocation(0, 0, "m0", "h", 1, 9, "w2"),)
    assert stage.order(ex.TellOutputs("job_1", news)) == [cmd.TellLocations("r0", news)]
    stage.tell(ev.TaskFailed("r0", REFUSED))
    started = of(cmd.StartTask, stage.tell(ev.TaskExited("r0", 1)))
    assert started[0].launch.known == news


def test_fetch_failures_are_passed_on(stage: Stage) -> None:
    stage.order(launch("r0", "reduce"))
    sent = stage.tell(ev.FetchesFailed("r0", ("m0",), "missing: m0"))
    assert items(sent) == [ex.FetchFailed("r0", ("m0",), "missing: m0")]


def test_forgetting_a_job_kills_its_tasks_and_drops_its_files_after_the_last(stage: Stage) -> None:
    stage.order(launch("m0"), launch("m1"), launch("m2", job_id="job_2"))
    stage.tell(ev.TaskFinished("m1", OUTPUT, ()), ev.TaskExited("m1", 0))
    assert stage.order(ex.ForgetJob("job_1"))[0] == cmd.KillTask("m0")
    assert cmd.DropJob("job_1") in stage.tell(ev.TaskExited("m0", -9, "SIGKILL"))
    assert sorted(stage.agent.attempts) == ["m2"]


def test_the_end_of_a_killed_jobs_tasks_is_told_because_the_tracker_holds_their_slots(
    stage: Stage,
) -> None:
    stage.order(launch("m0"), launch("m1"), launch("m2"))  # m2 waits for a slot
    kill = [ex.KillAttempt(name, "the job has ended") for name in ("m0", "m1", "m2")]
    told = items(stage.order(*kill, ex.ForgetJob("job_1")))
    told += items(stage.take()) + items(stage.tell(ev.TaskExited("m0", -9, "SIGKILL")))
    told += items(stage.take()) + items(stage.tell(ev.TaskExited("m1", -9, "SIGKILL")))
    verdict = Failure("killed", "the job has ended")
    assert sorted(told, key=lambda item: str(item.attempt_id)) == [
        ex.AttemptFailed(name, verdict, True) for name in ("m0", "m1", "m2")
    ]
    assert stage.agent.attempts == {}


def test_the_warm_servers_death_is_no_jobs_fault(stage: Stage) -> None:
    stage.order(launch("m0"), launch("m1"))
    why = "the warm task server was killed by SIGKILL"
    sent = stage.tell(ev.TaskLost("m0", why), ev.TaskLost("m1", why))
    assert [(item.attempt_id, item.killed) for item in items(sent) + items(stage.take())] == [
        ("m0", True),
        ("m1", True),
    ]
    assert stage.agent.busy() == 0


def test_a_task_killed_before_its_process_was_there_ends_as_ordered(stage: Stage) -> None:
    stage.order(launch("m0"))
    stage.order(ex.KillAttempt("m0", "job killed"))
    sent = stage.tell(ev.TaskNotStarted("m0", "killed first"))
    assert items(sent) == [ex.AttemptFailed("m0", Failure("killed", "job killed"), True)]


def test_a_task_that_cannot_be_started_frees_its_slot() -> None:
    stage = Stage(slots=1)
    stage.attend()
    stage.order(launch("m0"), launch("m1"))
    sent = stage.tell(ev.TaskNotStarted("m0", "no processes left"))
    assert items(sent)[0].killed
    assert of(cmd.StartTask, sent) == [cmd.StartTask(launch("m1"))]


def test_a_driver_starts_without_a_slot_and_takes_none() -> None:
    stage = Stage(slots=1)
    stage.attend()
    sent = stage.order(launch("m0"), launch("d0", "driver"), launch("m1"))
    assert [start.launch.attempt_id for start in of(cmd.StartTask, sent)] == ["m0", "d0"]
    assert stage.agent.busy() == 1
    sent = stage.tell(ev.TaskExited("d0", 1))
    assert of(cmd.StartTask, sent) == []


def test_a_result_is_told_with_the_end_and_with_the_inventory(stage: Stage) -> None:
    stage.order(launch("m0"))
    sent = stage.tell(ev.TaskFinished("m0", OUTPUT, (), b"7 rows"))
    assert items(sent) == [ex.TaskDone("m0", OUTPUT, (), b"7 rows")]
    assert stage.agent._inventory() == (ex.HeldAttempt("m0", ex.SUCCEEDED, OUTPUT, (), b"7 rows"),)


def test_news_of_a_stage_that_a_task_does_not_read_is_not_for_it(stage: Stage) -> None:
    stage.order(launch("r0", "reduce"))
    other = (ex.OutputLocation(3, 0, "x0", "h", 1, 9, "w2"),)
    assert stage.order(ex.TellOutputs("job_1", other)) == []


def test_results_that_came_before_their_launch_go_with_it(stage: Stage) -> None:
    one, two, three = (ex.TaskResult(0, task, b"r") for task in range(3))
    order = dataclasses.replace(launch("r0", "reduce"), results=(three,))
    sent = stage.order(ex.TellResults("r0", (one,)), ex.TellResults("r0", (two,)), order)
    assert [start.launch.results for start in of(cmd.StartTask, sent)] == [(one, two, three)]


def test_results_for_a_launch_that_never_came_go_with_none(stage: Stage) -> None:
    """Its stream broke in between: the tracker tells all again."""
    one = ex.TaskResult(0, 0, b"r")
    order = dataclasses.replace(launch("r0", "reduce"), results=(one,))
    stage.order(ex.TellResults("r0", (one,)), ex.TellResults("r1", (one,)))
    stage.tell(ev.AttendEnded(stage.session, "broken"))
    stage.until(cmd.Attend)
    sent = stage.order(ex.TellResults("r0", (one,)), order)
    assert [start.launch.results for start in of(cmd.StartTask, sent)] == [(one, one)]


def test_a_report_carries_no_more_results_than_a_message_holds() -> None:
    stage = Stage(slots=9)
    stage.attend()
    stage.order(*(launch(f"m{index}") for index in range(9)))
    stage.tell(Tick(), after_ms=500)
    big = b"r" * (1 << 20)
    stage.tell(*(ev.TaskFinished(f"m{index}", OUTPUT, (), big) for index in range(9)))
    told = []
    while len(told) < 9:
        news = stage.reports[-1].news
        assert sum(len(item.result) for item in news) <= MESSAGE_RESULT_BYTES
        told += [item.attempt_id for item in news]
        stage.take()
    assert told == [f"m{index}" for index in range(9)]


def test_a_result_that_the_tracker_has_is_not_said_again(stage: Stage) -> None:
    """All that a worker held would be more than a hello may be."""
    stage.order(launch("m0"))
    stage.tell(ev.TaskFinished("m0", OUTPUT, (), b"seven"))
    assert stage.agent._inventory()[0].result == b"seven"
    stage.take()
    assert stage.agent._inventory()[0].result == b""
