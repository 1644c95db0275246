"""The host under test itself."""


def test_systemd_is_running_without_failed_units(host):
    assert host.check_output("systemctl is-system-running --wait") == "running"
