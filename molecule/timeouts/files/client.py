"""Every script at every site; then what became of each request, as JSON.

The one argument is JSON: a list of sites, each with its `site`, `port`, `scripts` and `trials`. Sites do not
wait for each other, but only one script is busy at a time: PHP counts processor time.
"""

import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SITES = Path("/var/www/sites")
LOGS = ("/var/log/php-masters", "/var/log/apache2", "/var/log/php8.2-fpm.log", "/var/log/fastcgi")
PATIENCE = 45
WATCHED = 20
"""Seconds for which a worker is watched after its client has the answer."""
AT_ONCE, PIECE, PIECES, PAUSE = 20_000, 2_000, 16, 0.5
"""An upload: bytes that come at once, and those that come bit by bit."""
PROCESSOR = threading.Semaphore()
NUMBERS = itertools.count()


def request(site, script, trial="", answered=None, unique=""):
    """One request, and for how long its worker is at work when the client has its answer."""
    unique = unique or uuid.uuid4().hex
    seen = {"site": site["site"], "script": script, "trial": trial, "id": unique}
    number = next(NUMBERS)
    # An address for each request, by which Apache's logs tell of this one alone.
    address = f"127.1.{number // 250}.{number % 250 + 1}"
    connection = http.client.HTTPConnection(
        "127.0.0.1", site.get("port", 80), timeout=PATIENCE, source_address=(address, 0)
    )
    connection.connect()
    seen["client"] = "{}:{}".format(*connection.sock.getsockname())
    started = time.monotonic()
    try:
        ask(connection, site["site"], f"/{script}.php?id={unique}", script == "upload")
        response = connection.getresponse()
        seen["status"] = response.status
        seen["whole"] = response.read().endswith(b"done")
    except (OSError, http.client.HTTPException) as error:
        seen.setdefault("status", 0)
        seen.update(whole=False, error=repr(error))
    seen["seconds"] = round(time.monotonic() - started, 2)
    connection.close()
    if answered:
        answered.release()
    mark = SITES / site["site"] / "marks" / unique
    seen["left"] = seconds_at_work(mark)
    seen["pid"] = worker(mark)
    return seen


def ask(connection, name, url, uploads):
    connection.putrequest("POST" if uploads else "GET", url, skip_host=True)
    connection.putheader("Host", f"{name}.test")
    connection.putheader("Connection", "close")
    if uploads:
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", str(AT_ONCE + PIECE * PIECES))
    connection.endheaders()
    if uploads:
        threading.Thread(target=upload, args=(connection.sock,), daemon=True).start()


def upload(connection):
    try:
        connection.sendall(b"x" * AT_ONCE)
        for _piece in range(PIECES):
            time.sleep(PAUSE)
            connection.sendall(b"x" * PIECE)
    except OSError:
        pass  # the answer came before the end of the question


def worker(mark):
    """The process that ran the script; 0 where none has begun to."""
    begun = mark.with_suffix(".begun")
    return int(begun.read_text() or 0) if begun.exists() else 0


def seconds_at_work(mark):
    """For how long from now on a script goes on."""
    since = time.monotonic()
    while time.monotonic() < since + WATCHED:
        pid = worker(mark)
        if not pid or mark.with_suffix(".ended").exists() or gone(pid):
            break
        time.sleep(0.05)
    return round(time.monotonic() - since, 2)


def gone(pid):
    """Whether a process has ended; it may not have been waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def processor_time(pid):
    """Seconds of processor time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


def busy(site, script):
    """A request that takes the processor, and how much of it the worker got."""
    with PROCESSOR, ThreadPoolExecutor(1) as thread:
        unique, answered = uuid.uuid4().hex, threading.Semaphore(0)
        running = thread.submit(request, site, script, answered=answered, unique=unique)
        mark, before, latest = SITES / site["site"] / "marks" / unique, None, 0.0
        while not answered.acquire(timeout=0.05):
            try:
                latest = processor_time(worker(mark))
            except (OSError, IndexError):
                continue
            before = latest if before is None else before
        return {**running.result(), "processor": round(latest - (before or 0), 2)}


def scripts(site):
    """Each script once; one that waits may start at several moments, to meet the heartbeat at all of them."""
    with ThreadPoolExecutor(16) as threads:
        running = []
        for script in site["scripts"]:
            takes_processor = script in ("busy", "limitless")
            running.append(threads.submit(busy if takes_processor else request, site, script))
        for _again in range(site.get("phases", 1) - 1):
            time.sleep(site["phase"])
            running.append(threads.submit(request, site, "sleep"))
        return [each.result() for each in running]


def crowd(site, number):
    """So many sleeping scripts, and when all clients have their answers one that is quick."""
    answered = threading.Semaphore(0)
    with ThreadPoolExecutor(number + 1) as threads:
        running = [threads.submit(request, site, "sleep", "crowd", answered) for _ in range(number)]
        for _each in running:
            answered.acquire()
        time.sleep(0.3)
        running.append(threads.submit(request, site, "quick", "after the crowd"))
        return [each.result() for each in running]


def rush(site, number):
    """So many quick scripts at once."""
    with ThreadPoolExecutor(number) as threads:
        running = [threads.submit(request, site, "quick", "rush") for _ in range(number)]
        return [each.result() for each in running]


def queue(site, number):
    """So many sleeping scripts at once."""
    with ThreadPoolExecutor(number) as threads:
        running = [threads.submit(request, site, "sleep", "queue") for _ in range(number)]
        return [each.result() for each in running]


def pause(site, seconds):
    """A quick script, nothing for a while, and another one."""
    seen = request(site, "quick", "before the pause")
    time.sleep(seconds)
    return [seen, request(site, "quick", "after the pause")]


def row(site, number):
    """Quick scripts one after the other."""
    return [request(site, "quick", "row") for _ in range(number)]


TRIALS = {"crowd": crowd, "queue": queue, "rush": rush, "pause": pause, "row": row}


def all_of(site):
    seen = scripts(site)
    for name, argument in site.get("trials", {}).items():
        seen += TRIALS[name](site, argument)
    return seen


def log_lines():
    """What all daemons have logged."""
    files = [path for log in map(Path, LOGS) for path in ([log] if log.is_file() else log.glob("**/*.log"))]
    lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
    journal = subprocess.run(
        ["journalctl", "--no-pager", "--output=cat"], stdout=subprocess.PIPE, text=True, check=True
    )
    return lines + journal.stdout.splitlines()


def who_ended(seen, lines):
    """Who ended a request by the logs, and the line that says so."""
    script = f"/{seen['site']}/{seen['script']}.php"
    idle = seen["trial"] == "after the pause"
    traces = {
        "apache": lambda line: (
            f"[client {seen['client']}]" in line
            and re.search(
                "The timeout specified has expired|read data timeout|error (reading|writing) data", line
            )
        ),
        "fpm": lambda line: (
            "execution timed out" in line
            and (seen["id"] in line or (idle and f"[pool {seen['site']}]" in line and "script ''" in line))
        ),
        "php": lambda line: "Maximum execution time" in line and script in line,
    }
    # In a burst of lines syslog may lose the one that says why; then the one about the worker's end is left.
    ended = f"[pool {seen['site']}] child {seen['pid']} exited on signal 15"
    for name, trace in (*traces.items(), ("fpm", lambda line: seen["status"] == 503 and ended in line)):
        for line in lines:
            if trace(line):
                return name, line
    return "script", ""


def main():
    sites = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(sites)) as threads:
        seen = [each for of_site in threads.map(all_of, sites) for each in of_site]
    lines = log_lines()
    for each in seen:
        each["who"], each["line"] = who_ended(each, lines)
    json.dump(seen, sys.stdout, indent=1)


main()
