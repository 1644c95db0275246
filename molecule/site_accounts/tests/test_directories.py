"""The directories, as the accounts find them: a site's own, its neighbours', and Apache's view of them."""

import re

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


@pytest.fixture(scope="module")
def upload(as_user):
    """A file as PHP makes one, in directories that it makes too."""
    path = "/var/www/sites/alpha/uploads/2025/cat.jpg"
    assert as_user("alpha", f"umask 0022; mkdir -p $(dirname {path}); echo meow > {path}").rc == 0
    return path


def test_apache_reads_what_php_makes(as_user, upload):
    """Uploads are for visitors."""
    assert as_user("www-data", f"cat {upload}").stdout == "meow\n"


@pytest.mark.parametrize(
    "way",
    [
        "cat {path}",
        "ls $(dirname {path})",
        "env --chdir={root} cat uploads/2025/cat.jpg",
        "env --chdir=$(dirname {path}) cat cat.jpg",
        "cd /var/www/sites/beta && ln {path} hard && cat hard",
        "cd /var/www/sites/beta && ln -sf {path} soft && cat soft",
        "cd /var/www/sites/beta && ln -sfn $(dirname {path}) directory && ls directory/",
        # who has a shell may have mounts of its own, unlike PHP in its sandbox
        "unshare -Urm sh -c 'mount --bind {root} /mnt && cat /mnt/uploads/2025/cat.jpg'",
        "unshare -Urm sh -c 'mount --rbind /var/www/sites /mnt && cat /mnt/alpha/uploads/2025/cat.jpg'",
        "unshare -Ur cat {path}",
    ],
)
def test_no_way_leads_a_neighbour_to_what_php_makes(as_user, upload, way):
    """Its mode lets everybody read; the closed document root lets nobody come by."""
    tried = as_user("beta-user", way.format(path=upload, root="/var/www/sites/alpha"))
    assert tried.rc != 0
    assert "meow" not in tried.stdout
    assert re.search("Permission denied|Operation not permitted|permission denied", tried.stderr)


def test_who_was_handed_a_directory_of_a_neighbour_sees_that_one_alone(as_user, host, upload):
    """A descriptor is the neighbour's own to give, and one of a closed directory leads no further."""
    beta = "setpriv --reuid beta-user --regid beta-group --clear-groups"
    handed = f"exec 3< /var/www/sites/alpha; exec {beta} cat /proc/self/fd/3/uploads/2025/cat.jpg"
    assert "Permission denied" in host.run("sh -c %s", handed).stderr


def test_a_directory_is_made_with_the_mode_of_the_one_above(as_user, upload):
    """As WordPress does it. There is no bit in it that the sandbox would refuse PHP to set."""
    year = upload.rpartition("/")[0]
    made = as_user(
        "alpha", f"umask 0022; mkdir -m $(stat -c %a {year}) {year}/12 && echo hiss > {year}/12/cat.jpg"
    )
    assert made.rc == 0, made.stderr
    assert as_user("alpha", "find /var/www/sites/alpha -perm /6000").stdout == ""
    assert as_user("www-data", f"cat {year}/12/cat.jpg").stdout == "hiss\n"


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
