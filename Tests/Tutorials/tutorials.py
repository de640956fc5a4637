# SPDX-License-Identifier: Apache-2.0
"""Runs the tutorials of docs/ as a reader would: their shell commands, in order, in a folder that
has small models and pictures in place of the ones that readers download.

Blocks of `sh` are run. A block of `text` shows what the commands before it print: each of its lines
must be printed, whatever the numbers; `…` stands for anything. Other blocks are not run.

usage: tutorials.py SWIFTLET [TUTORIAL…]
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import standins

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
NUMBER = r"[-−+]?\d[\d.,]*(?:e[-+]?\d+)?"
SECONDS = 120


def pattern(line):
    """What a line that was shown has to match: other numbers, other spaces between columns."""
    words = []
    for word in line.split():
        parts = re.split(f"({NUMBER}|…)", word)
        words.append("".join(
            ".*" if part == "…" else NUMBER if re.fullmatch(NUMBER, part) else re.escape(part)
            for part in parts))
    return re.compile(r"\s+".join(words))


def run(path, swiftlet):
    """Runs one tutorial; returns what went wrong."""
    text = path.read_text(encoding="utf-8")
    environment = {**os.environ, "PATH": f"{swiftlet.parent}:{os.environ['PATH']}"}
    printed, ran = "", 0
    with tempfile.TemporaryDirectory(prefix="swiftlet-tutorial-") as folder:
        standins.TUTORIALS[path.stem](folder)
        environment["XDG_CACHE_HOME"] = f"{folder}/.cache"
        for kind, content in BLOCK.findall(text):
            if kind == "sh":
                done = subprocess.run(
                    ["sh", "-euc", content], cwd=folder, env=environment, text=True, check=False,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    timeout=SECONDS)
                printed, ran = done.stdout, ran + 1
                if done.returncode:
                    return f"exit code {done.returncode} of\n{content}{printed}"
            elif kind == "text":
                for line in filter(str.strip, content.splitlines()):
                    wanted = pattern(line.strip())
                    if not any(wanted.fullmatch(shown.strip()) for shown in printed.splitlines()):
                        return f"'{line}' is shown, but what is printed is\n{printed}"
    return None if ran else "there are no blocks of sh"


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    swiftlet, chosen = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    found = {path.stem: path for path in sorted(DOCS.glob("tutorial-*.md"))}
    names = [f"tutorial-{name}" for name in chosen] or list(found)
    unknown = set(names) - set(found) or set(found) ^ set(standins.TUTORIALS)
    if unknown:
        sys.exit(f"{min(unknown)}: needs both docs/{min(unknown)}.md and a function in standins.py")
    failures = 0
    for name in names:
        start = time.monotonic()
        problem = run(found[name], swiftlet)
        failures += problem is not None
        verdict = problem or f"ok, {time.monotonic() - start:.0f} s"
        print(f"{name}: {verdict}", flush=True)
    sys.exit(1 if failures else 0)


main()
