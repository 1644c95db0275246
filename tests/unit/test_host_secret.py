"""Names that only the host knows: filled in there, and in nothing that it reports (SEC-01)."""

import grp
import os
import pwd
import re

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import host_secret
from ansible_collections.webhosting.fastcgi.plugins.module_utils.transaction import (
    Item,
    Transaction,
    TransactionError,
)

ME = pwd.getpwuid(os.getuid()).pw_name
MY_GROUP = grp.getgrgid(os.getgid()).gr_name

TEXT = "SetHandler proxy:unix:/run/fastcgi/@secret:shop@/shop.sock|fcgi://shop.fpm\n"
TOKEN = re.compile(r"secret-[0-9a-f]{32}")


class Host:
    """A directory that stands for a host's configuration, with a set of files in it."""

    def __init__(self, root):
        self.root, self.etc = root, root / "etc"
        self.etc.mkdir(mode=0o755)

    def change(self, *items, **options):
        return Transaction("set", items, state_root=str(self.root / "state"), **options)

    def snippet(self, text=TEXT, secret=True):
        path = str(self.etc / "shop.conf")
        return Item(path, "file", "shop", ME, MY_GROUP, 0o600, content=text, secret=secret)

    def link(self, target):
        path = str(self.etc / "shop.sock")
        return Item(path, "link", "shop", ME, MY_GROUP, target=target, secret=True)

    @property
    def written(self):
        return (self.etc / "shop.conf").read_text()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_names_differ_from_site_to_site_and_from_host_to_host():
    names = {host_secret.token(secret, site) for secret in (b"a", b"b") for site in ("a", "b", "a-b")}
    assert len(names) == 6
    assert all(TOKEN.fullmatch(name) for name in names)


@pytest.mark.parametrize(
    "text", ["@secret:@", "@secret:Shop@", "secret:shop", "@ secret:shop@", "@secret:a b@"]
)
def test_only_a_place_is_filled(text):
    assert host_secret.filled(text, b"x") == text


def test_what_is_filled_in_can_be_hidden_again():
    filled = host_secret.filled(TEXT, b"x")
    assert filled != TEXT
    assert host_secret.hidden(filled) == TEXT.replace("@secret:shop@", "secret-...")


def test_secret_is_made_once_and_is_roots_alone(host):
    host.change(host.snippet()).apply()
    first = host.written
    assert TOKEN.search(first)
    assert "@" not in first
    secret = host.root / "state" / "secret"
    assert (secret.stat().st_mode & 0o777, len(secret.read_bytes())) == (0o600, 32)
    again = host.change(host.snippet()).apply()
    assert (again.differences, host.written) == ([], first)


def test_link_leads_to_the_same_name(host):
    host.change(host.snippet(), host.link("../run/@secret:shop@/shop.sock")).apply()
    (token,) = TOKEN.findall(host.written)
    assert os.readlink(host.etc / "shop.sock") == f"../run/{token}/shop.sock"


def test_nothing_is_filled_in_where_nobody_asked_for_it(host):
    host.change(host.snippet(secret=False)).apply()
    assert host.written == TEXT
    assert not (host.root / "state" / "secret").exists()


def test_preview_of_a_bare_host_makes_no_secret(host):
    assert host.change(host.snippet()).preview().sites_added == ["shop"]
    assert not (host.root / "state").exists()


def test_preview_knows_what_is_there(host):
    host.change(host.snippet()).apply()
    assert host.change(host.snippet()).preview().differences == []
    assert len(host.change(host.snippet(TEXT + "#\n")).preview().differences) == 1


def test_neither_diff_nor_manifest_nor_error_tells(host):
    """What the module reports goes through `hidden`; nothing else on the way may know the name."""
    host.change(host.snippet()).apply()
    outcome = host.change(host.snippet(TEXT + "#\n")).preview()
    told = [host_secret.hidden(change.before + change.after) for change in outcome.differences]
    assert not TOKEN.search("".join(told))
    assert not TOKEN.search((host.root / "state/set/manifest.json").read_text())
    with pytest.raises(TransactionError) as caught:
        refusal = ["sh", "-c", f"cat {host.etc}/shop.conf; exit 1"]
        host.change(host.snippet(TEXT + "#\n"), validate=[refusal]).apply()
    assert TOKEN.search(str(caught.value))
    assert not TOKEN.search(host_secret.hidden(str(caught.value)))


def test_journal_of_a_change_is_forgotten_with_the_name_in_it(host):
    host.change(host.snippet()).apply()
    left = [path for path in (host.root / "state").rglob("*") if path.is_file() and path.name != "secret"]
    assert left
    assert not [path for path in left if b"secret-" in path.read_bytes()]
