"""Every noun survives the trip to Hadoop's message and back; what Hadoop cannot say is rounded as
documented."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from minihdfs.model import (
    BlockRef,
    ContentSummary,
    DatanodeAddress,
    DatanodeReportRow,
    DatanodeUsage,
    FileStatus,
    Listing,
    LocatedBlock,
    LocatedBlocks,
    ServerDefaults,
)
from minihdfs.wire import messages as to

NUMBER = st.integers(0, (1 << 63) - 1)
SMALL = st.integers(0, (1 << 31) - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.binary(max_size=40)
MILLIS_US = st.integers(0, 1 << 50).map(lambda millis: millis * 1000)
RACK = st.sampled_from(["/default-rack", "/r1/é"])
BLOCKS = st.builds(BlockRef, NUMBER, NUMBER, NUMBER)
ADDRESSES = st.builds(DatanodeAddress, TEXT, TEXT, TEXT, SMALL, SMALL, RACK, TEXT)
LOCATED = st.builds(
    LocatedBlock, BLOCKS, NUMBER, st.lists(ADDRESSES, max_size=3).map(tuple), st.booleans()
)
FILES = st.builds(
    LocatedBlocks,
    NUMBER,
    st.lists(LOCATED, max_size=3).map(tuple),
    st.booleans(),
    st.none() | LOCATED,
    st.booleans(),
)
STATUSES = st.builds(
    FileStatus,
    NUMBER,
    NAME,
    st.booleans(),
    NUMBER,
    SMALL,
    NUMBER,
    st.integers(0, 0o7777),
    TEXT,
    TEXT,
    MILLIS_US,
    MILLIS_US,
    SMALL,
    st.booleans(),
)
USAGES = st.builds(DatanodeUsage, NUMBER, NUMBER, NUMBER, SMALL, SMALL)
STATES = st.sampled_from(["live", "stale", "dead", "draining", "decommissioned"])


def over_the_wire(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


@settings(deadline=None, max_examples=50)
@given(STATUSES, FILES, st.builds(DatanodeReportRow, ADDRESSES, USAGES, STATES, MILLIS_US))
def test_nouns_survive(status: FileStatus, located: LocatedBlocks, row: DatanodeReportRow) -> None:
    assert to.status_from_pb(over_the_wire(to.status_to_pb(status))) == status
    assert to.located_blocks_from_pb(over_the_wire(to.located_blocks_to_pb(located))) == located
    assert to.row_from_pb(over_the_wire(to.row_to_pb(row))) == row


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(STATUSES, st.none() | FILES), max_size=4), SMALL)
def test_listings_survive_with_and_without_locations(
    entries: list[tuple[FileStatus, LocatedBlocks | None]], remaining: int
) -> None:
    statuses, located = tuple(status for status, _ in entries), tuple(files for _, files in entries)
    plain = Listing(statuses, remaining)
    assert to.listing_from_pb(over_the_wire(to.listing_to_pb(plain)), with_locations=False) == plain
    full = Listing(statuses, remaining, located)
    assert to.listing_from_pb(over_the_wire(to.listing_to_pb(full)), with_locations=True) == full


@settings(deadline=None, max_examples=50)
@given(
    st.builds(
        ContentSummary,
        NUMBER,
        NUMBER,
        NUMBER,
        NUMBER,
        st.integers(-1, 1 << 62),
        st.integers(-1, 1 << 62),
    ),
    st.builds(ServerDefaults, NUMBER, SMALL, SMALL, SMALL, SMALL),
)
def test_summaries_and_defaults_survive(summary: ContentSummary, defaults: ServerDefaults) -> None:
    assert to.summary_from_pb(over_the_wire(to.summary_to_pb(summary))) == summary
    assert to.defaults_from_pb(over_the_wire(to.defaults_to_pb(defaults))) == defaults


def test_no_quota_travels_as_hadoop_says_it() -> None:
    assert to.summary_to_pb(ContentSummary(0, 0, 0, 0)).quota == (1 << 64) - 1


def test_times_lose_what_is_below_a_millisecond_and_unchanged_stays() -> None:
    assert (to.millis(1_999), to.millis(-1), to.time_ms(1), to.time_ms((1 << 64) - 1)) == (
        1,
        -1,
        1,
        None,
    )


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_time_that_the_wire_can_carry_comes_back(ms: int) -> None:
    status = FileStatus(1, b"", False, 0, 1, 1, 0o644, "o", "g", ms * 1000, ms * 1000)
    assert to.status_from_pb(to.status_to_pb(status)) == status
    assert to.time_ms(to.unsigned(ms)) == (None if ms == -1 else ms)


def test_a_located_block_has_what_java_requires() -> None:
    node = DatanodeAddress("u", "h", "n", 1, 2)
    message = to.located_block_to_pb(LocatedBlock(BlockRef(1, 2, 3), 0, (node, node)))
    assert message.IsInitialized()
    assert (len(message.storageTypes), len(message.storageIDs), message.HasField("blockToken")) == (
        2,
        2,
        True,
    )
