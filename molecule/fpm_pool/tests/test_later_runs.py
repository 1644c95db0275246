"""What later runs of the role did (side_effect.yml): a site changed, one gone, lists and a host refused."""

import json

import pytest


def masters(text):
    return {name: int(pid) for name, pid in (line.split() for line in text.splitlines())}


@pytest.fixture(scope="module")
def before(observed):
    return masters(observed("masters-before"))


@pytest.fixture(scope="module")
def after(observed):
    return masters(observed("masters-after"))


def test_change_of_one_site_leaves_the_others_alone(before, after):
    assert after["changing"] != before["changing"]
    assert after["beta"] == before["beta"] != 0


@pytest.mark.parametrize("name", ["beta", "changing"])
def test_no_request_is_lost_meanwhile(host, observed, before, name):
    """The master from before answered first; at the end it was another one, where the site has changed."""
    answers = [json.loads(line) for line in observed(f"asking-{name}").splitlines()]
    assert {answer["status"] for answer in answers} == {200}
    said = [json.loads(answer["body"]) for answer in answers]
    assert {answer["uid"] for answer in said} == {host.user(name).uid}
    assert said[0]["master"] == before[name]
    assert (said[-1]["master"] == before[name]) == (name == "beta")


def test_new_value_is_in_effect(site):
    """pm.max_children went from 1 to 2: two requests run at the same time, the third waits."""
    changing = site("changing")
    changing.host.check_output(changing.writing("sleep.php", "sleep(2); echo 'slept';"))
    # not all at once, because an ondemand master may take requests that come together for one
    asked = [f"sleep 0.{3 * number}; {changing.asking('sleep.php')}" for number in range(3)]
    seconds = sorted(answer.seconds for answer in changing.together(*asked))
    assert seconds[1] < 2.8 < seconds[2]


def test_removed_site_is_gone_from_the_service_manager(host, site, after):
    leaving = site("leaving")
    assert after["leaving"] == 0
    assert host.run("ps -u leaving").rc == 1
    assert leaving.show("LoadState") == "not-found"
    assert host.run("systemctl cat fastcgi-leaving.socket").rc != 0
    assert host.check_output("find /etc/fastcgi/fpm /etc/systemd /run/fastcgi -name '*leaving*.sock'") == ""
    assert host.run("systemctl is-failed 'fastcgi-leaving.*'").rc != 0


def test_removed_site_keeps_its_files(host):
    assert host.file("/var/www/sites/leaving/uid.php").exists
    assert host.file("/var/lib/fastcgi/leaving/sessions").is_directory
    assert host.file("/var/log/fastcgi/leaving").is_directory


def test_list_with_a_fault_is_refused_with_the_name_of_the_site(observed):
    message = observed("refused-by-model")
    assert "faulty" in message
    assert "pm.max_children" in message
    assert '"many"' in message


def test_host_whose_fpm_does_not_start_is_refused_in_its_words(observed):
    message = observed("refused-by-host")
    assert "php-fpm8.2: Permission denied" in message


@pytest.mark.parametrize("later", ["state-after-fault", "state-after-refusal"])
def test_refused_run_touches_nothing(observed, later):
    """Neither a file, nor an owner, mode or time of one, nor a process."""
    before = observed("state-before")
    assert before.count("fastcgi-") > 10
    assert observed(later).splitlines() == before.splitlines()
