"""What later runs do: with another list, in check mode, and against a tenant who moved things about."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs/applications.md"


def test_removed_site_keeps_account_and_files(host):
    """A list is edited quickly, and users' data are not ours to delete."""
    assert host.user("leaving").exists
    index = host.file("/var/www/sites/leaving/index.html")
    assert (index.content_string, index.user, index.group, index.mode) == (
        "precious\n",
        "leaving",
        "www-data",
        0o640,
    )
    assert host.file("/var/lib/fastcgi/leaving/sessions").is_directory


def test_mode_of_a_document_root_is_repaired(as_user, host):
    assert host.file("/var/www/sites/beta").mode == 0o750
    assert as_user("alpha", "ls /var/www/sites/beta").rc != 0


def test_bit_for_the_group_of_an_earlier_version_goes_from_the_document_root(host):
    """What is below it is the site's; the command in docs/applications.md takes it away there."""
    root = "/var/www/sites/veteran"
    assert (host.file(root).mode, host.file(f"{root}/uploads").mode) == (0o750, 0o2750)
    (command,) = re.findall(r"^cd /var/www/sites/.*g-s.*$", PAGE.read_text(), re.MULTILINE)
    host.check_output(command.replace("blog", "veteran").replace("%", "%%"))
    assert host.file(f"{root}/uploads").mode == 0o750


def test_check_mode_tells_what_the_next_run_does(changed_paths):
    told = changed_paths("check")
    assert {f"/var/www/sites/{name}" for name in ("beta", "newcomer", "veteran")} <= told
    assert not any("alpha" in path for path in told)
    assert told == changed_paths("diff")


def test_check_mode_makes_no_account(observed, host):
    assert "newcomer" not in observed("passwd-check")
    assert "newcomer" in observed("passwd-diff")
    assert host.user("newcomer").exists


@pytest.mark.parametrize("attack", ["link", "way", "deeper"])
def test_link_made_by_a_tenant_is_refused(observed, attack):
    """A tenant puts a link to /etc where its document root was, and waits for root to give /etc away."""
    message = observed(f"refused-{attack}")
    assert "/srv/t/uk/pub" in message
    assert "link" in message
    assert "nothing was changed" in message.lower()


def test_tenant_gained_nothing_by_the_link(host):
    assert host.file("/srv/t/uk/pub").linked_to == "/etc"
    for path in ("/etc", "/etc/alternatives"):
        directory = host.file(path)
        assert (directory.user, directory.group, directory.mode) == ("root", "root", 0o755)
    assert not host.file("/etc/new").exists
