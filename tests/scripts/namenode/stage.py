"""The stage of the namenode's golden scripts: what a script can do with files, and look at.
Datanodes and time are the world's.

A command prints what the caller was told, then every order that reached a datanode, then who died.
"""

from __future__ import annotations

from typing import Any

from minihdfs.model import BlockRef
from minihdfs.namenode.core import events
from minihdfs.namenode.core.commands import Answer, Refusal
from minihdfs.namenode.core.records import BUILDING, COMMITTED
from minihdfs.namenode.core.tree.elected import COORDINATOR
from minihdfs.namenode.core.tree.publish import ResetTrackerEpoch
from tests.scripts.namenode.world import World


class Stage(World):
    elected: int | None = 0

    # ── commands: files ───────────────────────────────────────────────────────────────────────────

    def do_write(
        self,
        path: str,
        bytes: str = "1",
        blocks: str = "1",
        replication: str = "0",
        client: str = "",
        host: str = "",
    ) -> None:
        """Creates, writes and closes: every datanode of each pipeline reports its replica."""
        client = client or f"writer-of-{path}"
        created = self.ask(
            events.Create(
                self.caller(client=client), path, client, 0o644, True, True, int(replication), 0
            )
        )
        if isinstance(created, Refusal):
            self.lines.append(self.shown(created))
            return
        previous: BlockRef | None = None
        for _ in range(int(blocks)):
            added = self.ask(
                events.AddBlock(
                    self.caller(host=host), path, client, created.value.inode_id, previous
                )
            )
            if isinstance(added, Refusal):
                self.lines.append(self.shown(added))
                return
            block = added.value.block
            previous = BlockRef(block.id, block.stamp, int(bytes))
            for address in added.value.locations:
                node = self.nodes[address.uuid]
                node.holds[block.id] = previous
                self._changed(node, received=(previous,))
        self.ask(events.Complete(self.caller(), path, client, created.value.inode_id, previous))
        self.do_show(path)

    def do_create(
        self,
        path: str,
        client: str = "w1",
        call: str | None = None,
        user: str = "root",
        overwrite: str = "no",
    ) -> None:
        caller = self.caller(None if call is None else int(call), client, user)
        reply = self.say(events.Create(caller, path, client, 0o644, overwrite == "yes", True, 0, 0))
        if isinstance(reply, Answer):
            self.inodes[path] = reply.value.inode_id

    def do_addblock(
        self,
        path: str,
        client: str = "w1",
        previous: str = "",
        length: str = "1",
        exclude: str = "",
        host: str = "",
    ) -> None:
        before = self.ref(previous, length) if previous else None
        excluded = tuple(name for name in exclude.split(",") if name)
        inode_id = self.inodes.get(path, 0)
        self.say(
            events.AddBlock(
                self.caller(client=client, host=host), path, client, inode_id, before, excluded
            )
        )

    def do_abandon(self, path: str, block: str, client: str = "w1") -> None:
        self.say(
            events.AbandonBlock(
                self.caller(client=client), path, client, self.inodes.get(path, 0), self.ref(block)
            )
        )

    def do_complete(self, path: str, last: str = "", length: str = "1", client: str = "w1") -> None:
        ref = self.ref(last, length) if last else None
        self.say(
            events.Complete(self.caller(client=client), path, client, self.inodes.get(path, 0), ref)
        )

    def do_restamp(self, block: str, client: str = "w1") -> None:
        self.say(events.UpdateBlockForPipeline(self.caller(client=client), client, self.ref(block)))

    def do_repipe(self, old: str, new: str, length: str, nodes: str, client: str = "w1") -> None:
        new_ref = self.ref(new, length)
        self.say(
            events.UpdatePipeline(
                self.caller(client=client), client, self.ref(old), new_ref, tuple(nodes.split(","))
            )
        )

    def do_fsync(self, path: str, length: str, client: str = "w1") -> None:
        self.say(
            events.Fsync(
                self.caller(client=client), path, client, self.inodes.get(path, 0), int(length)
            )
        )

    def do_stuck(self, count: str, client: str = "w1") -> None:
        """Files whose last block has flushed bytes and no finished replica."""
        for number in range(int(count)):
            path = f"/stuck/{number:03}"
            for event in (
                events.Create(self.caller(client=client), path, client, 0o644, False, True, 0, 0),
                events.AddBlock(self.caller(client=client), path, client, 0, None),
                events.Fsync(self.caller(client=client), path, client, 0, 5),
            ):
                assert isinstance(self.ask(event), Answer)

    def do_abandonfile(self, path: str, client: str = "w1", user: str = "root") -> None:
        self.say(
            events.AbandonFile(self.caller(client=client, user=user), self.inodes[path], client)
        )

    def do_renew(self, client: str) -> None:
        self.say(events.RenewLease(self.caller(), client))

    def do_recover(self, path: str) -> None:
        self.say(events.RecoverLease(self.caller(), path, "other"))

    def do_mkdir(
        self, path: str, user: str = "root", mode: str = "755", call: str | None = None
    ) -> None:
        self.say(
            events.Mkdirs(
                self.caller(None if call is None else int(call), user=user),
                path,
                int(mode, 8),
                True,
            )
        )

    def do_rename(
        self, source: str, destination: str, user: str = "root", call: str | None = None
    ) -> None:
        self.say(
            events.Rename(
                self.caller(None if call is None else int(call), user=user), source, destination
            )
        )

    def do_rename2(self, source: str, destination: str, overwrite: str = "no") -> None:
        self.say(events.Rename2(self.caller(), source, destination, overwrite == "yes"))

    def do_renames(self, *pairs: str) -> None:
        made = tuple((pair.split("→")[0], pair.split("→")[1]) for pair in pairs)
        self.say(events.RenameMany(self.caller(), made))

    def do_elected(self, epoch: str) -> None:
        """The tracker that the coordinator elected last; "nobody_knows" = it does not answer."""
        self.elected = None if epoch == "nobody_knows" else int(epoch)

    def do_reset_tracker_epoch(self, user: str = "root") -> None:
        self.say_to_coordinator(ResetTrackerEpoch(self.caller(user=user)))

    def say_to_coordinator(self, event: Any) -> None:
        """What the core asks the coordinator is answered at once, if it answers."""
        self.step(event)
        if self.replies.pop(COORDINATOR, None) is not None and self.elected is not None:
            self.step(events.EpochCeiling("tracker", self.elected))
        reply = self.replies.pop(event.caller.reply_to, None)
        self.lines.append(
            f"… {event.caller.reply_to} waits" if reply is None else self.shown(reply)
        )

    def do_publish(self, staging: str, destination: str, epoch: str, replacing: str = "") -> None:
        replaced = 0
        if replacing:
            answer = self.ask(events.GetFileInfo(self.caller(), replacing))
            replaced = answer.value.inode_id if answer.value else 99
        self.say_to_coordinator(
            events.Publish(self.caller(), staging, destination, replaced, int(epoch))
        )

    def do_delete(
        self, path: str, recursive: str = "yes", user: str = "root", call: str | None = None
    ) -> None:
        self.say(
            events.Delete(
                self.caller(None if call is None else int(call), user=user),
                path,
                recursive == "yes",
            )
        )

    def do_setrep(self, path: str, count: str) -> None:
        self.say(events.SetReplication(self.caller(), path, int(count)))

    def do_chmod(self, path: str, mode: str, user: str = "root") -> None:
        self.say(events.SetPermission(self.caller(user=user), path, int(mode, 8)))

    def do_chown(self, path: str, owner: str, user: str = "root") -> None:
        name, _, group = owner.partition(":")
        self.say(events.SetOwner(self.caller(user=user), path, name, group))

    def do_access(self, path: str, mode: str, user: str) -> None:
        self.say(events.CheckAccess(self.caller(user=user), path, int(mode)))

    def do_safemode(self, action: str) -> None:
        self.say(events.SetSafeMode(self.caller(), action))

    # ── commands: looking ─────────────────────────────────────────────────────────────────────────

    def do_stat(self, path: str, user: str = "root") -> None:
        self.say(events.GetFileInfo(self.caller(user=user), path))

    def do_read(self, path: str, host: str = "") -> None:
        event = events.GetBlockLocations(self.caller(host=host), path, 0, 1 << 62)
        reply = self.ask(event)
        if reply is None:
            self.lines.append(f"… {event.caller.reply_to} waits")
            return
        if isinstance(reply, Refusal):
            self.lines.append(self.shown(reply))
            return
        for one in reply.value.blocks:
            names = [a.uuid for a in one.locations]
            shown = (
                f"{names[0]} first, then {sorted(names[1:])}"
                if host and names
                else f"{sorted(names)}"
            )
            self.lines.append(
                f"{self.block(one.block)} {shown}{' CORRUPT' if one.corrupt else ''}".replace(
                    "'", ""
                )
            )

    def do_locate(self, directory: str) -> None:
        """A listing with locations."""
        self.say(events.GetListing(self.caller(), directory, b"", True))

    def do_list(self, path: str) -> None:
        reply = self.ask(events.GetListing(self.caller(), path))
        for status in reply.value.entries:
            self.lines.append(f"{status.name.decode()}{'/' if status.is_directory else ''}")

    def do_tree(self, path: str = "/") -> None:
        reply = self.ask(events.GetListing(self.caller(), path))
        for status in reply.value.entries:
            child = f"{path.rstrip('/')}/{status.name.decode()}"
            if status.is_directory:
                self.lines.append(f"{child}/")
                self.do_tree(child)
            else:
                self.do_show(child)

    def do_show(self, path: str) -> None:
        """A file's blocks, where their sound replicas are, and its state."""
        status = self.ask(events.GetFileInfo(self.caller(), path)).value
        if status is None:
            self.lines.append(f"{path} does not exist")
            return
        inode = self.core.state.namespace.inode(status.inode_id)
        assert inode is not None
        shown = []
        for block_id in inode.blocks:
            record = self.core.state.blocks.require(block_id)
            state = {BUILDING: " building", COMMITTED: " committed"}.get(record.state, "")
            holders = " ".join(self.core.state.blocks.holders(block_id))
            shown.append(f"{self.block(BlockRef(block_id, record.stamp, 0))}{state} [{holders}]")
        self.lines.append(
            " ".join([path, *shown, "OPEN" if status.under_construction else "COMPLETE"])
        )

    def do_stats(self) -> None:
        value = self.ask(events.GetFsStats(self.caller())).value
        self.lines.append(
            f"{value.files} files, {value.directories} directories, {value.blocks} blocks: "
            f"{value.under_replicated_blocks} under-replicated, {value.missing_blocks} missing, "
            f"{value.corrupt_blocks} corrupt, {value.pending_deletion_blocks} to delete"
            + (", safe mode" if value.safe_mode else "")
            + (f", {value.blocks_in_future} in the future" if value.blocks_in_future else "")
        )

    def do_disks(self) -> None:
        value = self.ask(events.GetFsStats(self.caller())).value
        self.lines.append(
            f"{value.capacity_bytes >> 40} TiB of disks, {value.remaining_bytes} bytes free"
        )

    def do_counters(self) -> None:
        """The ids and stamps given last, numbered as in everything that is shown."""
        rooms = self.core.state
        self.lines.append(
            f"given up to {self.block(BlockRef(rooms.last_block_id, rooms.last_stamp, 0))}"
        )

    def do_summary(self, path: str) -> None:
        value = self.ask(events.GetContentSummary(self.caller(), path)).value
        self.lines.append(
            f"{value.length} bytes, {value.files} files, {value.directories} directories, "
            f"{value.space_consumed} on disk"
        )

    def do_state(self) -> None:
        reply = self.ask(events.GetDatanodeReport(self.caller(), "all"))
        for row in reply.value:
            self.lines.append(f"{row.address.uuid} {row.state}")
