"""Random combinations of owners, modes, kinds of files and targets: each verdict comes true."""

import json
import random
import time

import pytest

COUNT = 300


@pytest.mark.parametrize("flavour", ["custom", "pristine"])
def test_what_is_foretold_comes_true(shell, choose, ask, observe, foretold, flavour):
    choose(flavour)
    seed = random.SystemRandom().randrange(10**6)
    wrappers = json.loads(shell(f"python3 /opt/random_wrappers.py {seed} {COUNT}"))
    verdicts = ask(wrappers)
    both = [(foretold(verdict), seen) for verdict, seen in zip(verdicts, observe(wrappers))]
    wrong = [(wrapper, *pair) for wrapper, pair in zip(wrappers, both) if not same(*pair)]
    assert wrong == []
    # the draw is worth something: many ways to fail, and some that pass
    codes = {seen["exit_code"] for _, seen in both}
    assert len(codes) >= 10, codes
    assert 0 in codes


def same(verdict, seen):
    """A wrapper that suEXEC hands over to may still end with an error of its own."""
    if verdict["exit_code"] == 0:
        return verdict["log"] == seen["log"]
    return verdict == seen


def test_a_thousand_wrappers_cost_a_moment(shell, tell):
    wrappers = json.loads(shell("python3 /opt/random_wrappers.py 1 1000"))
    start = time.monotonic()
    answers = [*tell("/opt/foretell.py", wrappers[:500]), *tell("/opt/foretell.py", wrappers[500:])]
    assert len(answers) == 1000
    assert time.monotonic() - start < 3  # a tenth of that on a machine with nothing else to do
