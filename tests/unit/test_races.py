"""A tenant swaps a directory for a link to somebody else's, as fast as it can, while root writes there."""

import contextlib
import ctypes
import os
import pwd
import signal
import stat
import subprocess

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils.safe_files import Directories, UnsafePath
from ansible_collections.webhosting.fastcgi.plugins.module_utils.transaction import (
    Item,
    Transaction,
    TransactionError,
)

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a race between root and a tenant takes root")

ROUNDS = 200
CANARY = "what nobody but its owner may see"
TENANT = pwd.getpwnam("nobody")
EXCHANGE = 2
AT_FDCWD = -100


class Tenant:
    """A process of the tenant's own uid; `pub` is now a directory, now a link to what is protected."""

    def __init__(self, home, protected):
        self.home, self.protected = home, protected
        (home / "pub").mkdir()
        (home / "trap").symlink_to(protected)
        for path in (home, home / "pub", home / "trap"):
            os.lchown(path, TENANT.pw_uid, TENANT.pw_gid)

    def __enter__(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setgroups([])
                os.setgid(TENANT.pw_gid)
                os.setuid(TENANT.pw_uid)
                self.swap()
            finally:
                os._exit(1)
        return self

    def __exit__(self, *error):
        os.kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        assert os.WIFSIGNALED(status), "the tenant gave up by itself: there was no race"

    def swap(self):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        one, other = (os.fsencode(self.home / name) for name in ("pub", "trap"))
        while rename(AT_FDCWD, one, AT_FDCWD, other, EXCHANGE) == 0:
            pass

    def calm(self):
        """Put things back as they were before the race."""
        if (self.home / "pub").is_symlink():
            (self.home / "pub").rename(self.home / "link")
            (self.home / "trap").rename(self.home / "pub")
            (self.home / "link").rename(self.home / "trap")


@pytest.fixture
def protected(tmp_path):
    """Root's, with the very names in it that root is going to write in the tenant's directory."""
    place = tmp_path / "protected"
    place.mkdir(mode=0o755)
    for name in ("file", "owned", "kept/file"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(CANARY)
        (place / name).chmod(0o600)
    return place


@pytest.fixture
def tenant(tmp_path, protected):
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o011)
    home = tmp_path / "tenant"
    home.mkdir()
    return Tenant(home, protected)


def snapshot(place):
    found = {}
    for path in [place, *sorted(place.rglob("*"))]:
        status = path.lstat()
        times = (status.st_mtime_ns, status.st_ctime_ns)
        content = path.read_text() if path.is_file() else None
        found[str(path)] = (status.st_ino, status.st_mode, status.st_uid, status.st_gid, content, times)
    return found


def items(tenant, number):
    """As roles write them: a document root, what lies below it, and files; new ones each round."""
    pub = tenant.home / "pub"
    owner = {"owner": TENANT.pw_name, "group": "root"}
    return [
        Item(str(pub), "directory", "a", **owner, mode=0o711 if number % 2 else 0o755),
        Item(str(pub / "kept"), "directory", "a", **owner, mode=0o700, keep=True),
        Item(str(pub / f"kept/{number}"), "directory", "a", **owner, mode=0o700),
        Item(str(pub / "owned"), "file", "a", **owner, mode=0o640, content=f"{number}\n"),
        Item(str(pub / f"file-{number}"), "file", "a", **owner, mode=0o640, content=f"{number}\n"),
        Item(str(pub / f"link-{number}"), "link", "a", target="owned"),
    ]


def texts(outcome):
    return "".join(change.before + change.after for change in outcome.differences)


def test_a_change_never_goes_through_a_link_that_the_tenant_swaps_in(tmp_path, tenant, protected):
    def transaction(number):
        return Transaction("set", items(tenant, number), state_root=str(tmp_path / "state"))

    transaction(0).apply()
    before = snapshot(protected)
    done, refused = 0, []
    with tenant:
        number = 0
        # a tenant that lost the processor for a while lets all pass: until both happened, at least 200
        while number < ROUNDS or (not (done and refused) and number < 20 * ROUNDS):
            number += 1
            for run in (transaction(number).preview, transaction(number).apply):
                try:
                    assert CANARY not in texts(run())
                    done += 1
                except TransactionError as error:
                    assert CANARY not in str(error)
                    refused.append(str(error))
    assert snapshot(protected) == before
    assert done and refused, (done, len(refused))
    assert any("symbolic link" in words for words in refused)
    print(f"{number} rounds: {done} done, {len(refused)} refused")

    tenant.calm()
    transaction(number + 1).apply()
    assert (tenant.home / "pub/owned").read_text() == f"{number + 1}\n"
    assert os.listdir(tmp_path / "state/set/transaction") == []
    assert snapshot(protected) == before


def test_a_tenant_who_leaves_a_link_behind_blocks_nobody_else(tmp_path, tenant, protected):
    """The journal of a killed run is undone for all others; the place of the tenant is the tenant's."""
    neighbour = tmp_path / "neighbour.conf"

    def change(number):
        wanted = Item(str(neighbour), "file", "b", content=f"{number}\n")
        return Transaction("set", [wanted, *items(tenant, number)], state_root=str(tmp_path / "state"))

    change(0).apply()
    before = snapshot(protected)
    killed = change(1)
    child = os.fork()
    if child == 0:
        killed.journal.fault = lambda point: os._exit(9) if point == "swapped all" else None
        killed.apply()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (tenant.home / "pub").rename(tenant.home / "away")
    (tenant.home / "trap").rename(tenant.home / "pub")
    other = Item(str(neighbour), "file", "b", content="0\n")
    recovered = Transaction("set", [other], state_root=str(tmp_path / "state"))
    with pytest.raises(TransactionError, match="pub is a symbolic link"):
        recovered.apply()
    assert neighbour.read_text() == "0\n"
    assert not (tmp_path / "state/set/transaction/journal.json").exists()
    assert snapshot(protected) == before


# Each call that root makes below a tenant's directory, with names that are also in the protected one.
CALLS = {
    "look": lambda files, pub, source: files.look(f"{pub}/file"),
    "identity": lambda files, pub, source: files.identity(f"{pub}/file"),
    "make_directory": lambda files, pub, source: files.make_directory(f"{pub}/made", TENANT.pw_uid, 0, 0o777),
    "set_directory": lambda files, pub, source: files.set_directory(f"{pub}/kept", TENANT.pw_uid, 0, 0o777),
    "set_directory itself": lambda files, pub, source: files.set_directory(
        str(pub), TENANT.pw_uid, TENANT.pw_gid, 0o755
    ),
    "place": lambda files, pub, source: files.place(written(source), f"{pub}/file"),
    "keep": lambda files, pub, source: files.keep(f"{pub}/file", str(source / "copy")),
    "remove": lambda files, pub, source: files.remove(f"{pub}/file"),
    "remove_empty_directory": lambda files, pub, source: files.remove_empty_directory(f"{pub}/made"),
}


def written(directory):
    path = directory / "source"
    path.write_text("new\n")
    return str(path)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("crossing", [False, True], ids=["one file system", "two"])
def test_no_call_reaches_what_is_protected(tmp_path, tenant, protected, call, crossing):
    source = tmp_path / "source"
    source.mkdir()
    with contextlib.ExitStack() as stack:
        if crossing:
            stack.enter_context(file_system(source))
        (tenant.home / "pub/kept").mkdir()
        (tenant.home / "pub/file").write_text("mine\n")
        before = snapshot(protected)
        done, refused = 0, 0
        with tenant:
            for _ in range(ROUNDS):
                with Directories() as files:
                    try:
                        found = call(files, tenant.home / "pub", source)
                        assert CANARY.encode() not in getattr(found, "content", b"")
                        done += 1
                    except (UnsafePath, OSError):
                        refused += 1
                copy = source / "copy"
                if copy.exists() or copy.is_symlink():
                    assert not copy.is_symlink() and copy.read_text() != CANARY
                    copy.unlink()
        assert snapshot(protected) == before
        assert done + refused == ROUNDS


@contextlib.contextmanager
def file_system(place):
    """Another file system, so that neither links nor renames lead there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_what_becomes_of_another_kind_between_two_calls_is_refused(
    tmp_path, tenant, protected, monkeypatch, kind
):
    """The narrowest race of all, made certain: after the look at its kind, before it is opened."""
    path = tenant.home / "pub/file"
    path.write_text("mine\n")
    original = os.stat

    def then_swapped(*arguments, **options):
        status = original(*arguments, **options)
        if arguments[0] == "file" and stat.S_ISREG(status.st_mode):
            path.unlink()
            if kind == "fifo":
                os.mkfifo(path)
            elif kind == "directory":
                path.mkdir()
            else:
                path.symlink_to(protected / "file")
        return status

    monkeypatch.setattr(os, "stat", then_swapped)
    with Directories() as files, pytest.raises(UnsafePath):
        files.look(str(path))
