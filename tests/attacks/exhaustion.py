"""Take what all sites need: workers, processes, memory (C02, C03, C05, C06)."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import time

from .ground import (
    LIMITS,
    SHARE,
    WITH_SOCKET,
    Ground,
    Outcome,
    attack,
    because,
    not_tried,
    stopped,
    succeeded,
)

CONNECTIONS = 250
"""More than Apache has workers."""

PATIENCE = 4


def controllers() -> list[str]:
    """What systemd can bound for a unit on this host."""
    return pathlib.Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()


@attack("exhaustion: all workers of Apache wait for one site", "TMO-10, CAP-01, CAP-12, C02")
def workers(ground: Ground) -> Outcome:
    """More requests than Apache has workers, to a script that sleeps; the victim has visitors meanwhile."""
    code = """<?php
    for ($n = 0; $n < 400 && !file_exists(__DIR__ . '/enough'); $n++) {
        clearstatcache();
        usleep(100000);
    }"""
    name = ground.upload({"sleep.php": code})
    request = f"GET /{name}/sleep.php HTTP/1.1\r\nHost: {ground.attacker.host}\r\nConnection: close\r\n\r\n"
    connections = []
    try:
        for _ in range(CONNECTIONS):
            connections.append(
                socket.create_connection(("127.0.0.1", ground.attacker.port), timeout=PATIENCE)
            )
            connections[-1].sendall(request.encode())
        # where each connection has a process, these are made one after another
        time.sleep(18 if ground.engine == "mpm_itk" else 1)
        told = []
        for path in ("/style.css", "/whoami.php"):
            started = time.monotonic()
            try:
                answer = ground.request(ground.victim, path, patience=PATIENCE)
            except OSError as silence:
                return succeeded(f"{path} of the victim: {silence} after {time.monotonic() - started:.1f} s")
            told.append(f"{path} {answer.status} after {time.monotonic() - started:.2f} s")
            if answer.status != 200:
                return succeeded(told)
        return stopped(SHARE, told)
    finally:
        with ground.account(ground.attacker.user):
            pathlib.Path(f"{ground.attacker.root}/{name}/enough").touch()
        for connection in connections:
            connection.settimeout(PATIENCE)
            with contextlib.suppress(OSError):
                while connection.recv(65536):
                    pass
            connection.close()


@attack("exhaustion: processes (fork bomb)", "C06, CAP-14")
def processes(ground: Ground) -> Outcome:
    """More than `limits.tasks_max`, for which systemd takes a controller of the cgroups."""
    if ground.engine in WITH_SOCKET and "pids" not in controllers():
        return not_tried("the controller of processes (pids) is not in this host's cgroups")
    answer = ground.php("""
    for ($number = 0; $number < 600; $number++) {
        $held[] = $one = @proc_open(['sleep', '5'], [], $pipes);
        if (!$one) break;
    }
    echo $number;
    """)
    if answer.body == "600":
        return succeeded(answer.body)
    return because(answer.body.isdigit() and int(answer.body) > 0, LIMITS, answer)


@attack("exhaustion: memory beyond limits.memory_max", "C05, CAP-02", engines=WITH_SOCKET)
def memory(ground: Ground) -> Outcome:
    """By programs that PHP starts, for which its own memory_limit is not."""
    if "memory" not in controllers():
        return not_tried("the controller of memory is not in this host's cgroups")
    answer = ground.php("""
    $code = 'import time; x = bytearray(48 << 20); time.sleep(3); print("held")';
    for ($number = 0; $number < 8; $number++) {
        $held[] = proc_open(['python3', '-c', $code],
                            [1 => ['pipe', 'w']], $pipes[]);
    }
    foreach ($pipes as $each) echo trim(stream_get_contents($each[1]));
    """)
    return succeeded(answer.body) if answer.body.count("held") == 8 else stopped(LIMITS, answer.body)
