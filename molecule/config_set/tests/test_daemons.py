"""A daemon that is to be reloaded and cannot run stops the run, and no later one."""

from pathlib import Path

import pytest

PLAYBOOK = Path(__file__).resolve().parents[1] / "one_file.yml"
STATE = (
    "find /etc/one_file /etc/systemd/system -printf '%p %y %T@\\n' | sort; "
    "find /var/lib/config_set -type f -printf '%p %T@\\n' | grep -v /lock"
)


@pytest.fixture
def write(play):
    return lambda text, *daemons: play(PLAYBOOK, {"text": text, "daemons": daemons})


@pytest.fixture
def masked(host):
    host.check_output("systemctl mask logrotate.service")
    yield "logrotate"
    host.check_output("systemctl unmask logrotate.service")


def test_daemon_that_does_not_exist_is_named_and_all_is_as_it_was(host, write):
    assert write("first").returncode == 0
    before = host.check_output(STATE)
    refused = write("second", "apache2", "no-such-daemon")
    assert refused.returncode != 0
    assert "the daemon no-such-daemon" in refused.stdout
    assert "not-found" in refused.stdout
    assert host.check_output(STATE) == before
    done = write("second", "apache2")
    assert done.returncode == 0, done.stdout
    assert host.file("/etc/one_file").content_string == "second\n"


def test_masked_daemon_is_named(write, masked):
    refused = write("third", masked)
    assert refused.returncode != 0
    assert "masked" in refused.stdout


def test_journal_that_names_a_daemon_which_is_gone_blocks_nobody(host, play):
    """A killed run is undone, though the daemon that it was to reload has been removed since."""
    host.check_output(
        "printf '[Service]\\nExecStart=/bin/sleep inf\\n' > /run/systemd/system/passing.service"
    )
    host.check_output("systemctl daemon-reload")
    killed = play(PLAYBOOK, {"text": "killed", "daemons": ["passing"], "die_at": "one_file: swapped all"})
    assert killed.returncode != 0
    host.check_output(
        "systemctl stop passing; rm /run/systemd/system/passing.service; systemctl daemon-reload"
    )
    done = play(PLAYBOOK, {"text": "next", "daemons": []})
    assert done.returncode == 0, done.stdout
    assert host.file("/etc/one_file").content_string == "next\n"
