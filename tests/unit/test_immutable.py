"""The bit that not even a file's owner can get past (SUX-10): through changes, rollbacks and kills."""

import contextlib
import os
import socket
import subprocess

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import safe_files, services
from ansible_collections.webhosting.fastcgi.plugins.module_utils.journal import Journal
from ansible_collections.webhosting.fastcgi.plugins.module_utils.transaction import (
    Item,
    Transaction,
    TransactionError,
)


def set_bit(path, wanted):
    with safe_files.Directories() as files:
        return files.set_immutable(str(path), wanted)


def bit(path):
    with safe_files.Directories() as files:
        return files.immutable(str(path))


@pytest.fixture
def place(tmp_path):
    """A directory on a file system that has the bit; nothing in it is immutable afterwards."""
    probe = tmp_path / "probe"
    probe.write_text("")
    if not set_bit(probe, True):
        pytest.skip("this file system has no such bit, or this process may not set it")
    set_bit(probe, False)
    yield tmp_path
    for path in [tmp_path, *tmp_path.rglob("*")]:
        if not path.is_symlink() and (path.is_file() or path.is_dir()):
            set_bit(path, False)


class Wrappers:
    """A set like that of suexec_wrapper: a directory and a file in it per site."""

    def __init__(self, place):
        self.place = place
        self.me = {"owner": "root", "group": "root"}

    def path(self, site):
        return self.place / "wrapper" / site / "run"

    def items(self, *sites, content="1", immutable=True):
        for site in sites:
            path = self.path(site)
            yield Item(str(path.parent), "directory", site, mode=0o755, immutable=immutable, **self.me)
            yield Item(str(path), "file", site, content=content, immutable=immutable, **self.me)

    def change(self, *sites, content="1", immutable=True, validate=(("true",),), **options):
        items = [*self.items(*sites, content=content, immutable=immutable)]
        return Transaction("set", items, validate, state_root=str(self.place / "state"), **options)

    def bits(self, site):
        return bit(self.path(site).parent), bit(self.path(site))


@pytest.fixture
def wrappers(place):
    return Wrappers(place)


def test_nobody_gets_past_it(wrappers):
    wrappers.change("a").apply()
    assert wrappers.bits("a") == (True, True)
    path = wrappers.path("a")
    for attempt in (path.unlink, path.touch, lambda: path.write_text("2"), lambda: path.rename(f"{path}.x")):
        with pytest.raises(PermissionError):
            attempt()
    assert subprocess.run(["rm", "-rf", path.parent], capture_output=True, check=False).returncode != 0


def test_a_second_run_changes_nothing(wrappers):
    wrappers.change("a").apply()
    assert wrappers.change("a").preview().differences == []
    assert wrappers.change("a").apply().differences == []


def test_a_change_goes_through_and_sets_it_again(wrappers):
    wrappers.change("a", "b").apply()
    outcome = wrappers.change("a", "b", content="2").apply()
    assert outcome.sites_changed == ["a", "b"]
    # what was only opened for it is no change of its own
    assert [change.path for change in outcome.differences] == [str(wrappers.path(site)) for site in "ab"]
    assert wrappers.path("a").read_text() == "2"
    assert wrappers.bits("a") == wrappers.bits("b") == (True, True)


def test_a_removal_goes_through_and_leaves_a_directory_that_can_be_removed(wrappers):
    wrappers.change("a", "b").apply()
    assert wrappers.change("b").apply().sites_removed == ["a"]
    assert not wrappers.path("a").exists()
    wrappers.path("a").parent.rmdir()
    assert wrappers.bits("b") == (True, True)


@pytest.mark.parametrize("who", [0, 1], ids=["directory", "file"])
def test_check_mode_tells_the_truth_about_it(wrappers, who):
    wrappers.change("a").apply()
    path = [wrappers.path("a").parent, wrappers.path("a")][who]
    set_bit(path, False)
    preview = wrappers.change("a").preview()
    assert bit(path) is False
    (change,) = preview.differences
    assert (change.path, change.action) == (str(path), "change")
    assert ("immutable" in change.before, "immutable" in change.after) == (False, True)
    assert wrappers.change("a").apply().differences == preview.differences
    assert wrappers.bits("a") == (True, True)


def test_it_is_taken_off_where_it_is_not_wanted_any_more(wrappers):
    wrappers.change("a").apply()
    preview = wrappers.change("a", immutable=False).preview()
    assert len(preview.differences) == 2
    assert wrappers.change("a", immutable=False).apply().differences == preview.differences
    assert wrappers.bits("a") == (False, False)


def test_it_is_left_alone_where_nothing_is_said_of_it(wrappers):
    wrappers.change("a", immutable=None).apply()
    assert wrappers.bits("a") == (False, False)
    set_bit(wrappers.path("a"), True)
    assert wrappers.change("a", immutable=None).apply().differences == []
    with pytest.raises(TransactionError, match=r"Operation not permitted.*as it was before"):
        wrappers.change("a", immutable=None, content="2").apply()
    assert wrappers.path("a").read_text() == "1"
    assert wrappers.bits("a") == (False, True)


def test_a_refused_change_sets_it_again(wrappers):
    wrappers.change("a", "b").apply()
    with pytest.raises(TransactionError, match="refused"):
        wrappers.change("a", content="2", validate=[["false"]]).apply()
    assert [wrappers.path(site).read_text() for site in "ab"] == ["1", "1"]
    assert wrappers.bits("a") == wrappers.bits("b") == (True, True)


def test_a_change_that_does_not_run_sets_it_again(wrappers, monkeypatch):
    wrappers.change("a", "b").apply()

    def refuse(*_, **__):
        raise services.ServiceError("no")

    monkeypatch.setattr(services, "carry_out", refuse)
    with pytest.raises(TransactionError):
        wrappers.change("a", content="2").apply()
    assert [wrappers.path(site).read_text() for site in "ab"] == ["1", "1"]
    assert wrappers.bits("a") == wrappers.bits("b") == (True, True)


POINTS = (
    "staged",
    "begun",
    "validated",
    "swapped one",
    "swapped all",
    "locked",
    "followed",
    "done",
    "manifest",
)


@pytest.mark.parametrize("point", POINTS)
def test_after_a_kill_everything_is_as_before_or_as_wanted(wrappers, point, monkeypatch):
    """One site changes, one goes, one comes and one stays."""
    wrappers.change("a", "b", "d").apply()
    monkeypatch.setenv("CONFIG_SET_DIE_AT", f"set: {point}")
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            Transaction(
                "set",
                [*wrappers.items("a", "c", content="2"), *wrappers.items("d")],
                [["true"]],
                state_root=str(wrappers.place / "state"),
            ).apply()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 9
    monkeypatch.delenv("CONFIG_SET_DIE_AT")

    # as the program does that runs before the daemons' start
    journal = Journal("set", str(wrappers.place / "state"))
    with journal.locked(patience=0):
        journal.recover(starting=True)
    finished = point in ("done", "manifest")
    there = {site: wrappers.path(site).exists() for site in "abcd"}
    assert there == {"a": True, "b": not finished, "c": finished, "d": True}
    assert wrappers.path("a").read_text() == ("2" if finished else "1")
    for site, is_there in there.items():
        if is_there:
            assert wrappers.bits(site) == (True, True), site


# ---------------------------------------------------------------- where it cannot be had


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """As in a container without the capability."""
    monkeypatch.setattr(safe_files, "may_set_flags", lambda: False)
    real = safe_files.fcntl.ioctl

    def refusing(descriptor, request, argument):
        if request == safe_files.SET_FLAGS:
            raise PermissionError(1, "Operation not permitted")
        return real(descriptor, request, argument)

    monkeypatch.setattr(safe_files.fcntl, "ioctl", refusing)
    return Wrappers(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="files of root")
def test_where_it_cannot_be_had_the_paths_are_told_and_the_rest_goes_through(bare):
    first = bare.change("a").apply()
    wanted = [str(bare.path("a").parent), str(bare.path("a"))]
    assert first.changeable == wanted
    again = bare.change("a").apply()
    assert (again.differences, again.changeable) == ([], wanted)
    assert bare.change("a").preview().changeable == wanted
    assert bare.change("a", content="2").apply().sites_changed == ["a"]
    assert bare.change("a", immutable=False, content="2").apply().changeable == []


# ---------------------------------------------------------------- what a tenant may put there


@pytest.mark.parametrize("thing", ["link", "pipe", "socket"])
def test_what_is_no_file_is_neither_followed_nor_waited_for(place, thing):
    target, path = place / "target", place / "thing"
    target.write_text("")
    if thing == "link":
        path.symlink_to(target)
    elif thing == "pipe":
        os.mkfifo(path)
    else:
        socket.socket(socket.AF_UNIX).bind(str(path))
    with pytest.raises(safe_files.UnsafePath):
        set_bit(path, True)
    assert bit(target) is False
