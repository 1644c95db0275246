"""Ask for scripts again and again until told to stop by SIGTERM; then say as JSON what became of it.

usage: clients SOCKET SCRIPT [SOCKET SCRIPT]...

One client for each pair. A request is one connection; what did not answer 200 is told word for word.
"""

import importlib.util
import json
import signal
import socket
import sys
import threading
import time

spec = importlib.util.spec_from_file_location("fastcgi_request", "/usr/local/lib/fastcgi-request.py")
fastcgi = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fastcgi)

done = threading.Event()


def asked(path, script):
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(60)
            server.connect(path)
            server.sendall(fastcgi.request(script))
            output, errors, ended = fastcgi.response(server.makefile("rb"))
    except OSError as error:
        return f"{error}"
    if not ended or output.startswith(b"Status:"):
        return f"ended {ended}: {output!r} {errors!r}"
    return ""


def client(path, script, results):
    while not done.is_set():
        started = time.time()
        wrong = asked(path, script)
        seconds = time.time() - started
        results["requests"] += 1
        results["slowest"] = max(results["slowest"], seconds)
        if wrong:
            results["failed"].append(f"{started:.2f} +{seconds:.2f} {wrong}")
        time.sleep(0.05)


signal.signal(signal.SIGTERM, lambda *_: done.set())
results = {path: {"requests": 0, "slowest": 0, "failed": []} for path in sys.argv[1::2]}
pairs = zip(sys.argv[1::2], sys.argv[2::2])
threads = [threading.Thread(target=client, args=(path, script, results[path])) for path, script in pairs]
for thread in threads:
    thread.start()
done.wait()
for thread in threads:
    thread.join()
print(json.dumps(results))
