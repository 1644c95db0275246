"""The directories, as the accounts find them: a site's own, its neighbours', and Apache's view of them."""

import pytest

PRIVATE = ("/var/lib/fastcgi/{}/sessions", "/var/lib/fastcgi/{}/tmp", "/var/log/fastcgi/{}")
OWN = ("/var/www/sites/{}", *PRIVATE)


@pytest.fixture(scope="module", autouse=True)
def secrets(as_user):
    """A file in each directory of alpha that everybody may read, were it not for the directory."""
    for directory in OWN:
        path = directory.format("alpha") + "/secret"
        assert as_user("alpha", f"umask 0; echo secret of alpha > {path}").rc == 0


@pytest.mark.parametrize("directory", OWN)
def test_site_uses_its_own_directories(as_user, directory):
    path = directory.format("alpha")
    assert as_user("alpha", f"ls {path} && cat {path}/secret && touch {path}/new && rm {path}/new").rc == 0


@pytest.mark.parametrize("neighbour", ["beta-user", "veteran", "nobody"])
@pytest.mark.parametrize("directory", OWN)
def test_neighbour_sees_nothing(as_user, neighbour, directory):
    """SEC-38, SEC-43."""
    path = directory.format("alpha")
    for attempt in (f"ls {path}", f"cat {path}/secret", f"touch {path}/planted"):
        assert "Permission denied" in as_user(neighbour, attempt).stderr, attempt


@pytest.mark.parametrize("parent", ["/var/www/sites", "/var/lib/fastcgi", "/var/log/fastcgi"])
def test_nobody_learns_which_sites_there_are(as_user, parent):
    assert "Permission denied" in as_user("alpha", f"ls {parent}").stderr


@pytest.mark.parametrize("site", ["alpha", "twin-a"])
def test_site_cannot_replace_its_own_directories(as_user, host, site):
    """Root writes into these later; a link in their place would lead it elsewhere."""
    user = "twins" if site == "twin-a" else site
    for directory in OWN:
        path = directory.format(site)
        assert as_user(user, f"mv {path} {path}.old").rc != 0
        assert host.file(path).is_directory


def test_apache_reads_the_document_root(as_user):
    assert as_user("www-data", "ls /var/www/sites/alpha && cat /var/www/sites/alpha/secret").rc == 0


def test_apache_does_not_write_to_the_document_root(as_user):
    assert as_user("www-data", "touch /var/www/sites/alpha/planted").rc != 0


@pytest.mark.parametrize("directory", PRIVATE)
def test_apache_sees_nothing_else(as_user, directory):
    path = directory.format("alpha")
    assert as_user("www-data", f"ls {path}").rc != 0
    assert as_user("www-data", f"cat {path}/secret").rc != 0


def test_apache_reads_what_php_makes(as_user):
    """Uploads are for visitors. PHP runs with umask 0027, so it is the group that lets Apache read."""
    upload = "/var/www/sites/alpha/uploads/2025/cat.jpg"
    assert as_user("alpha", f"umask 0027; mkdir -p $(dirname {upload}); echo meow > {upload}").rc == 0
    assert as_user("www-data", f"cat {upload}").stdout == "meow\n"
    assert as_user("beta-user", f"cat {upload}").rc != 0


def test_sites_of_one_account_share_it(as_user):
    assert as_user("twins", "touch /var/www/sites/twin-a/mine /var/www/sites/twin-b/mine").rc == 0


def test_existing_document_root_elsewhere_stays_as_it_was(host):
    root = host.file("/srv/given/pub")
    assert (root.user, root.group, root.mode) == ("veteran", "veteran", 0o751)


def test_missing_document_root_elsewhere_is_made(as_user):
    assert as_user("made", "echo hello > /srv/made/pub/index.html").rc == 0
    assert as_user("www-data", "cat /srv/made/pub/index.html").stdout == "hello\n"
    assert as_user("alpha", "ls /srv/made/pub").rc != 0


def test_writable_path_is_made_for_php_alone(as_user):
    assert as_user("alpha", "umask 0022; echo x > /srv/alpha-data/x").rc == 0
    for other in ("beta-user", "www-data"):
        assert as_user(other, "ls /srv/alpha-data").rc != 0
        assert as_user(other, "cat /srv/alpha-data/x").rc != 0


def test_writable_path_in_a_document_root_is_for_apache_to_read(as_user):
    """What PHP puts there is served."""
    assert as_user("made", "umask 0022; echo meow > /srv/made/pub/uploads/cat.jpg").rc == 0
    assert as_user("www-data", "cat /srv/made/pub/uploads/cat.jpg").stdout == "meow\n"
    assert as_user("alpha", "cat /srv/made/pub/uploads/cat.jpg").rc != 0
