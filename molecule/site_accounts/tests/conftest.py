"""What the tests of this scenario share."""

import json

import pytest

OBSERVED = "/var/lib/observed"


@pytest.fixture(scope="module")
def as_user(host):
    """Run a shell command under an account, whatever its login shell."""

    def as_user(user, command):
        return host.run("runuser -u %s -- sh -c %s", user, command)

    return as_user


@pytest.fixture(scope="module")
def observed(host):
    """What side_effect.yml wrote down."""
    return lambda name: host.file(f"{OBSERVED}/{name}").content_string


@pytest.fixture(scope="module")
def changed_paths(observed):
    """The paths that a later run of the role said it changes."""

    def changed_paths(run):
        plays = json.loads(observed(f"run-{run}.json"))["plays"]
        answers = [answer for play in plays for task in play["tasks"] for answer in task["hosts"].values()]
        return {
            change["after_header"] or change["before_header"]
            for answer in answers
            for change in answer.get("diff", [])
        }

    return changed_paths
