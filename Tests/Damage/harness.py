# SPDX-License-Identifier: Apache-2.0
"""Runs the command on one damaged file after the other, within limits, and judges how it ends."""

import collections
import os
import resource
import shutil
import signal
import tempfile
import threading
import time

ADDRESS_SPACE = 4 << 30
SECONDS = 10
PEAK_BYTES = 512 << 20
REFUSED, ACCEPTED, EITHER = "refused", "accepted", "either"
SECRET = b"the-secret-that-must-not-leak"
KINDS = ["crash", "hang", "over-memory", "escape", "wrong refusal", "wrong accept", "noisy"]


class Case:
    """Files to write into a folder, arguments of the command there, and what has to happen."""

    def __init__(self, name, files, arguments, expected, prepare=None):
        self.name, self.files, self.arguments = name, files, arguments
        self.expected, self.prepare = expected, prepare


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def start(command, folder, output, errors):
    child = os.fork()
    if child:
        return child
    try:
        limit()
        os.chdir(folder)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        os.execv(command[0], command)
    finally:
        os._exit(127)


def is_noisy(code, output, errors):
    """Whether a refusal is more than one line of 400 characters without control characters."""
    if code == 0:
        return b"swiftlet: error" in errors
    try:
        text = errors.decode()
    except UnicodeDecodeError:
        return True
    lines = text.splitlines()
    return (
        bool(output) or len(lines) != 1 or len(lines[0]) > 400
        or not lines[0].startswith("swiftlet: error: ")
        or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in lines[0]))


def run(swiftlet, case):
    """(kinds of failure, exit code, seconds, peak bytes, the error line)."""
    top = tempfile.mkdtemp(prefix="damage-")
    try:
        folder = f"{top}/work"
        os.mkdir(folder)
        with open(f"{top}/secret", "wb") as file:
            file.write(SECRET)
        for name, data in case.files.items():
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            with open(f"{folder}/{name}", "wb") as file:
                file.write(data)
        if case.prepare:
            case.prepare(folder)
        before = set(os.listdir(top))
        with open(f"{top}/.stdout", "w+b") as output, open(f"{top}/.stderr", "w+b") as errors:
            began = time.monotonic()
            child = start([swiftlet] + case.arguments, folder, output.fileno(), errors.fileno())
            # Seconds of the processor count; on a busy machine more time passes.
            timer = threading.Timer(6 * SECONDS, lambda: os.kill(child, signal.SIGKILL))
            timer.start()
            _, status, usage = os.wait4(child, 0)
            timer.cancel()
            passed = time.monotonic() - began
            seconds = usage.ru_utime + usage.ru_stime
            output.seek(0)
            errors.seek(0)
            output, errors = output.read(), errors.read()
        kinds = []
        code = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * 1024
        if seconds >= SECONDS or passed >= 6 * SECONDS:
            kinds.append("hang")
        elif code not in (0, 2, 3, 64):
            kinds.append("crash")
        if peak > PEAK_BYTES:
            kinds.append("over-memory")
        if leaks(top, folder, before, output + errors):
            kinds.append("escape")
        if not kinds:
            if code != 0 and case.expected == ACCEPTED:
                kinds.append("wrong refusal")
            if code == 0 and case.expected == REFUSED:
                kinds.append("wrong accept")
            if is_noisy(code, output, errors):
                kinds.append("noisy")
        return kinds, code, seconds, peak, errors.decode(errors="replace").strip()
    finally:
        shutil.rmtree(top)


def leaks(top, folder, before, text):
    """Whether something was written outside of the folder, or the secret was read."""
    if SECRET in text or set(os.listdir(top)) - before - {".stdout", ".stderr"}:
        return True
    with open(f"{top}/secret", "rb") as file:
        if file.read() != SECRET:
            return True
    for place, _, names in os.walk(f"{folder}/out"):
        for name in names:
            with open(f"{place}/{name}", "rb") as file:
                if SECRET[:16] in file.read():
                    return True
    return False


def judge(swiftlet, cases, verbose=False):
    """Runs all cases, prints what fails, and counts by kind."""
    counts = collections.Counter()
    slowest = largest = (0, "")
    for case in cases:
        kinds, code, seconds, peak, line = run(swiftlet, case)
        counts["cases"] += 1
        counts["accepted" if code == 0 else "refused"] += 1
        counts.update(kinds)
        slowest, largest = max(slowest, (seconds, case.name)), max(largest, (peak, case.name))
        if kinds or verbose:
            verdict = ", ".join(kinds) or "ok"
            print(f"{verdict}: {case.name}: exit {code}, {seconds:.2f} s, {peak >> 20} MB: {line}", flush=True)
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}), largest {largest[0] >> 20} MB ({largest[1]})")
    return counts
