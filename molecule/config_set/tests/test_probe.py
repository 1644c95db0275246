"""A change that the daemon's own test lets pass, and that does not run, is taken back (REL-01, FPM-01)."""

DROP_IN = "/run/systemd/system/fastcgi-changes.service.d"


def test_a_master_that_cannot_start_brings_the_old_files_back(host, converge, files, page, lists):
    stays, _, goes = lists["before"]
    changed = lists["after"][1]
    done = converge(lists["before"])
    assert done.returncode == 0, done.stdout
    old = files("fpm_pool")
    broken = "[Service]\\nExecStartPre=/bin/sh -c 'echo cannot reach the licence server; exit 1'\\n"
    host.check_output(
        f'mkdir -p {DROP_IN} && printf "{broken}" > {DROP_IN}/local.conf && systemctl daemon-reload'
    )
    try:
        run = converge([stays, changed, goes])
        assert run.returncode != 0
        assert "of site changes" in run.stdout
        assert "cannot reach the licence server" in run.stdout  # the service's own words
        assert files("fpm_pool") == old
        assert page("stays") == "stays 128M"
    finally:
        host.check_output(f"rm -r {DROP_IN} && systemctl daemon-reload")
    assert page("changes") == "changes 128M"
    done = converge([stays, changed, goes])
    assert done.returncode == 0, done.stdout
    assert page("changes") == "changes 99M"
    assert converge(lists["before"]).returncode == 0
