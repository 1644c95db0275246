"""What PHP of one site can see and do, asked from inside its sandbox."""

import re

import pytest

LOOK = """
foreach (file('/proc/self/status') as $line) {
    [$key, $value] = explode(':', $line, 2);
    $status[$key] = trim($value);
}
$processes = [];
foreach (glob('/proc/[0-9]*') as $directory) {
    $processes[basename($directory)] = fileowner($directory);
}
foreach (['/etc', '/usr/bin', '/var/lib', '/var/log', '/var/www', '/var/www/sites', '/var/lib/fastcgi',
          '/var/log/fastcgi', '/run', '/run/fastcgi', '/run/lock', '/run/user', '/etc/fastcgi', '/root',
          '/dev', '/dev/mqueue', '/home'] as $directory) {
    if (@file_put_contents("$directory/planted", 'x') !== false) {
        $written[] = $directory;
    }
}
foreach (['/tmp', '/var/tmp', '/dev/shm'] as $directory) {
    file_put_contents("$directory/of-a-site", 'x');
}
$connection = @stream_socket_client('unix://BETA', $number, $refusal);
echo json_encode([
    'uid' => posix_geteuid(),
    'groups' => posix_getgroups(),
    'status' => $status,
    'processes' => $processes,
    'written' => $written ?? [],
    'refusal' => $connection ? null : $refusal,
    'scripts' => array_keys(opcache_get_status()['scripts']),
    'listings' => array_map(fn ($path) => array_values(array_diff(@scandir($path) ?: [], ['.', '..'])), [
        'sites' => '/var/www/sites', 'state' => '/var/lib/fastcgi', 'logs' => '/var/log/fastcgi',
        'home' => '/home', 'root' => '/root', 'config' => '/etc/fastcgi/fpm/8.2',
        'sessions' => '/var/lib/php/sessions',
    ]),
    'neighbour' => array_filter([
        '/var/www/sites/beta/secret.php', '/var/lib/fastcgi/beta/sessions', '/var/log/fastcgi/beta',
        '/etc/fastcgi/fpm/8.2/beta.conf', '/etc/fastcgi/php-cgi/turning/php.ini',
        '/srv/stranger/htdocs/secret.php',
    ], fn ($path) => @file_get_contents($path) !== false || @scandir($path) !== false || @include $path),
    'network' => file_exists('/proc/net/unix'),
]);
"""


@pytest.fixture(scope="module", params=["alpha", "cgi"])
def viewer(request, site):
    """A site with FPM, and one with php-cgi."""
    return site(request.param)


@pytest.fixture(scope="module")
def view(viewer, beta, stranger):
    """What a site sees, after its neighbours have run a script that holds a secret."""
    for neighbour in (beta, stranger):
        secret = neighbour.writing("secret.php", "return 'secret';")
        script = f"{neighbour.root}/secret.php"
        neighbour.host.check_output(
            f"{secret} && chmod 0644 {script} && touch --date '1 minute ago' {script}"
        )
        assert neighbour.run(f"echo include '{script}';").body == "secret"
    # opcache takes no script that is younger than two seconds
    cached = viewer.writing("cached.php", "echo 'cached';")
    viewer.host.check_output(f"{cached} && touch --date '1 minute ago' {viewer.root}/cached.php")
    viewer.host.check_output(viewer.asking("cached.php"))
    answer = viewer.run(LOOK.replace("BETA", beta.socket))
    assert answer.status == 200, answer
    return answer.json


@pytest.mark.parametrize("name", ["alpha", "beta", "stranger", "cgi"])
def test_php_runs_as_the_user_of_the_site(host, site, name):
    """SEC-08; the account of `stranger` was made by somebody else."""
    answer = site(name).run("echo json_encode([posix_geteuid(), posix_getegid(), posix_getgroups()]);")
    account = host.user(name)
    assert answer.json == [account.uid, account.gid, [account.gid]]


def test_no_process_of_a_site_is_of_root(host, viewer):
    viewer.run("")
    lines = host.check_output("ps -eo user:32=,unit=").splitlines()
    owners = {tuple(line.split()) for line in lines if viewer.service in line}
    assert owners == {(viewer.name, viewer.service)}


def test_processes_have_no_privilege_and_cannot_gain_one(view):
    """SEC-47."""
    status = view["status"]
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    for capabilities in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0


def test_exposure_of_the_sandbox(host, viewer):
    report = host.check_output("systemd-analyze security --no-pager %s", viewer.service)
    exposure = re.search(r"exposure level for .*: ([0-9.]+)", report)
    assert float(exposure[1]) <= 1.5


@pytest.mark.parametrize("place", ["sites", "state", "logs"])
def test_site_sees_no_other_site(view, viewer, place):
    assert view["listings"][place] == [viewer.name]


@pytest.mark.parametrize("place", ["home", "root", "config", "sessions"])
def test_site_sees_no_place_of_others(view, place):
    assert view["listings"][place] == []


def test_site_reads_nothing_of_its_neighbours(view):
    assert view["neighbour"] == []


def test_site_sees_its_own_processes_alone(view, host, viewer):
    """SEC-45."""
    assert set(view["processes"].values()) == {host.user(viewer.name).uid}


def test_site_does_not_see_the_sockets_of_the_host(view):
    assert view["network"] is False


def test_site_cannot_connect_to_its_neighbour(view):
    assert view["refusal"] == "Permission denied"


def test_site_writes_nowhere_but_to_its_own_tree(view):
    assert view["written"] == []


def test_opcache_is_of_the_site_alone(view, viewer):
    """SEC-07: a shared one gives away the neighbours' code."""
    assert f"{viewer.root}/cached.php" in view["scripts"]
    assert [path for path in view["scripts"] if not path.startswith(f"{viewer.root}/")] == []


def test_temporary_files_are_private(view, host, beta):
    for directory in ("/tmp", "/var/tmp", "/dev/shm"):
        assert not host.file(f"{directory}/of-a-site").exists
    assert beta.run("echo json_encode(glob('{/tmp,/var/tmp,/dev/shm}/*', GLOB_BRACE));").json == []


def test_uploads_and_sessions_lie_in_private_directories(alpha, beta, cgi, as_user):
    """SEC-38."""
    code = "session_id('chosen'); session_start(); $_SESSION['x'] = 1; session_write_close();"
    for site in (alpha, beta, cgi):
        assert site.run(code).status == 200
        assert as_user(site.name, f"ls /var/lib/fastcgi/{site.name}/sessions").stdout == "sess_chosen\n"
    directories = alpha.run("echo json_encode([sys_get_temp_dir(), ini_get('upload_tmp_dir')]);").json
    assert set(directories) == {"/var/lib/fastcgi/alpha/tmp"}
    assert as_user("beta", "ls /var/lib/fastcgi/alpha/tmp").rc != 0


@pytest.mark.parametrize(
    ("name", "directory", "writable"),
    [
        ("alpha", "/var/www/sites/alpha", True),
        ("stranger", "/srv/stranger/data", True),
        # made by somebody else: theirs to write to, not PHP's
        ("stranger", "/srv/stranger/htdocs", False),
        ("stranger", "/srv/stranger", False),
        # unless they say so
        ("host", "/srv/host/htdocs", True),
        ("cgi", "/var/www/sites/cgi", True),
    ],
)
def test_where_php_may_write(site, name, directory, writable):
    code = f"echo json_encode(@file_put_contents('{directory}/made-by-php', 'x'));"
    assert site(name).run(code).json == (1 if writable else False)
    assert site(name).host.file(f"{directory}/made-by-php").exists is writable


@pytest.fixture(scope="module")
def made(viewer):
    """What PHP of a site makes: for visitors, and for nobody but itself."""
    code = """
    $above = __DIR__ . '/' . uniqid('made');
    $done = [mkdir($above), mkdir("$above/deep", fileperms($above) & 07777), @mkdir("$above/group", 02755)];
    file_put_contents($served = "$above/deep/page.html", 'a page');
    session_id('chosen');
    session_start();
    $_SESSION['x'] = 1;
    $kept = [session_save_path() . '/sess_chosen', sys_get_temp_dir() . '/kept'];
    file_put_contents($kept[1], 'x');
    error_log('a word');
    echo json_encode(['done' => $done, 'served' => $served, 'kept' => [...$kept, ini_get('error_log')]]);
    """
    return viewer.run(code).json


def test_what_php_makes_in_the_document_root_is_for_apache_to_read(made, as_user):
    """Also where a directory has the mode of the one above; the bit for the group is refused (SEC-47)."""
    assert made["done"] == [True, True, False]
    assert as_user("www-data", f"cat {made['served']}").stdout == "a page"
    assert "Permission denied" in as_user("beta", f"cat {made['served']}").stderr


def test_what_php_keeps_elsewhere_is_for_nobody_else(made, as_user, viewer):
    for path in made["kept"]:
        assert as_user(viewer.name, f"cat {path}").rc == 0
        for other in ("beta", "www-data"):
            assert "Permission denied" in as_user(other, f"cat {path}").stderr


def test_settings_of_the_operator_are_locked(viewer):
    """SEC-40."""
    code = "echo json_encode([ini_set('error_log', '/tmp/x'), ini_set('session.save_path', '/tmp')]);"
    assert viewer.run(code).json == [False, False]


def test_php_cgi_has_no_hold_on_signals(cgi):
    """TMO-31: a script could outlive its end otherwise."""
    assert cgi.run("echo json_encode(function_exists('pcntl_signal'));").json is False
