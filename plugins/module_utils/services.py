# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the service manager does after files have changed, so that no request is lost.

A file directly in /etc/systemd/system is a unit; one in /etc/tmpfiles.d says what to make when it boots,
and now. A site's PHP stands behind a socket that systemd holds, so its service may stop at any time:
connections wait in the socket and the next one starts the service with the new configuration.

A link in /etc/systemd/system/<daemon>.wants lends a socket to a daemon that serves many sites, and is not of
the set. It has its sockets from its start to its end, so it is restarted where they or their sites change. A
socket that goes from one service to another listens all the while, and the one that has it from now on starts
before the other leaves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Callable

UNIT_ROOT = "/etc/systemd/system"
TMPFILES_ROOT = "/etc/tmpfiles.d"
COMMAND_LIMIT = 600
"""Seconds for one command of the service manager; a site's own stop timeout lies well below."""
AT_ONCE = 8
"""Masters that are started only to have the socket, at a time."""


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
    lent_before, lent_now = lent(before), lent(after)
    changed_sites = {after.get(path) or before.get(path) for path in touched} - {""}
    stayed = [path for path in now if path in was and after[path] in changed_sites]
    handed = [path for path in stayed if lent_before.get(path) != lent_now.get(path)]
    sockets = [path for path in stayed if path.endswith(".socket") and path in touched and path not in handed]
    blocked = [path for path in stayed if path.endswith(".service") and path[:-8] + ".socket" in sockets]
    services = [path for path in stayed if path.endswith(".service") and path not in blocked]
    gone = sorted(set(was) - set(now), key=lambda path: (not path.endswith(".socket"), path))
    left = [path for path in gone if path[:-8] + ".socket" in handed]
    now_made = [path for path in touched if path in after and os.path.dirname(path) == TMPFILES_ROOT]
    new = [path for path in now if path not in was and path.endswith((".socket", ".timer"))]

    def systemctl(*arguments: str, on: Sequence[str]) -> None:
        if on:
            patience = [] if wait else ["--no-block"]
            run(["systemctl", *arguments, *patience, *(os.path.basename(path) for path in on)])

    systemctl("stop", on=up([path for path in gone if path not in left], run))
    if any(path.startswith(UNIT_ROOT + "/") for path in touched):
        run(["systemctl", "daemon-reload"])
    for path in now_made:  # before the sockets, which may lie in a directory from there
        run(["systemd-tmpfiles", "--remove", "--create", path])
    systemctl("stop", "--no-block", on=services)  # a master finishes what it runs, and its socket waits
    systemctl("stop", on=blocked)  # systemd restarts a socket only while its service is down
    systemctl("stop", on=[path for path in sockets if path in lent_now])
    systemctl("restart", on=[path for path in sockets if path not in lent_now])
    systemctl("start", on=[path for path in new if path not in lent_now])
    borrowers = {
        *(daemon for path, daemon in lent_now.items() if after.get(path) in changed_sites),
        *(daemon for path, daemon in lent_before.items() if before.get(path) in changed_sites),
        *(daemon for daemon in set(lent_now.values()) if drop_ins(daemon) in map(os.path.dirname, touched)),
    }
    with words_of(borrowers, run):
        # it wants its sockets, so that those which do not listen yet start meanwhile
        systemctl("restart", on=sorted(borrowers & set(lent_now.values())))
    taken = [path[:-7] + ".service" for path in handed if path not in lent_now]
    for first in range(0, len(taken), AT_ONCE):
        systemctl("start", on=taken[first : first + AT_ONCE])
        if wait:
            systemctl("stop", "--no-block", on=taken[first : first + AT_ONCE])
    leave([os.path.basename(path) for path in left], run)
    give_back(sorted(set(lent_before.values()) - set(lent_now.values())), run, wait)
    changed_units = set(map(os.path.dirname, touched))
    for daemon in reload:
        # of its own unit a daemon that is only reloaded takes nothing over
        again = drop_ins(service_name(daemon)) in changed_units
        run(["systemctl", "restart" if again else "reload-or-restart", daemon])
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
    kinds = ",".join(sorted({name.rpartition(".")[2] for name in names}))
    # all of a kind in one answer: `is-active` asks for each name by itself, which takes four times as long
    listed = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", f"--type={kinds}"]
    done = subprocess.run(listed, stdout=subprocess.PIPE, check=False)
    found = {words[0]: words[2] for words in map(str.split, done.stdout.decode().splitlines()) if words}
    return {name: found.get(name, "inactive") for name in names}


def listen(sockets: Collection[str], paths: Collection[str]) -> None:
    """Start sockets of the set `paths` that do not listen; those that are lent, with their daemon."""
    daemons = {os.path.basename(path): daemon for path, daemon in lent(paths).items()}
    run(["systemctl", "restart", *sorted({daemons.get(socket, socket) for socket in sockets})])


def up(paths: Sequence[str], run: Callable[[Sequence[str]], str]) -> list[str]:
    """Those that are not down; the service manager does not know all of what a killed run was to make."""
    if not paths:
        return []
    names = [os.path.basename(path) for path in paths]
    states = run(["systemctl", "show", "--property=ActiveState", "--value", *names]).split()
    return [path for path, state in zip(paths, states) if state != "inactive"]


def lent(paths: Collection[str]) -> dict[str, str]:
    """The sockets among `paths` that a daemon of somebody else serves, each with that daemon."""
    links = [os.path.split(path) for path in paths if os.path.dirname(path).endswith(".service.wants")]
    sockets = {f"{UNIT_ROOT}/{name}": os.path.basename(directory)[:-6] for directory, name in links}
    return {socket: daemon for socket, daemon in sockets.items() if socket in paths}


def service_name(daemon: str) -> str:
    return daemon if daemon.endswith(".service") else f"{daemon}.service"


def drop_ins(daemon: str) -> str:
    return f"{UNIT_ROOT}/{daemon}.d"


@contextlib.contextmanager
def words_of(daemons: Collection[str], run: Callable[[Sequence[str]], str]) -> Iterator[None]:
    """An error tells what the daemons themselves said; systemctl says only that they did not start."""
    try:
        yield
    except ServiceError as error:
        log = ["journalctl", "--no-pager", "--output=cat", "--lines=8"]
        raise ServiceError(f"{error}\n{run([*log, *(f'--unit={name}' for name in daemons)])}") from None


def leave(services: Sequence[str], run: Callable[[Sequence[str]], str]) -> list[int]:
    """Let masters end what they run, and go. How they stop was said in files that are gone already."""
    if not services:
        return []
    said = run(["systemctl", "show", "--property=MainPID", "--value", *services])
    masters = [int(word) for word in said.split() if word != "0"]
    for pid in masters:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
    return masters


def give_back(daemons: Sequence[str], run: Callable[[Sequence[str]], str], wait: bool) -> None:
    """Daemons do again what they did before they were lent sockets; nothing, where they are not enabled."""
    if not wait:
        for daemon in daemons:
            run(["systemctl", "try-restart", "--no-block", daemon])
        return
    masters = leave(daemons, run)
    deadline = time.monotonic() + COMMAND_LIMIT
    while any(os.path.exists(f"/proc/{pid}") for pid in masters) and time.monotonic() < deadline:
        time.sleep(0.1)
    for daemon in daemons:
        try:
            run(["systemctl", "is-enabled", daemon])
            run(["systemctl", "restart", daemon])
        except ServiceError:  # without any pool FPM cannot start (FPM-04)
            run(["systemctl", "stop", daemon])
            run(["systemctl", "reset-failed", daemon])


def units(paths: Collection[str]) -> list[str]:
    """The unit files among `paths`."""
    return [path for path in paths if os.path.dirname(path) == UNIT_ROOT]
