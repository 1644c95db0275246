"""An address of the operator's own for a site's socket comes and goes with the list, and changes no hands."""

import pytest

OWN = "/run/own"


@pytest.fixture
def with_sockets(host, lists, converge):
    """Bring the host to the first list with addresses for two of its sites."""

    def run(stays=None, changes=None):
        first, second, third = lists["before"]
        wanted = [{**first, "socket": stays}, {**second, "socket": changes}, third]
        return converge(wanted)

    yield run
    done = converge(lists["before"])
    assert done.returncode == 0, done.stdout
    assert host.check_output(f"ls {OWN}") == ""


def links(host):
    return host.check_output(
        f"cd {OWN} && for link in *; do echo $link $(readlink -f $link); done"
    ).splitlines()


def test_former_address_is_taken_away(host, with_sockets, page):
    for name in ("former.sock", "latter.sock"):
        done = with_sockets(changes=f"{OWN}/{name}")
        assert done.returncode == 0, done.stdout
        address = host.check_output("realpath /run/fastcgi/way/changes/changes.sock")
        assert links(host) == [f"{name} {address}"]
        assert page("changes").startswith("changes ")
    again = with_sockets(changes=f"{OWN}/latter.sock")
    assert "changed=0" in again.stdout
    # as at the next boot
    host.check_output(f"rm -r {OWN} && systemd-tmpfiles --create /etc/tmpfiles.d/fastcgi.conf")
    again = with_sockets(changes=f"{OWN}/latter.sock")
    assert "changed=0" in again.stdout


def test_swapped_addresses_are_refused(host, with_sockets):
    done = with_sockets(f"{OWN}/a.sock", f"{OWN}/b.sock")
    assert done.returncode == 0, done.stdout
    before = links(host)
    refused = with_sockets(f"{OWN}/b.sock", f"{OWN}/a.sock")
    assert refused.returncode != 0
    assert "give it up there in one run" in " ".join(refused.stdout.split())
    assert links(host) == before
