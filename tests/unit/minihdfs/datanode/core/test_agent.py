"""The agent against a scripted namenode: registration, reports, orders, fencing."""

from __future__ import annotations

from random import Random
from typing import Any

from clusterkit.effects import Edit, Instant, Tick
from minihdfs.datanode.core import events as e
from minihdfs.datanode.core.agent import Agent, AgentOptions
from minihdfs.model import (
    BlockRef,
    CopyEnded,
    DatanodeAddress,
    Invalidate,
    Order,
    Repair,
    Replicate,
)

ADDRESS = DatanodeAddress("d1", "127.0.0.1", "localhost", 9866, 9867)
PEER = DatanodeAddress("d2", "127.0.0.2", "localhost", 9866, 9867)


class Scene:
    """An agent, a clock that the test moves, and everything that left."""

    def __init__(
        self,
        replicas: tuple[BlockRef, ...] = (),
        *,
        cluster_id: str = "",
        epoch: int = 0,
        **options: Any,
    ) -> None:
        self.agent = Agent(
            AgentOptions(ADDRESS, **options), Random(7), cluster_id=cluster_id, epoch=epoch
        )
        self.now_us = 1_000_000
        self.sent: list[Any] = []
        self.edits: list[Edit] = []
        self.tell(e.ReplicasListed(replicas))

    def tell(self, event: Any) -> list[Any]:
        effects = self.agent.step(event, Instant(self.now_us, self.now_us + 10**15))
        self.agent.check_invariants()
        self.edits += effects.journal
        messages = [send.message for send in effects.sends]
        self.sent += messages
        return messages

    def advance(self, seconds: float) -> list[Any]:
        """Ticks at every deadline up to `seconds` from now."""
        end, messages = self.now_us + int(seconds * 1e6), list[Any]()
        while True:
            due = self.agent.next_deadline()
            if due is None or due > end:
                break
            self.now_us = max(self.now_us, due)
            messages += self.tell(Tick())
        self.now_us = end
        return messages

    def last(self, kind: type) -> Any:
        return next(message for message in reversed(self.sent) if isinstance(message, kind))

    def register(self, epoch: int = 1, cluster_id: str = "c1") -> list[Any]:
        return self.tell(e.Registered(self.last(e.Register).call, 77, cluster_id, epoch, 1000))

    def beat(self, *orders: Order, epoch: int = 1) -> list[Any]:
        if self.agent._beat_call is None:
            self.advance(1)
        return self.tell(e.HeartbeatAnswered(self.last(e.Heartbeat).call, epoch, orders))

    def take_reports(self) -> list[Any]:
        """Answers reports until none is under way; returns them."""
        taken = []
        while self.agent._report_call is not None:
            report = next(
                m
                for m in reversed(self.sent)
                if isinstance(m, e.FullReportChunk | e.Changes | e.FoundBad)
            )
            taken.append(report)
            self.tell(e.ReportTaken(report.call, self.agent.epoch))
        return taken


def block(block_id: int, stamp: int = 1) -> BlockRef:
    return BlockRef(block_id, stamp, 100)


def serving(*replicas: BlockRef, **options: Any) -> Scene:
    scene = Scene(replicas, **options)
    scene.register()
    scene.take_reports()
    return scene


def test_a_fresh_datanode_registers_at_once_and_adopts_the_cluster() -> None:
    scene = Scene()
    assert isinstance(scene.sent[0], e.Register) and scene.sent[0].cluster_id == ""
    messages = scene.register(epoch=4)
    assert [edit.op for edit in scene.edits] == [e.ClusterAdopted("c1"), e.EpochSeen(4)]
    assert [type(message) for message in messages] == [e.Heartbeat, e.FullReportChunk]
    assert messages[1].last and messages[1].replicas == ()


def test_another_clusters_namenode_halts_the_datanode() -> None:
    scene = Scene(cluster_id="c2")
    assert scene.register() == [e.Halt("this datanode belongs to cluster c2, the namenode to c1")]
    assert scene.agent.next_deadline() is None


def test_a_refused_registration_halts_the_datanode() -> None:
    scene = Scene()
    assert scene.tell(e.RegistrationRefused(scene.last(e.Register).call, "no")) == [e.Halt("no")]


def test_registration_is_tried_again_with_a_growing_pause() -> None:
    scene = Scene()
    calls = [scene.last(e.Register).call]
    for _ in range(12):
        scene.tell(e.CallFailed(calls[-1], "nobody there"))
        assert scene.agent.next_deadline() <= scene.now_us + 2_000_000
        scene.advance(2)
        calls.append(scene.last(e.Register).call)
    assert len(set(calls)) == 13


def test_a_call_without_answer_counts_as_failed() -> None:
    scene = Scene(call_timeout_us=5_000_000)
    first = scene.last(e.Register).call
    scene.advance(8)
    assert scene.last(e.Register).call > first
    scene.tell(e.Registered(first, 1, "c1", 1, 1000))
    assert not scene.agent.registered


def test_a_full_report_leaves_in_chunks_one_at_a_time() -> None:
    scene = Scene(tuple(block(i) for i in range(1, 6)), report_chunk_replicas=2)
    scene.register()
    chunks = scene.take_reports()
    assert [[b.id for b in chunk.replicas] for chunk in chunks] == [[1, 2], [3, 4], [5]]
    assert [(chunk.chunk, chunk.last) for chunk in chunks] == [(0, False), (1, False), (2, True)]


def test_a_replica_deleted_while_a_full_report_runs_is_not_in_a_later_chunk() -> None:
    scene = Scene(tuple(block(i) for i in range(1, 5)), report_chunk_replicas=2)
    scene.register()
    scene.tell(e.ReplicasDeleted((block(4),)))
    scene.tell(e.ReplicaFinalized(block(9)))
    first, changes, second = scene.take_reports()
    assert (
        isinstance(changes, e.Changes)
        and changes.deleted == (block(4),)
        and changes.received == (block(9),)
    )
    assert changes.sequence > first.begun_sequence == second.begun_sequence
    assert second.replicas == (block(3),) and second.last


def test_what_dead_writers_left_is_listed_with_the_last_chunk_until_it_is_gone() -> None:
    scene = Scene((block(1), block(2)), report_chunk_replicas=1)
    scene.tell(e.ReplicaLeft(block(8)))
    scene.tell(e.ReplicaLeft(block(7)))
    scene.register()
    first, last = scene.take_reports()
    assert first.unfinished == () and last.unfinished == (block(7), block(8))
    scene.beat(Invalidate((block(7),)))
    assert scene.last(e.DeleteReplicas).blocks == (block(7),)
    assert scene.tell(e.ReplicasDeleted((block(7),)))[0].deleted == (block(7),)
    scene.tell(e.ReplicaFinalized(block(8)))
    assert scene.agent.reports.unfinished == {}


def test_a_change_is_told_at_once_and_repeated_until_answered() -> None:
    scene = serving()
    (first,) = scene.tell(e.ReplicaFinalized(block(5)))
    scene.tell(e.CallFailed(first.call, "gone"))
    scene.tell(e.ReplicaFinalized(block(6)))
    scene.advance(0.2)
    again = scene.last(e.Changes)
    assert again.call != first.call and (again.sequence, again.received) == (
        first.sequence,
        (block(5),),
    )
    taken = scene.take_reports()
    assert taken[-1].sequence == first.sequence + 1 and taken[-1].received == (block(6),)


def test_only_the_last_word_on_a_block_is_told() -> None:
    scene = Scene()
    scene.tell(e.ReplicaFinalized(block(5)))
    scene.tell(e.ReplicasDeleted((block(5),)))
    scene.register()
    assert (
        next(message for message in scene.take_reports() if isinstance(message, e.Changes)).received
        == ()
    )


def test_a_periodic_full_report_follows_although_changes_never_cease() -> None:
    scene = serving(full_report_interval_us=10_000_000)
    before = len([m for m in scene.sent if isinstance(m, e.FullReportChunk)])
    for i in range(30):
        scene.advance(0.5)
        scene.tell(e.ReplicaFinalized(block(100 + i)))
        scene.take_reports()
        if scene.agent._beat_call:
            scene.beat()
    assert len([m for m in scene.sent if isinstance(m, e.FullReportChunk)]) == before + 1


def test_a_new_registration_tells_unanswered_changes_again_and_reports_everything() -> None:
    scene = serving(block(1))
    scene.tell(e.ReplicaFinalized(block(2)))
    scene.tell(e.ReregisterAsked(scene.last(e.Heartbeat).call, 1))
    assert not scene.agent.registered
    scene.register(epoch=2)
    changes, full = scene.take_reports()
    assert changes.received == (block(2),) and full.replicas == (block(1), block(2)) and full.last


def test_an_answer_of_an_older_epoch_changes_nothing_and_ends_the_registration() -> None:
    scene = serving(block(1), epoch=0)
    scene.beat(epoch=5)
    scene.advance(1)
    scene.beat(Invalidate((block(1),)), epoch=4)
    assert not scene.agent.registered and scene.agent.epoch == 5
    assert not [m for m in scene.sent if isinstance(m, e.DeleteReplicas)]
    scene.advance(1)
    scene.register(epoch=4)
    assert not scene.agent.registered


def test_deletions_wait_for_a_full_report_and_leave_the_map_first() -> None:
    scene = Scene((block(1), block(2)))
    scene.register()
    assert scene.beat(Invalidate((block(1),))) == []
    scene.take_reports()
    assert scene.last(e.DeleteReplicas).blocks == (block(1),)
    assert 1 not in scene.agent.reports.replicas
    (changes,) = scene.tell(e.ReplicasDeleted((block(1),)))
    assert changes.deleted == (block(1),)


def test_deleting_an_old_stamp_keeps_the_newer_replica() -> None:
    scene = serving(block(1, stamp=2))
    scene.beat(Invalidate((block(1, stamp=1),)))
    assert scene.tell(e.ReplicasDeleted((block(1, stamp=1),))) == []
    assert scene.agent.reports.replicas == {1: block(1, stamp=2)}


def test_copies_are_bounded_and_never_taken_from_a_bad_replica() -> None:
    scene = serving(*(block(i) for i in range(1, 6)), copies_max=2)
    scene.tell(e.ReplicaFoundBad(block(4)))
    scene.take_reports()
    begun = scene.beat(*(Replicate(block(i), (PEER,)) for i in range(1, 6)))
    assert [m.block.id for m in begun if isinstance(m, e.CopyReplica)] == [1, 2]
    assert isinstance(begun[-1], e.FoundBad)
    (begun_next,) = scene.tell(e.CopyFinished(block(1), (PEER,)))
    assert begun_next.block.id == 3
    assert scene.tell(e.CopyFinished(block(2), (PEER,)))[0].block.id == 5


def test_what_became_of_copies_is_told_and_the_next_ride_on_the_reply() -> None:
    scene = serving(block(1), block(2))
    scene.beat(Replicate(block(1), (PEER,)))
    (told,) = scene.tell(e.CopyFinished(block(1), (PEER,), ((PEER.uuid, "no route"),)))
    assert told.copied == (CopyEnded(1, PEER.uuid, "no route"),)
    begun = scene.tell(
        e.ReportTaken(told.call, 1, (Replicate(block(2), (PEER,)), Replicate(block(9), (PEER,))))
    )
    assert e.CopyReplica(block(2), (PEER,)) in begun
    changes = scene.last(e.Changes)
    assert (changes.deleted, [ended.block_id for ended in changes.copied]) == ((block(9),), [9]), (
        "what is not here cannot be copied"
    )


def test_the_same_copy_is_not_begun_twice() -> None:
    scene = serving(block(1))
    scene.beat(Replicate(block(1), (PEER,)))
    scene.advance(1)
    assert scene.beat(Replicate(block(1), (PEER,))) == []


def test_an_order_for_a_replica_that_is_not_here_is_answered_with_deleted() -> None:
    scene = serving()
    (changes,) = scene.beat(Replicate(block(8), (PEER,)))
    assert changes.deleted == (block(8),)


def test_a_bad_replica_is_told_repaired_and_told_received() -> None:
    scene = serving(block(1))
    (told,) = scene.tell(e.ReplicaFoundBad(block(1)))
    assert told.blocks == (block(1),)
    scene.take_reports()
    (repair,) = scene.beat(Repair(block(1), (PEER,)))
    assert repair == e.RepairReplica(block(1), (PEER,))
    (changes,) = scene.tell(e.RepairFinished(block(1), True))
    assert changes.received == (block(1),) and not scene.agent.reports.bad


def test_bad_replicas_are_flagged_in_every_full_report_and_listed_as_sound_in_none() -> None:
    scene = Scene()
    scene.tell(
        e.ReplicasListed((block(1), block(2), block(3)), bad=(block(2),))
    )  # the mark on the disk outlived the process
    scene.register()
    (report,) = scene.take_reports()
    assert (report.replicas, report.bad) == ((block(1), block(3)), (block(2),))
    scene.tell(e.ReplicaFoundBad(block(3)))
    scene.beat()
    scene.tell(
        e.ReregisterAsked(scene.agent._report_call or 0, 1)
    )  # the namenode restarted and knows nothing
    scene.advance(1)
    scene.register()
    (report,) = scene.take_reports()
    assert (report.replicas, report.bad) == ((block(1),), (block(2), block(3)))


def test_an_order_for_what_a_writer_left_does_not_make_it_forgotten() -> None:
    scene = serving(full_report_interval_us=600_000_000)
    scene.tell(e.ReplicaLeft(block(8)))
    scene.beat(Repair(block(8), ()))
    scene.take_reports()
    assert list(scene.agent.reports.unfinished) == [8]


def test_a_failed_repair_is_told_as_bad() -> None:
    scene = serving(block(1))
    scene.beat(Repair(block(1), (PEER,)))
    (told,) = scene.tell(e.RepairFinished(block(1), False, "no source answers"))
    assert told.blocks == (block(1),)


def test_replayed_edits_give_the_durable_state() -> None:
    scene = serving()
    scene.beat(epoch=9)
    fresh = Agent(AgentOptions(ADDRESS), Random(1))
    for edit in scene.edits:
        fresh.apply(edit)
    assert (fresh.cluster_id, fresh.epoch) == ("c1", 9)


def test_a_repair_that_could_not_look_says_nothing_of_the_replica() -> None:
    scene = serving(block(1))
    scene.beat(Repair(block(1), (PEER,)))
    assert scene.tell(e.RepairFinished(block(1), False, "no descriptors", known=False)) == []
    assert not scene.agent.reports.bad
    assert [m for m in scene.beat(Repair(block(1), (PEER,))) if isinstance(m, e.RepairReplica)]


def test_unknown_replicas_are_kept_and_come_back_when_another_term_begins() -> None:
    scene = serving(block(1), block(2))
    orders = scene.beat(Invalidate((block(1),)), Invalidate((block(2),), unknown=True))
    deletions = [message for message in orders if isinstance(message, e.DeleteReplicas)]
    assert deletions == [e.DeleteReplicas((block(1),)), e.DeleteReplicas((block(2),), unknown=True)]
    scene.advance(1)
    scene.tell(e.ReregisterAsked(scene.last(e.Heartbeat).call, 1))
    assert e.BringBack() not in scene.register(epoch=1)
    scene.advance(1)
    scene.tell(e.ReregisterAsked(scene.last(e.Heartbeat).call, 1))
    assert e.BringBack() in scene.register(epoch=2)
