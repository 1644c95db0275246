"""Disks that are full or may not be written to, real ones: a clean error, and everything as before."""

import errno
import os
import resource
import signal
import stat
import subprocess

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils.safe_files import Directories
from ansible_collections.webhosting.fastcgi.plugins.module_utils.transaction import (
    Item,
    Transaction,
    TransactionError,
)

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="mounting file systems takes root")

SITES = ("a", "b", "c")
FULL = os.strerror(errno.ENOSPC)
READ_ONLY = os.strerror(errno.EROFS)
REASONS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class Disk:
    """A small file system of its own."""

    def __init__(self, place, size="256k", inodes=200):
        place.mkdir()
        self.place, self.ballast = place, place / "ballast"
        options = f"size={size},nr_inodes={inodes},mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)

    def fill(self, but=0):
        """Leave room for `but` bytes, in whole pages."""
        with open(self.ballast, "wb", buffering=0) as out:
            try:
                while out.write(bytes(4096)) == 4096:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
            out.truncate(max(0, out.tell() - but))

    def use_up_files(self):
        self.ballast.mkdir()
        number = 0
        try:
            while True:
                (self.ballast / str(number)).touch()
                number += 1
        except OSError as error:
            assert error.errno == errno.ENOSPC

    def remount(self, *options):
        subprocess.run(["mount", "-o", ",".join(["remount", *options]), self.place], check=True)

    def mend(self):
        self.remount("rw")
        subprocess.run(["rm", "-rf", self.ballast], check=True)

    def close(self):
        subprocess.run(["umount", "--lazy", self.place], check=True)


class Host:
    """Configuration and state, each on a disk of its own, or both on the one that the test is about."""

    def __init__(self, root, shared=False):
        self.disks = [Disk(root / "etc")]
        self.etc = root / "etc"
        if shared:
            self.config = self.state = self.disks[0]
            self.state_root = root / "etc/state"
        else:
            self.disks.append(Disk(root / "state"))
            self.config, self.state = self.disks
            self.state_root = root / "state/sets"

    def change(self, version, size=6000):
        """`size` bytes a file, so that each takes room."""
        text = f"{version} " * (size // (len(version) + 1))
        files = [Item(f"{self.etc}/pool/{site}.conf", "file", site, content=text) for site in SITES]
        links = [Item(f"{self.etc}/on-{site}", "link", site, target=f"pool/{version}") for site in SITES]
        return Transaction(
            "set",
            [Item(f"{self.etc}/pool", "directory"), *files, *links, self.extra(version)],
            state_root=str(self.state_root),
        )

    def extra(self, version):
        """A file that only one version has."""
        return Item(f"{self.etc}/pool/{version}", "file", "a", content=version)

    def snapshot(self):
        found = {}
        for path in sorted(self.etc.rglob("*")):
            if path.is_relative_to(self.state_root) or path.is_relative_to(self.config.ballast):
                continue
            status = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_text()
            found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, content)
        return found

    def converges(self, version="new"):
        self.change(version).apply()
        assert self.change(version).apply().differences == []
        assert (self.etc / "on-a").resolve().read_text() == version
        assert os.listdir(self.state_root / "set/transaction") == []


@pytest.fixture(params=["one disk", "two disks"])
def host(request, tmp_path):
    yield from on(tmp_path, shared=request.param == "one disk")


@pytest.fixture
def two_disks(tmp_path):
    yield from on(tmp_path, shared=False)


def on(root, shared):
    host = Host(root, shared)
    host.change("old").apply()
    yield host
    for disk in host.disks:
        disk.close()


def refused(transaction):
    with pytest.raises(TransactionError) as caught:
        transaction.apply()
    return str(caught.value)


ROOM = [0, 4096, 8192, 12288, 16384, 20480, 24576, 28672, 32768, 40960]


@pytest.mark.parametrize("room", ROOM)
def test_a_full_disk_of_state(host, room):
    """Wherever the room ends: at a staged file, at what is kept, at the journal."""
    before = host.snapshot()
    host.state.fill(but=room)
    try:
        host.change("new").apply()
    except TransactionError as error:
        assert FULL in str(error)
        assert str(host.etc) in str(error) or str(host.state_root) in str(error)
        assert host.snapshot() == before
    else:
        assert room > 16384, "it fitted?"
        host.state.mend()
        host.converges()
        return
    host.state.mend()
    host.converges()


def test_a_disk_without_room_for_more_files(host):
    before = host.snapshot()
    host.state.use_up_files()
    words = refused(host.change("new"))
    assert FULL in words and str(host.etc.parent) in words
    assert host.snapshot() == before
    host.state.mend()
    host.converges()


@pytest.mark.parametrize("room", [0, 8192, 16384])
def test_a_full_disk_of_configuration(two_disks, room):
    """What is swapped in crosses file systems, so it takes room there while what was there still does."""
    before = two_disks.snapshot()
    two_disks.config.fill(but=room)
    words = refused(two_disks.change("new", size=16000))
    assert FULL in words and f"{two_disks.etc}/pool/" in words and "(site " in words
    assert two_disks.snapshot() == before
    two_disks.config.mend()
    two_disks.converges()


@pytest.mark.parametrize("which", ["state", "config"])
def test_a_read_only_disk(host, which):
    before = host.snapshot()
    getattr(host, which).remount("ro")
    words = refused(host.change("new"))
    assert READ_ONLY in words and str(host.etc.parent) in words
    assert host.snapshot() == before
    getattr(host, which).mend()
    host.converges()


def test_a_read_only_disk_is_no_obstacle_to_a_preview(host):
    for disk in host.disks:
        disk.remount("ro")
    assert [change.action for change in host.change("new").preview().differences].count("change") == 6


def at(transaction, point, action):
    """Let something happen to the host when the change reaches a point, as the tests of kills name them."""
    happened = []

    def fault(reached):
        if reached == point and not happened:
            happened.append(point)
            action()

    transaction.journal.fault = fault
    return transaction


@pytest.mark.parametrize("point", ["staged", "begun", "validated"])
def test_a_disk_that_becomes_read_only_before_the_swap(two_disks, point):
    before = two_disks.snapshot()
    words = refused(at(two_disks.change("new"), point, lambda: two_disks.config.remount("ro")))
    assert (
        READ_ONLY in words and f"{two_disks.etc}/pool/" in words and "everything is as it was before" in words
    )
    assert two_disks.snapshot() == before
    two_disks.config.mend()
    two_disks.converges()


@pytest.mark.parametrize("version", ["new", "old"])
def test_undoing_that_cannot_write_says_so_and_is_done_by_the_next_run(two_disks, version):
    before = two_disks.snapshot()
    words = refused(at(two_disks.change("new"), "swapped one", lambda: two_disks.config.remount("ro")))
    assert READ_ONLY in words and "putting the files back failed" in words
    kept = f"The journal in {two_disks.state_root}/set/transaction is kept, the next run tries again"
    assert kept in words
    again = refused(two_disks.change(version))
    assert "putting back what a killed run left failed" in again and kept in again and READ_ONLY in again
    two_disks.config.mend()
    assert two_disks.change("old").apply().recovered
    assert two_disks.snapshot() == before
    two_disks.converges(version)


@pytest.mark.parametrize("point", ["begun", "swapped one"])
def test_a_disk_that_fills_up_during_the_change(two_disks, point):
    before = two_disks.snapshot()
    words = refused(at(two_disks.change("new", size=16000), point, two_disks.config.fill))
    assert FULL in words
    assert two_disks.snapshot() == before or "is kept, the next run tries again" in words
    two_disks.config.mend()
    two_disks.change("old").apply()
    assert two_disks.snapshot() == before
    two_disks.converges()


def test_a_limit_on_the_size_of_files_is_like_a_quota(host, monkeypatch):
    """EFBIG, as EDQUOT would, comes in the middle of a file."""
    before = host.snapshot()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        words = refused(host.change("new"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.strerror(errno.EFBIG) in words and f"{host.etc}/pool/" in words and "(site a)" in words
    assert host.snapshot() == before
    host.converges()


@pytest.mark.parametrize("call", ["open", "symlink", "link", "rename", "mkdir", "fchown", "fchmod"])
def test_any_call_that_fails_once_leaves_everything_as_it_was(host, monkeypatch, call):
    """Each of them in turn, from the first to the last of a change."""
    before = host.snapshot()
    original, number = getattr(os, call), 0
    while True:
        count = [number]
        reason = REASONS[number % len(REASONS)]

        def failing(*arguments, count=count, reason=reason, **options):
            count[0] -= 1
            if count[0] == -1 and (call != "open" or arguments[1] & os.O_CREAT):
                raise OSError(reason, os.strerror(reason))
            return original(*arguments, **options)

        with monkeypatch.context() as patched:
            patched.setattr(os, call, failing)
            try:
                host.change("new").apply()
            except TransactionError as error:
                assert os.strerror(reason) in str(error), number
        if count[0] >= 0:
            break
        if host.snapshot() != before:
            # noted at its very end: the change itself stands
            assert host.change("new").apply().differences == [], number
        host.converges("new")
        host.converges("old")
        number += 1
    assert number > 0


def test_nothing_half_written_stays_beside_a_file(two_disks):
    two_disks.config.fill()
    refused(two_disks.change("new", size=16000))
    names = [path.name for path in (two_disks.etc / "pool").iterdir()]
    assert sorted(names) == ["a.conf", "b.conf", "c.conf", "old"]
    assert stat.S_ISREG((two_disks.etc / "pool/a.conf").stat().st_mode)
    assert Directories().look(f"{two_disks.etc}/pool/.a.conf.new") is None
