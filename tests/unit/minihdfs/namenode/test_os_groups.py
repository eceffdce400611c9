"""Groups of users: the operating system's, looked up now and then."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from minihdfs.namenode import os_groups
from minihdfs.namenode.os_groups import OsGroups, looked_up


def test_a_user_of_this_machine_is_in_their_groups_primary_first() -> None:
    me = pwd.getpwuid(os.geteuid())
    found = looked_up(me.pw_name)
    assert found[0] == grp.getgrgid(me.pw_gid).gr_name
    assert set(found) == {
        grp.getgrgid(number).gr_name for number in os.getgrouplist(me.pw_name, me.pw_gid)
    }


@pytest.mark.parametrize("user", ["no-such-user-here", "", "nul\0", "\udcff", "x" * 9000])
def test_others_are_in_a_group_of_their_own(user: str) -> None:
    assert looked_up(user) == (user,)


def test_the_superuser_is_in_the_supergroup_and_lookups_are_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        os_groups, "looked_up", lambda user: (asked.append(user), (user, "staff"))[1]
    )
    now = [0.0]
    groups = OsGroups("root", "supergroup", lambda: now[0])
    assert groups("root") == ("supergroup", "root", "staff")
    assert groups("ann") == groups("ann") == ("ann", "staff")
    assert asked == ["root", "ann"]
    now[0] = os_groups.KEPT_S
    groups("ann")
    assert asked == ["root", "ann", "ann"]
    for number in range(os_groups.USERS_MAX + 10):
        groups(f"made-up-{number}")
    assert len(groups._known) <= os_groups.USERS_MAX
