"""A site takes no more of the host than its limits say."""

import pytest

FORK = """
for ($number = 0; $number < 60; $number++) {
    $pipes = [];
    $process = @proc_open(['sleep', '1'], [], $pipes);
    $process and $running[] = $process;
}
echo count($running ?? []);
"""
EAT = "ini_set('memory_limit', -1); echo strlen(str_repeat('x', 200 << 20));"


def needs(controller):
    """Skip where the kernel, or the container, has no such limit to offer."""

    def check(host):
        controllers = host.file("/sys/fs/cgroup/cgroup.controllers").content_string.split()
        if controller not in controllers:
            pytest.skip(
                f"the host under test has no {controller} controller (cgroup.controllers: {controllers}); "
                f"on a host with pure cgroup v2 this test runs"
            )

    return pytest.fixture(check, name=f"needs_{controller}")


needs_pids = needs("pids")
needs_memory = needs("memory")


def test_limits_reach_the_service_manager(site):
    limited = site("limited")
    assert limited.show("TasksMax") == "16"
    assert limited.show("MemoryMax") == str(64 << 20)
    assert site("cgi").show("TasksMax") == "32"


def test_processes_are_limited(needs_pids, site):
    assert 0 < int(site("limited").run(FORK).body) < 16


def test_memory_is_limited(needs_memory, site):
    """CAP-14: the worker dies, its master and the next request do not."""
    limited = site("limited")
    master = int(limited.run("echo posix_getppid();").body)
    assert not limited.run(EAT).ended
    assert limited.run("echo 'on';").body == "on"
    assert limited.master == master
