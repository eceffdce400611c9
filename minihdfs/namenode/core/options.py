"""What a namenode's core may be told, frozen. Times in microseconds; the root reads them from the
configuration once."""

from __future__ import annotations

from dataclasses import dataclass, field

from minihdfs.model import RENAMES_MAX, ServerDefaults

_SECOND = 1_000_000
DEAD_AFTER_US_MIN = 100_000


@dataclass(frozen=True, slots=True)
class Options:
    cluster_id: str
    superuser: str
    """Who started the file system: no permission is checked for them."""
    supergroup: str = "supergroup"
    permissions_enabled: bool = True
    defaults: ServerDefaults = field(default_factory=ServerDefaults)

    heartbeat_interval_us: int = 1 * _SECOND
    stale_after_us: int = 3 * _SECOND
    """Silent this long: chosen for writes only when there is no other, offered last for reads."""
    dead_after_us: int = 10 * _SECOND
    """Silent this long: its replicas are counted as lost and made again elsewhere."""

    lease_soft_us: int = 60 * _SECOND
    lease_hard_us: int = 20 * 60 * _SECOND
    park_us: int = 3 * _SECOND
    """How long addBlock and complete wait for a replica to be reported before they say "not
    yet"."""

    replication_max: int = 512
    copies_max: int = 256
    copies_bytes_max: int = 64 << 20
    """Copies that one datanode is to send at a time, and their bytes, at most (but always one);
    twice as many it receives."""
    reports_awaited_us: int = 600 * _SECOND
    """No copies while a live datanode has not reported in full, for this long at most."""
    replication_timeout_us: int = 30 * _SECOND
    order_resend_us: int = 5 * _SECOND
    """A deletion or repair that was not confirmed is ordered again after this."""
    settle_us: int = 3 * _SECOND
    """No re-replication this long after safe mode ends or a block is completed: the reports are on
    their way."""

    safemode_quiet_us: int = 30 * _SECOND
    """Safe mode ends although blocks are missing when no datanode has reported anything new for
    this long."""
    safemode_longest_us: int = 600 * _SECOND
    deletions_barred_us: int = 3600 * _SECOND
    """How long datanodes delete nothing after a safe mode that ended with blocks missing."""
    datanodes_max: int = 10_000

    room_promised_us: int = 300 * _SECOND
    """How long the room for a block that is given out is taken off its datanodes, unless they
    report it."""

    listing_page: int = 1_000
    step_records: int = 10_000
    """Records one step may touch; longer work continues in later steps."""
    reclaim_records: int = 1_000
    """Of what was deleted, so many inodes and blocks are freed by one edit."""
    blocks_per_file_max: int = 10_000
    renames_max: int = RENAMES_MAX
    retry_keep_us: int = 600 * _SECOND
    """Of the log's time: how long a call's repetition is known for one. An unmodified Hadoop shell
    came back after 39 s (measured)."""
    retry_entries_max: int = 1_500_000
    retry_soft_max: int = 100_000
    """Answers of calls that changed nothing, in memory only."""
    cached_records_max: int = 200_000
    """Records of each table held in memory beside the changed ones."""

    def __post_init__(self) -> None:
        if self.dead_after_us < DEAD_AFTER_US_MIN:
            raise ValueError(
                f"dead_after of {self.dead_after_us} µs is below {DEAD_AFTER_US_MIN} µs: a slow "
                "answer would count as a death"
            )
        if self.lease_soft_us > self.lease_hard_us:
            raise ValueError("the soft limit of a lease is longer than its hard limit")
        if not 1 <= self.defaults.replication <= self.replication_max:
            raise ValueError(
                f"default replication {self.defaults.replication} is not within "
                f"1…{self.replication_max}"
            )

    @property
    def heartbeat_us(self) -> int:
        """The interval datanodes are told: at least four heartbeats fit before a silent one is
        declared dead."""
        return min(self.heartbeat_interval_us, self.dead_after_us // 4)

    @property
    def stale_us(self) -> int:
        return min(self.stale_after_us, max(self.dead_after_us // 2, 1))
