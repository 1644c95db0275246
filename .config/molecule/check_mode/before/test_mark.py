"""Before check mode: mark the moment. Molecule's own hook for this, side_effect, belongs to the scenarios."""


def test_mark_the_moment(host):
    # While systemd starts it writes files of its own.
    assert host.check_output("systemctl is-system-running --wait") == "running"
    host.check_output("touch /run/before-check")
