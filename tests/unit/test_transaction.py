"""One change of many files: whole, or not at all."""

import grp
import os
import pwd
import shutil
import stat
import tempfile
import time

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import journal, services
from ansible_collections.webhosting.fastcgi.plugins.module_utils.transaction import (
    Item,
    Transaction,
    TransactionError,
)

ME = pwd.getpwuid(os.getuid()).pw_name
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mount namespaces and foreign owners take root")


class Host:
    """A directory that stands for a host's configuration, with a set of files in it."""

    def __init__(self, root):
        self.root = root
        self.etc = root / "etc"
        self.etc.mkdir(mode=0o755)

    def path(self, name):
        return str(self.etc / name)

    def file(self, name, content, site="", mode=0o644):
        return Item(self.path(name), "file", site, ME, MY_GROUP, mode, content=content)

    def link(self, name, target, site=""):
        return Item(self.path(name), "link", site, ME, MY_GROUP, target=target)

    def directory(self, name, mode=0o755, keep=False, own=False):
        return Item(self.path(name), "directory", "", ME, MY_GROUP, mode, keep=keep, own=own)

    def change(self, *items, **options):
        return Transaction("set", items, state_root=str(self.root / "state"), **options)

    def snapshot(self):
        """Everything below etc: kind, mode, owner, content or target, and when it was written."""
        found = {}
        for path in sorted(self.etc.rglob("*")):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            else:
                content = path.read_text() if path.is_file() else None
            found[str(path)] = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                content,
                None if path.is_dir() else status.st_mtime_ns,
            )
        return found


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def three_sites(host, version="1"):
    return [
        host.directory("pool", 0o711),
        *(host.file(f"pool/{site}.conf", f"{site} {version}\n", site, 0o640) for site in ("a", "b", "c")),
        *(host.link(f"{site}.enabled", f"pool/{site}.conf", site) for site in ("a", "b", "c")),
    ]


def test_a_bare_host_gets_all_of_it_and_a_second_run_changes_nothing(host):
    first = host.change(*three_sites(host)).apply()
    assert first.sites_added == ["a", "b", "c"]
    assert (host.etc / "a.enabled").read_text() == "a 1\n"
    assert stat.S_IMODE((host.etc / "pool/a.conf").stat().st_mode) == 0o640
    assert stat.S_IMODE((host.etc / "pool").stat().st_mode) == 0o711
    before = host.snapshot()
    second = host.change(*three_sites(host)).apply()
    assert (second.differences, second.sites_added, second.sites_changed) == ([], [], [])
    assert host.snapshot() == before


def test_the_preview_tells_what_the_run_does_and_writes_nothing(host):
    host.change(*three_sites(host)).apply()
    wanted = [*three_sites(host, "2")[:3], host.link("a.enabled", "pool/a.conf", "a")]
    before = host.snapshot()
    preview = host.change(*wanted).preview()
    assert host.snapshot() == before
    done = host.change(*wanted).apply()
    assert preview.differences == done.differences
    assert (done.sites_changed, done.sites_removed) == (["a", "b"], ["c"])


def test_the_preview_of_a_bare_host_needs_neither_accounts_nor_directories(host):
    item = Item(host.path("none/such/file"), "file", "a", "no-such-account", "no-such-group", content="x")
    assert [change.action for change in host.change(item).preview().differences] == ["add"]
    assert not (host.root / "state").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("edited by hand"),
        lambda path: path.chmod(0o777),
        lambda path: path.unlink(),
    ],
    ids=["content", "mode", "missing"],
)
def test_what_was_changed_meanwhile_is_put_right(host, spoil):
    host.change(*three_sites(host)).apply()
    before = {path: found[:4] for path, found in host.snapshot().items()}
    spoil(host.etc / "pool/b.conf")
    assert host.change(*three_sites(host)).apply().sites_changed == ["b"]
    assert {path: found[:4] for path, found in host.snapshot().items()} == before


def test_sites_that_left_the_list_lose_their_files_and_keep_their_directories(host):
    host.change(*three_sites(host), host.directory("data")).apply()
    (host.etc / "data/precious").write_text("user's own")
    outcome = host.change().apply()
    assert outcome.sites_removed == ["a", "b", "c"]
    assert [path.name for path in sorted(host.etc.rglob("*"))] == ["data", "precious", "pool"]


def test_two_calls_share_a_set_where_each_leaves_the_others_sites(host):
    host.change(*three_sites(host), host.file("shared", "x")).apply()
    mine = [item for item in three_sites(host, "2") if item.site in ("a", "")]
    outcome = host.change(*mine, leave=["b", ""]).apply()
    assert (outcome.sites_changed, outcome.sites_removed) == (["a"], ["c"])
    assert (host.etc / "pool/b.conf").read_text() == "b 1\n"
    assert (host.etc / "shared").exists()
    # what was left is still the set's: the other call changes it, and a prune takes it away
    theirs = [item for item in three_sites(host, "2") if item.site in ("b", "")]
    assert host.change(*theirs, leave=["a", ""]).apply().sites_changed == ["b"]
    assert host.change(*mine, prune=True, leave=["b", ""]).apply().differences == []
    assert host.change(*mine, prune=True, leave=[""]).apply().sites_removed == ["b"]
    assert host.change(*mine, prune=True).apply().differences[0].path == host.path("shared")


def test_two_calls_share_a_set_where_each_leaves_the_others_shared_file(host):
    mine, theirs = host.file("mine.plan", "m"), host.file("theirs.plan", "t")
    host.change(mine, leave=[theirs.path]).apply()
    host.change(theirs, leave=[mine.path]).apply()
    assert host.change(mine, leave=[theirs.path]).apply().differences == []
    host.change(leave=[theirs.path]).apply()
    assert [path.name for path in host.etc.iterdir()] == ["theirs.plan"]
    host.change(leave=[mine.path]).apply()
    assert list(host.etc.iterdir()) == []


@needs_root
@pytest.mark.parametrize("state", ["state", "/dev/shm"], ids=["one file system", "two"])
def test_a_link_has_an_owner_of_its_own(host, state):
    """Apache may ask whether it is that of the target."""
    root = str(host.root / state) if state == "state" else tempfile.mkdtemp(dir=state)
    (host.etc / "site").mkdir()

    def change(owner, target="site", **options):
        link = Item(host.path("link"), "link", "a", owner, "nogroup", target=target)
        return Transaction("set", [link], state_root=root, **options)

    def found():
        status = (host.etc / "link").lstat()
        return pwd.getpwuid(status.st_uid).pw_name, os.readlink(host.path("link"))

    try:
        change("nobody").apply()
        assert found() == ("nobody", "site")
        assert (host.etc / "site").stat().st_uid == 0
        assert change("nobody").apply().differences == []
        difference = change("daemon").preview().differences[0]
        assert "nobody" in difference.before
        assert "daemon" in difference.after
        with pytest.raises(TransactionError, match="refused"):
            change("daemon", "elsewhere", validate=[["false"]]).apply()
        assert found() == ("nobody", "site")
        change("daemon").apply()
        assert found() == ("daemon", "site")
    finally:
        if state != "state":
            shutil.rmtree(root)


def test_what_a_site_has_no_more_stays_where_it_is_left(host):
    host.change(host.file("old", "1", "a")).apply()
    host.change(host.file("new", "2", "a"), leave=["a"]).apply()
    assert (host.etc / "old").exists()
    assert host.change(host.file("new", "2", "a"), leave=["a"]).preview().differences == []
    host.change(host.file("new", "2", "a"), prune=True).apply()
    assert not (host.etc / "old").exists()


def test_pruning_removes_and_changes_nothing_else(host):
    host.change(*three_sites(host)).apply()
    wanted = [item for item in three_sites(host, "2") if item.site != "b"] + [host.file("new", "x", "d")]
    outcome = host.change(*wanted, prune=True).apply()
    assert (outcome.sites_added, outcome.sites_changed, outcome.sites_removed) == ([], [], ["b"])
    assert (host.etc / "pool/a.conf").read_text() == "a 1\n"
    assert not (host.etc / "pool/b.conf").exists()
    assert host.change(*wanted).apply().sites_added == ["d"]


def test_hand_made_files_are_named_and_left_alone(host):
    (host.etc / "pool").mkdir()
    (host.etc / "pool/b.conf").write_text("made by hand\n")
    before = host.snapshot()
    with pytest.raises(TransactionError, match=r"pool/b\.conf \(site b\) is there already"):
        host.change(*three_sites(host)).apply()
    assert host.snapshot() == before


def test_a_path_does_not_go_from_one_site_to_another_in_one_run(host):
    """Two links that are swapped would lead who uses them to the wrong site."""
    host.change(host.link("x", "pool/a", "a"), host.link("y", "pool/b", "b")).apply()
    before = host.snapshot()
    with pytest.raises(TransactionError, match="etc/x of site b is site a's so far"):
        host.change(host.link("x", "pool/b", "b"), host.link("y", "pool/a", "a")).apply()
    assert host.snapshot() == before
    host.change(host.link("x", "pool/b", "b")).apply()  # a has left
    assert os.readlink(host.path("x")) == "pool/b"


def test_a_hand_made_file_that_is_right_already_is_taken_over(host):
    (host.etc / "x").write_text("same\n")
    (host.etc / "x").chmod(0o644)
    assert host.change(host.file("x", "same\n", "a")).apply().differences == []
    host.change().apply()
    assert not (host.etc / "x").exists()


def test_a_directory_in_the_place_of_a_file_is_refused(host):
    (host.etc / "x").mkdir()
    with pytest.raises(TransactionError, match="is a directory, where a file should be"):
        host.change(host.file("x", "", "a")).apply()


def test_a_kept_directory_is_made_once_and_left_alone_afterwards(host):
    host.change(host.directory("data", 0o750, keep=True)).apply()
    (host.etc / "data").chmod(0o700)
    assert host.change(host.directory("data", 0o750, keep=True)).apply().differences == []
    assert stat.S_IMODE((host.etc / "data").stat().st_mode) == 0o700


def test_a_kept_link_that_was_there_is_neither_changed_nor_taken_away(host):
    (host.etc / "enabled").symlink_to("elsewhere")
    kept = Item(host.path("enabled"), "link", "", ME, MY_GROUP, target="available", keep=True)
    assert host.change(kept).apply().differences == []
    assert host.change().apply().differences == []
    assert os.readlink(host.etc / "enabled") == "elsewhere"


def test_a_kept_link_that_the_set_has_made_goes_with_it(host):
    kept = Item(host.path("enabled"), "link", "", ME, MY_GROUP, target="available", keep=True)
    host.change(kept).apply()
    assert os.readlink(host.etc / "enabled") == "available"
    assert host.change(kept).apply().differences == []
    host.change().apply()
    assert list(host.etc.iterdir()) == []


def own_directories(host):
    """One in another, with a file of a site in each."""
    return [
        host.directory("outer", own=True),
        host.directory("outer/inner", 0o711, own=True),
        host.file("outer/a.conf", "a\n", "a"),
        host.file("outer/inner/b.conf", "b\n", "b"),
    ]


def test_directories_of_its_own_go_with_what_is_in_them(host):
    host.change(*own_directories(host)).apply()
    preview = host.change().preview()
    assert [change.action for change in preview.differences] == ["remove"] * 4
    host.change().apply()
    assert list(host.etc.iterdir()) == []
    assert host.change().apply().differences == []


def test_a_directory_of_its_own_stays_for_as_long_as_something_is_in_it(host):
    host.change(*own_directories(host)).apply()
    (host.etc / "outer/inner/somebody's").write_text("")
    host.change().apply()
    assert [path.name for path in host.etc.rglob("*")] == ["outer", "inner", "somebody's"]
    (host.etc / "outer/inner/somebody's").unlink()
    host.change().apply()
    assert list(host.etc.iterdir()) == []


def test_a_directory_of_its_own_stays_where_a_file_of_the_set_is_in_it(host):
    host.change(*own_directories(host)).apply()
    host.change(host.file("outer/c.conf", "c\n", "c")).apply()
    assert sorted(path.name for path in host.etc.rglob("*")) == ["c.conf", "outer"]


def test_a_directory_that_was_there_is_never_its_own(host):
    (host.etc / "outer").mkdir()
    host.change(*own_directories(host)).apply()
    host.change().apply()
    assert [path.name for path in host.etc.rglob("*")] == ["outer"]


def test_directories_that_were_taken_away_come_back_when_the_change_is_refused(host, monkeypatch):
    host.change(*own_directories(host)).apply()
    before = host.snapshot()

    def refuse(*_, **__):
        raise services.ServiceError("no")

    with monkeypatch.context() as patched:
        patched.setattr(services, "carry_out", refuse)
        patched.setattr(journal.Journal, "follow", lambda *_, **__: None)
        with pytest.raises(TransactionError, match="no"):
            host.change().apply()
    assert host.snapshot() == before
    host.change().apply()
    assert list(host.etc.iterdir()) == []


def test_a_directory_is_made_with_all_that_leads_to_it(host):
    """An operator's document root may lie where nothing is yet."""
    done = host.change(host.directory("srv/members/htdocs", 0o750, keep=True)).apply()
    assert [change.action for change in done.differences] == ["add"] * 3
    assert stat.S_IMODE((host.etc / "srv/members").stat().st_mode) == 0o755
    assert stat.S_IMODE((host.etc / "srv/members/htdocs").stat().st_mode) == 0o750


def test_directories_of_a_refused_change_go_away_again(host):
    with pytest.raises(TransactionError):
        host.change(host.directory("a/b"), host.file("no/such/directory", "x")).apply()
    assert host.snapshot() == {}
    host.change(host.directory("a/b"), host.file("a/b/x", "x")).apply()
    assert (host.etc / "a/b/x").read_text() == "x"


def test_what_a_killed_run_had_made_is_made_anew_by_the_run_that_undoes_it(host):
    wanted = [host.directory("a"), host.directory("a/b"), host.file("a/b/x", "x")]
    assert killed_at(host, wanted, "rename", 3) == 9  # the journal takes three
    assert (host.etc / "a/b").is_dir()
    host.change(*wanted).apply()
    assert (host.etc / "a/b/x").read_text() == "x"


def test_a_missing_account_is_named_before_anything_is_touched(host):
    item = Item(host.path("x"), "file", "a", "no-such-account", MY_GROUP, content="x")
    with pytest.raises(TransactionError, match=r"site a.*no-such-account.*make the account first"):
        host.change(host.file("y", "y"), item).apply()
    assert host.snapshot() == {}


@needs_root
def test_a_daemon_that_refuses_leaves_everything_as_it_was(host):
    host.change(*three_sites(host)).apply()
    before = host.snapshot()
    refuse = ["sh", "-c", f"echo 'Syntax error on line 1 of {host.path('pool/b.conf')}: nonsense'; exit 1"]
    wanted = [*three_sites(host, "2"), host.directory("pool/deep"), host.file("pool/deep/x", "x", "x")]
    with pytest.raises(TransactionError, match=r"of site b;(.|\n)*as it was before(.|\n)*nonsense"):
        host.change(*wanted, validate=[refuse]).apply()
    assert host.snapshot() == before
    assert os.listdir(host.root / "state/set/transaction") == []


@needs_root
def test_the_site_is_named_also_where_the_daemon_names_an_unchanged_link(host):
    host.change(*three_sites(host)).apply()
    refuse = ["sh", "-c", f"echo 'Syntax error on line 1 of {host.path('b.enabled')}: nonsense'; exit 1"]
    with pytest.raises(TransactionError, match="of site b;"):
        host.change(*three_sites(host, "2"), validate=[refuse]).apply()


@needs_root
def test_the_daemon_sees_the_staged_files_in_the_place_of_the_live_ones(host):
    host.change(*three_sites(host)).apply()
    (host.etc / "pool/foreign.conf").write_text("foreign\n")
    seen = host.root / "seen"
    look = [
        "sh",
        "-ec",
        f"cd {host.etc}; cat a.enabled pool/*.conf > {seen}; ls > /dev/null; touch {{scratch}}/x",
    ]
    live = ["sh", "-ec", f"test ! -e {host.path('pool/c.conf')}"]
    host.change(
        *three_sites(host, "2")[:3], host.link("a.enabled", "pool/a.conf", "a"), validate=[look, live]
    ).apply()
    assert seen.read_text() == "a 2\na 2\nb 2\nforeign\n"


@needs_root
def test_the_daemon_can_be_shown_the_changed_files_alone(host):
    host.change(*three_sites(host)).apply()
    seen = host.root / "seen"
    look = ["sh", "-ec", f"find {{staged}} -type l -name '*.conf' -exec cat '{{}}' + > {seen}"]
    wanted = [*three_sites(host)[:2], host.file("pool/b.conf", "b 2\n", "b", 0o640)]
    host.change(*wanted, validate=[look]).apply()
    assert seen.read_text() == "b 2\n"


@needs_root
@pytest.mark.parametrize("command", ["exec sleep 60", "sleep 60; true"], ids=["itself", "its child"])
def test_a_daemon_that_hangs_is_given_up(host, command):
    """Also where a script runs it, as apache2ctl does; nothing of it goes on running."""
    group = host.root / "group"
    words = ["sh", "-c", f"echo $$ > {group}; {command}"]
    with pytest.raises(TransactionError, match="did not answer within 1 s; nothing was changed"):
        host.change(*three_sites(host), validate=[words], patience=1).apply()
    assert host.snapshot() == {}
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # until whoever inherits a killed process has looked at it
            os.killpg(int(group.read_text()), 0)
            time.sleep(0.1)
    host.change(*three_sites(host)).apply()


def test_daemons_that_do_not_come_up_bring_the_files_back(host, monkeypatch):
    host.change(*three_sites(host)).apply()
    before = host.snapshot()
    calls = []

    def carry_out(was, now, touched, reload=(), wait=True):
        calls.append((was, now))
        if len(calls) == 1:
            raise services.ServiceError(f"apache2: {host.path('pool/a.conf')}: no")

    monkeypatch.setattr(services, "carry_out", carry_out)
    with pytest.raises(TransactionError, match="does not run of site a; everything is as it was"):
        host.change(*three_sites(host, "2")[:-1]).apply()
    assert host.snapshot() == before
    assert calls[1] == (calls[0][1], calls[0][0])  # the daemons followed the files back


def edited_in_place(path):
    path.write_text("by somebody else\n")


def replaced(path):
    (path.parent / "draft").write_text("by somebody else\n")
    (path.parent / "draft").rename(path)


@needs_root
@pytest.mark.parametrize("name, wanted", [("b", 3), ("c", 2), ("new", 3)], ids=["change", "remove", "add"])
@pytest.mark.parametrize("edit", [edited_in_place, replaced])
def test_what_somebody_writes_during_the_run_is_not_overwritten(host, edit, name, wanted):
    """While the daemon validates there is time for it."""
    host.change(*three_sites(host)).apply()
    before = host.snapshot()
    path = host.etc / f"pool/{name}.conf"
    items = [*three_sites(host, "2")[: wanted + 1], *three_sites(host, "2")[4 : 4 + wanted]]
    items.append(host.file("pool/new.conf", "new\n", "new"))

    def editing(transaction, steps):
        edit(path)
        before.update({key: value for key, value in host.snapshot().items() if key == str(path)})

    transaction = host.change(*items)
    transaction._validate = lambda steps: editing(transaction, steps)
    words = rf"somebody changed .*pool/{name}\.conf \(site {name}\) during this run\. Nothing was changed"
    with pytest.raises(TransactionError, match=words):
        transaction.apply()
    assert host.snapshot() == before
    assert path.read_text() == "by somebody else\n"
    assert os.listdir(host.root / "state/set/transaction") == []


@needs_root
@pytest.mark.parametrize("edit", [edited_in_place, replaced])
def test_what_a_validating_command_writes_is_noticed_too(host, edit):
    host.change(*three_sites(host)).apply()
    command = {edited_in_place: "echo theirs > b.conf", replaced: "echo theirs > x; mv x b.conf"}[edit]
    # outside of the view that the command has; there it writes to a copy
    outside = [
        "nsenter",
        f"--mount=/proc/{os.getpid()}/ns/mnt",
        "sh",
        "-ec",
        f"cd {host.path('pool')}; {command}",
    ]
    with pytest.raises(TransactionError, match=r"somebody changed .*pool/b\.conf \(site b\)"):
        host.change(*three_sites(host, "2"), validate=[outside]).apply()
    assert (host.etc / "pool/b.conf").read_text() == "theirs\n"
    assert (host.etc / "pool/a.conf").read_text() == "a 1\n"
    assert host.change(*three_sites(host, "2")).apply().sites_changed == ["a", "b", "c"]


def test_a_directory_that_somebody_makes_during_the_run_stays_theirs(host, monkeypatch):
    transaction = host.change(host.directory("a"), host.directory("b"))
    monkeypatch.setattr(transaction, "_stage", lambda steps: (host.etc / "b").mkdir(0o700))
    with pytest.raises(TransactionError, match=r"somebody changed .*/b during this run"):
        transaction.apply()
    assert [path.name for path in host.etc.iterdir()] == ["b"]
    assert host.change(host.directory("a"), host.directory("b")).apply().differences


def test_undoing_a_killed_run_leaves_alone_what_it_had_not_reached(host):
    host.change(*three_sites(host)).apply()
    wanted = [*three_sites(host, "2")[:3], host.file("new", "n", "d")]
    assert killed_at(host, wanted, "rename", 3) == 9  # the journal takes three
    replaced(host.etc / "pool/b.conf")
    (host.etc / "new").write_text("by somebody else\n")
    with pytest.raises(TransactionError, match=r"new .*is there already"):
        host.change(*wanted).apply()
    assert (host.etc / "pool/b.conf").read_text() == "by somebody else\n"
    assert (host.etc / "new").read_text() == "by somebody else\n"


def test_recovery_leaves_a_run_alone_that_is_still_alive(host, monkeypatch, capsys):
    """A site may start at any moment of a change, and asks for recovery then."""
    monkeypatch.setattr(journal, "STATE_ROOT", str(host.root / "state"))
    assert killed_at(host, three_sites(host), "rename", 4) == 9
    change = host.root / "state/set/transaction/journal.json"
    with journal.Journal("other", journal.STATE_ROOT).locked():
        assert journal.main() == 0
        assert change.exists()
    assert journal.main() == 0
    assert not change.exists()
    assert capsys.readouterr() == ("undid a change of the set set that was killed half way\n", "")


def test_a_run_of_any_set_first_undoes_what_was_killed_of_another(host):
    """Otherwise a daemon that starts while the other set has the lock would see half of this one."""
    assert killed_at(host, three_sites(host), "rename", 4) == 9
    other = Transaction("other", [host.file("other", "x")], state_root=str(host.root / "state"))
    assert other.apply().recovered
    assert [path.name for path in host.etc.rglob("*")] == ["other"]
    assert not (host.root / "state/set/transaction/journal.json").exists()


def calls_of(host, items, name):
    original, count = getattr(os, name), [0]

    def counted(*arguments, **options):
        count[0] += 1
        return original(*arguments, **options)

    setattr(os, name, counted)
    try:
        host.change(*items).apply()
    finally:
        setattr(os, name, original)
    return count[0]


def killed_at(host, items, name, number):
    """Run the change in a process that dies, as by SIGKILL, before its nth call of os.<name>."""
    child = os.fork()
    if child == 0:
        original, count = getattr(os, name), [0]

        def deadly(*arguments, **options):
            if count[0] == number:
                os._exit(9)
            count[0] += 1
            return original(*arguments, **options)

        setattr(os, name, deadly)
        try:
            host.change(*items).apply()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


WRITING_CALLS = ("fchmod", "fchown", "link", "mkdir", "rename", "rmdir", "sync", "unlink")


@pytest.mark.parametrize("call", WRITING_CALLS)
@pytest.mark.parametrize("then", ["finished", "taken back"])
def test_a_run_killed_before_any_writing_call_is_undone_by_the_next(tmp_path, call, then):
    def fresh(name):
        (tmp_path / name).mkdir()
        host = Host(tmp_path / name)
        host.change(*three_sites(host), *own_directories(host)).apply()
        return host, [*three_sites(host, "2")[:-1], host.file("new", "n", "d"), host.directory("sub")]

    host, wanted = fresh("count")
    deaths = calls_of(host, wanted, call)
    assert deaths > 0
    for number in range(deaths):
        host, wanted = fresh(str(number))
        before = {path: found[:4] for path, found in host.snapshot().items()}
        assert killed_at(host, wanted, call, number) == 9
        if then == "taken back":
            host.change(*three_sites(host), *own_directories(host)).apply()
            host.change(*three_sites(host), *own_directories(host)).apply()
            after = {path: found[:4] for path, found in host.snapshot().items() if path != host.path("sub")}
            assert after == before, number
        else:
            host.change(*wanted).apply()
            assert (host.etc / "new").read_text() == "n", number
            assert (host.etc / "pool/a.conf").read_text() == "a 2\n", number
            assert not (host.etc / "c.enabled").is_symlink(), number
            assert not (host.etc / "outer").exists(), number
        assert os.listdir(host.root / "state/set/transaction") == [], number


def test_a_link_that_a_tenant_could_have_made_is_not_followed(host):
    (host.etc / "tenant").mkdir()
    (host.etc / "tenant").chmod(0o777)
    (host.root / "secret").mkdir()
    (host.etc / "tenant/public").symlink_to(host.root / "secret")
    with pytest.raises(TransactionError, match=r"public is a symbolic link in a directory that others"):
        host.change(host.file("tenant/public/x", "x", "a")).apply()
    assert list((host.root / "secret").iterdir()) == []


@needs_root
def test_a_link_that_root_made_is_followed(host):
    (host.etc / "real").mkdir()
    (host.etc / "alias").symlink_to("real")
    host.change(host.file("alias/x", "x", "a")).apply()
    assert (host.etc / "real/x").read_text() == "x"


def test_a_damaged_manifest_is_reported_and_kept(host):
    host.change(*three_sites(host)).apply()
    manifest = host.root / "state/set/manifest.json"
    manifest.write_text("{")
    with pytest.raises(TransactionError, match="is damaged"):
        host.change().apply()
    assert manifest.read_text() == "{"
    assert (host.etc / "pool/a.conf").exists()


def nested(host):
    return [host.directory(name) for name in ("a", "a/inside", "missing/data", "b", "b/inside")]


def test_directories_that_were_undone_are_made_anew_in_the_same_run(host, monkeypatch):
    (host.etc / "missing").mkdir()
    with monkeypatch.context() as killed:
        killed.setattr(Transaction, "_validate", lambda *_: 1 / 0)
        killed.setattr(Transaction, "_take_back", lambda *_: None)
        with pytest.raises(ZeroDivisionError):
            host.change(*nested(host)).apply()
    assert host.change(*nested(host)).apply().recovered
    assert (host.etc / "b/inside").is_dir()
