"""As good as mod_php: what a script is told of a request."""


def test_script_runs_as_the_site(get):
    assert get("http://uk.example/").body == "index of uk"
