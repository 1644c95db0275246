"""How a script runs that Apache starts; the scenario conformance asks for what it is told and answers."""

import json
import re

import pytest

UK = "http://uk.example"
DE = "http://de.example"
ROOT = "/var/www/sites/uk"


@pytest.mark.parametrize("name", ["uk", "de", "fr"])
def test_each_site_runs_under_its_own_user(get, name):
    assert get(f"http://{name}.example/whoami.php").body == f"PHP of {name}"


def test_apache_starts_it(get):
    assert get(f"{UK}/settings.php").json["api"] == "cgi-fcgi"


# ---------------------------------------------------------------- settings


def test_settings_of_a_site_come_on_top_of_the_hosts_own(get):
    seen = get(f"{DE}/settings.php").json
    assert (seen["memory_limit"], seen["set_memory_limit"]) == ("99M", True)
    assert seen["loaded"] == "/etc/php/8.2/cgi/php.ini"
    assert "x-powered-by" not in get(f"{DE}/settings.php").headers


def test_scripts_cannot_change_what_is_locked(get):
    """TMO-06."""
    seen = get(f"{DE}/settings.php").json
    assert (seen["max_execution_time"], seen["set_max_execution_time"]) == ("1", False)
    assert seen["set_time_limit"] is False


def test_nor_can_a_user_ini(host, get):
    host.check_output(f"printf 'max_execution_time = 600\\nmemory_limit = 66M\\n' > {ROOT}/.user.ini")
    host.check_output(f"mkdir -p {ROOT}/ini && mv {ROOT}/.user.ini {ROOT}/ini/ && chown -R uk:uk {ROOT}/ini")
    host.check_output(f"cp --preserve=all {ROOT}/settings.php {ROOT}/ini/")
    seen = get(f"{UK}/ini/settings.php").json
    assert (seen["memory_limit"], seen["max_execution_time"]) == ("66M", "30")


def test_sessions_and_temporary_files_are_the_sites_own(get):
    seen = get(f"{UK}/settings.php").json
    assert (seen["save_path"], seen["session"]) == ("/var/lib/fastcgi/uk/sessions", True)
    assert (seen["temporary"], seen["umask"]) == ("/var/lib/fastcgi/uk/tmp", 0o022)


def test_a_script_has_no_hold_on_signals(get):
    """TMO-31: it could outlive its end otherwise."""
    assert get(f"{UK}/settings.php").json["fork"] is False


def test_errors_go_to_the_sites_own_log(host, get):
    host.check_output(f"echo '<?php error_log(\"a word for the log\");' > {ROOT}/log.php")
    host.check_output(f"chown uk:uk {ROOT}/log.php")
    assert get(f"{UK}/log.php").status == 200
    assert "a word for the log" in host.file("/var/log/fastcgi/uk/php.log").content_string


ROOTS = {"uk": ROOT, "de": "/srv/de/htdocs", "fr": "/var/www/sites/fr"}


@pytest.mark.parametrize(("name", "root"), ROOTS.items())
def test_a_picture_is_uploaded_and_apache_serves_it(host, get, name, root):
    """PHP moves it out of a directory whose group is not Apache's. A neighbour does not get there."""
    host.check_output("echo meow > /tmp/cat.png")
    taken = get(f"http://{name}.example/upload.php", "-F", "picture=@/tmp/cat.png").json
    assert (taken["made"], taken["moved"]) == (True, True)
    answer = get(f"http://{name}.example{taken['path'].removeprefix(root)}")
    assert (answer.status, answer.body) == (200, "meow\n")
    neighbour = "de" if name == "uk" else "uk"
    assert "Permission denied" in host.run("runuser -u %s -- cat %s", neighbour, taken["path"]).stderr


# ---------------------------------------------------------------- requests


def test_a_front_controller_answers_for_what_is_not_there(get):
    for path in ("/", "/a/pretty/path", "/a/pretty/path.php"):
        assert get(DE + path).body == "index of de"
    assert get(f"{DE}/style.css").body == "p { color: teal; }\n"


def test_nothing_but_php_is_started(host, get):
    """Debian gives every .fcgi to mod_fcgid; here only PHP may run at all."""
    host.check_output(f"printf '#!/bin/sh\\nid\\n' > {ROOT}/x.fcgi")
    host.check_output(f"chown uk:uk {ROOT}/x.fcgi && chmod 755 {ROOT}/x.fcgi")
    assert get(f"{UK}/x.fcgi").status == 403


def test_credentials_reach_the_script_only_where_wanted(get):
    """M05."""
    server = get(f"{DE}/echo.php", "-u", "ann:secret").json["server"]
    assert (server["PHP_AUTH_USER"], server["PHP_AUTH_PW"]) == ("ann", "secret")
    assert "secret" not in json.dumps(get(f"{UK}/echo.php", "-u", "ann:secret").json)


def test_a_body_may_be_as_long_as_php_takes_and_no_longer(host, get):
    host.check_output("head -c 8388608 /dev/zero > /tmp/most && head -c 8388609 /dev/zero > /tmp/more")
    send = ["-X", "PUT", "-H", "Content-Type: application/octet-stream", "--data-binary"]
    assert get(f"{DE}/echo.php", *send, "@/tmp/most").json["body_sha256"]
    assert get(f"{DE}/echo.php", *send, "@/tmp/more").status >= 400


# ---------------------------------------------------------------- clocks and processes


def seconds_of(host, path):
    """How a request went that is given 30 s: its status and its seconds."""
    told = host.run(
        "curl -s -o /dev/null --max-time 30 --connect-to ::127.0.0.1: -w %s " + f"{DE}{path}",
        "%{http_code} %{time_total}",
    ).stdout
    status, seconds = told.split()
    return int(status), float(seconds)


def test_a_silent_script_is_ended(host):
    """TMO-17, T11: Apache does not wait longer, and the process does not live on."""
    status, seconds = seconds_of(host, "/sleep.php?seconds=25")
    assert (status, 3 <= seconds < 12) == (500, True)
    host.check_output("timeout 10 sh -c 'while pgrep --uid de --full sleep; do sleep 0.2; done'")
    ended = host.check_output("tail -n 20 /var/log/apache2/error.log")
    assert re.search(r"mod_fcgid: read data timeout in 3 seconds", ended)


def test_a_script_that_computes_is_ended_by_php_itself(host):
    """T05: it cannot give itself more time."""
    status, seconds = seconds_of(host, "/burn.php")
    assert (status, seconds < 12) == (500, True)
    assert "Maximum execution time of 1 second" in host.file("/var/log/fastcgi/de/php.log").content_string


def test_a_script_that_talks_is_ended_too(host):
    """TMO-18, T12: it is never silent, and would go on for a minute."""
    _, seconds = seconds_of(host, "/abort.php?seconds=60")
    assert 5 <= seconds < 25


def test_a_process_serves_so_many_requests_and_the_next_one_is_there_soon(host):
    """TMO-19, T14: none is lost, and none waits long for a process in place of one that has ended."""
    told = host.check_output(
        "curl -s --max-time 60 --connect-to ::127.0.0.1: -w %s 'http://de.example/settings.php?[1-100]'",
        " %{http_code} %{time_total}\\n",
    )
    answers = [line.rsplit(" ", 2) for line in told.splitlines() if line.startswith("{")]
    assert [status for _, status, _ in answers] == ["200"] * 100
    pids = [json.loads(body)["pid"] for body, _, _ in answers]
    assert max(pids.count(pid) for pid in pids) <= 10
    assert max(float(seconds) for _, _, seconds in answers) < 10


def test_no_more_processes_than_the_site_may_have(host):
    """CAP-11: the others wait."""
    url = "http://de.example/sleep.php?seconds=1"
    ask = f"curl -s -o /dev/null -w '%{{http_code}} ' --connect-to ::127.0.0.1: '{url}' &"
    codes = host.check_output(
        "bash -c %s", f"for i in 1 2 3 4 5 6; do {ask} done; sleep 0.9; pgrep -c -u de; wait"
    )
    most, *rest = codes.split()
    assert int(most) <= 2
    assert rest == ["200"] * 6


def test_an_idle_site_costs_no_process(host, get):
    """TMO-21."""
    assert get(f"{DE}/whoami.php").status == 200
    host.check_output("timeout 40 sh -c 'while pgrep --uid de; do sleep 0.5; done'")
    assert get(f"{DE}/whoami.php").body == "PHP of de"
