# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the accounts of sites keep the sites apart from each other and from the system."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LOWEST_ID = 100
"""Below it accounts are the distribution's own; suEXEC refuses them as well (SUX-06)."""

AS_GOOD_AS_ROOT = frozenset(("docker", "incus-admin", "libvirt", "lxd", "systemd-journal"))
"""Groups with a number of their own on each host, whose members rule it or read everybody's logs."""

USER_RECORDS = ("/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/lib/userdb")
"""Directories of systemd's own records of accounts."""


@dataclass(frozen=True)
class User:
    """An account: its number, and those of all groups that it is in."""

    uid: int
    groups: Sequence[int]


class Host:
    """The host's accounts, from wherever its name service has them.

    Where that is its files alone they are read once. The name service reads all of them anew for each name,
    which takes a time that grows with the square of the number of sites.
    """

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.groups: dict[str, int] = {}
        if of_files_alone():
            members: dict[str, list[int]] = {}
            for name, _, gid, those_in_it in entries("/etc/group", 4):
                self.groups.setdefault(name, int(gid))
                for member in filter(None, those_in_it.split(",")):
                    members.setdefault(member, []).append(int(gid))
            for name, _, uid, gid, *_ in entries("/etc/passwd", 7):
                self.users.setdefault(name, User(int(uid), [int(gid), *members.get(name, [])]))

    def user(self, name: str) -> User | None:
        if name not in self.users:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                return None
            self.users[name] = User(entry.pw_uid, os.getgrouplist(name, entry.pw_gid))
        return self.users[name]

    def group(self, name: str) -> int | None:
        if name not in self.groups:
            try:
                self.groups[name] = grp.getgrnam(name).gr_gid
            except KeyError:
                return None
        return self.groups[name]


def of_files_alone(root: str = "") -> bool:
    """Whether nothing but its files has a say in which accounts a host has, and who is in which group."""
    try:
        with open(f"{root}/etc/nsswitch.conf", encoding="utf-8") as source:
            lines = [line.partition("#")[0].split() for line in source]
    except (OSError, ValueError):
        return False
    told = {words[0]: words[1:] for words in lines if words}
    asked = [told.get("passwd:"), told.get("group:"), told.get("initgroups:", told.get("group:"))]
    return all(sources in (["files"], ["files", "systemd"]) for sources in asked) and not records(root)


def records(root: str) -> list[str]:
    """Where systemd finds accounts beside those that it makes for services while they run."""
    with contextlib.suppress(FileNotFoundError):
        others = set(os.listdir(f"{root}/run/systemd/userdb")) - {"io.systemd.DynamicUser"}
        if others:
            return sorted(others)
    return [path for path in USER_RECORDS if os.path.isdir(root + path)]


def entries(path: str, fields: int) -> Iterable[list[str]]:
    """The lines of a file of accounts that have as many fields as they should."""
    with open(path, encoding="utf-8", errors="surrogateescape") as source:
        for line in source:
            words = line.rstrip("\n").split(":")
            if len(words) == fields and words[0][:1] not in ("", "+", "-", "#") and words[2].isdecimal():
                yield words


def problems(sites: Sequence[Mapping[str, str]], host: Host, may_be_missing: bool = False) -> Sequence[str]:
    """One message per fault.

    :param sites: each with `name`, `user`, `group` and `apache_group`.
    :param may_be_missing: whether an account that is not there is no fault, because it will be made.
    """
    found: list[str] = []
    owners: dict[int, str] = {}
    ruling = {host.group(name): name for name in AS_GOOD_AS_ROOT}
    serving = {host.group(name): name for name in {site["apache_group"] for site in sites}}
    for site in sites:
        label, name, group_name = f"site {site['name']}", site["user"], site["group"]
        user, group = host.user(name), host.group(group_name)
        if user is not None:
            found.extend(f"{label}: the account {name} {fault}" for fault in faults(user, ruling, serving))
            if owners.setdefault(user.uid, name) != name:
                found.append(
                    f"{label}: the account {name} has the uid of {owners[user.uid]}, so their sites would "
                    f"not be apart; give it a uid of its own"
                )
        elif not may_be_missing:
            found.append(f"{label}: there is no account {name} on this host; the role site_accounts makes it")
        if group is None and not may_be_missing:
            found.append(f"{label}: there is no group {group_name} on this host")
        elif group is not None and group < LOWEST_ID:
            found.append(f"{label}: the group {group_name} has gid {group}, which belongs to the system")
    return found


def faults(user: User, ruling: Mapping[int | None, str], serving: Mapping[int | None, str]) -> Iterable[str]:
    """What makes an account more than a tenant's."""
    if user.uid < LOWEST_ID:
        yield f"has uid {user.uid}, which belongs to the system"
        return
    for number in user.groups:
        if number in serving:
            yield (
                f"is in the group {serving[number]}, which may connect to every site's socket (SEC-03); take "
                f"it out of that group"
            )
        elif number in ruling or number < LOWEST_ID:
            name = ruling.get(number, f"with gid {number}")
            yield f"is in the group {name}, which belongs to the system; take it out of that group"
