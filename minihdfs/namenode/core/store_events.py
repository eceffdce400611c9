"""What the store on disk, behind the core, tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreFlushed:
    """The store on disk now holds every edit up to this txid: the overlay may drop them."""

    txid: int


@dataclass(frozen=True, slots=True)
class StoreLags:
    """The store on disk is so far behind that memory fills (`reason` says so), or has caught up
    (""). Requests that change something wait meanwhile."""

    reason: str


@dataclass(frozen=True, slots=True)
class StoreSpaceChanged:
    """The disk under journal and store went below its reserve (`reason` says so) or has room again
    (""). Edits are refused meanwhile."""

    reason: str
