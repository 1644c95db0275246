# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the service manager does after files have changed, so that no request is lost.

A file directly in /etc/systemd/system is a unit; one in /etc/tmpfiles.d says what to make when it boots,
and now. A site's PHP stands behind a socket that systemd holds, so its service may stop at any time:
connections wait in the socket and the next one starts the service with the new configuration.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from typing import Callable

UNIT_ROOT = "/etc/systemd/system"
TMPFILES_ROOT = "/etc/tmpfiles.d"
COMMAND_LIMIT = 600
"""Seconds for one command of the service manager; a site's own stop timeout lies well below."""


class ServiceError(Exception):
    """A daemon did not come up with the new configuration; the message is in its own words."""


def run(argv: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"{' '.join(argv[:4])}: {error}") from None
    text = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0:
        raise ServiceError(f"{' '.join(argv[:4])} failed ({done.returncode}): {text}")
    return text


def managed() -> bool:
    """Whether systemd runs this host; in an image that is being built there is nothing to start."""
    return os.path.isdir("/run/systemd/system")


def carry_out(
    before: Mapping[str, str],
    after: Mapping[str, str],
    touched: Collection[str],
    reload: Sequence[str] = (),
    run: Callable[[Sequence[str]], str] = run,
    wait: bool = True,
) -> None:
    """Bring the daemons to the state of the files.

    :param before: the set's files before the change, each with the name of its site ("" where shared).
    :param after: the same after the change.
    :param touched: the paths that were written or removed.
    :param reload: daemons that all sites share; reloaded gracefully, started where they are down.
    :param wait: until units have started and stopped; not so while the service manager itself waits for us.
    :raises ServiceError: a daemon refused; those already brought up stay so.
    """
    if not touched or not managed():
        return
    was, now = units(before), units(after)
    changed_sites = {after.get(path) or before.get(path) for path in touched} - {""}
    stayed = [path for path in now if path in was and after[path] in changed_sites]
    sockets = [path for path in stayed if path.endswith(".socket") and path in touched]
    blocked = [path for path in stayed if path.endswith(".service") and path[:-8] + ".socket" in sockets]
    services = [path for path in stayed if path.endswith(".service") and path not in blocked]
    gone = sorted(set(was) - set(now), key=lambda path: (not path.endswith(".socket"), path))
    now_made = [path for path in touched if path in after and os.path.dirname(path) == TMPFILES_ROOT]
    new = [path for path in now if path not in was and path.endswith((".socket", ".timer"))]

    def systemctl(*arguments: str, on: Sequence[str]) -> None:
        if on:
            patience = [] if wait else ["--no-block"]
            run(["systemctl", *arguments, *patience, *(os.path.basename(path) for path in on)])

    systemctl("stop", on=gone)
    if any(path.startswith(UNIT_ROOT + "/") for path in touched):
        run(["systemctl", "daemon-reload"])
    for path in now_made:  # before the sockets, which may lie in a directory from there
        run(["systemd-tmpfiles", "--create", path])
    systemctl("stop", "--no-block", on=services)  # a master finishes what it runs, and its socket waits
    systemctl("stop", on=blocked)  # systemd restarts a socket only while its service is down
    systemctl("restart", on=sockets)
    systemctl("start", on=new)
    for daemon in reload:
        run(["systemctl", "reload-or-restart", daemon])
        run(["systemctl", "is-active", daemon])


def strangers(daemons: Sequence[str]) -> dict[str, str]:
    """Those that the service manager cannot run, each with what it says of them, such as not-found."""
    if not daemons or not managed():
        return {}
    found = run(["systemctl", "show", "--property=LoadState", "--value", *daemons]).split()
    return {daemon: state for daemon, state in zip(daemons, found) if state != "loaded"}


def idle_sockets(paths: Collection[str]) -> list[str]:
    """The sockets among `paths` that do not listen, although nothing about them has changed."""
    sockets = [os.path.basename(path) for path in units(paths) if path.endswith(".socket")]
    if not sockets or not managed():
        return []
    return [socket for socket, state in states(sockets).items() if state != "active"]


def states(names: Sequence[str]) -> dict[str, str]:
    """Units, each with whether it is active, inactive, deactivating and so on."""
    if not names:
        return {}
    done = subprocess.run(["systemctl", "is-active", *names], stdout=subprocess.PIPE, check=False)
    return dict(zip(names, done.stdout.decode().split()))


def units(paths: Collection[str]) -> list[str]:
    """The unit files among `paths`."""
    return [path for path in paths if os.path.dirname(path) == UNIT_ROOT]
