"""After check mode on a bare host: nothing on any disk is newer than the mark."""

MOUNT_POINTS = ("/dev", "/proc", "/run", "/sys", "/tmp")
# Ansible's own temporary files, and the journal of what it ran, are not the playbook's doing; nor are the
# caches and the log that apt keeps even of what it only simulates.
APT = ("/var", "/var/cache", "/var/cache/apt*", "/var/log", "/var/log/apt*")
IGNORED = ("/root", "/root/.ansible*", "/var/log/journal*", *APT, *MOUNT_POINTS)


def test_check_mode_changes_nothing(host):
    ignored = " ".join(f"-not -path '{path}'" for path in IGNORED)
    changed = host.check_output(f"find / -xdev -cnewer /run/before-check {ignored}")
    assert changed.splitlines() == []
