#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists retired words in documentation, help, messages and comments, and fails if there are any.
`scripts/lint.sh` runs it.

usage: scripts/retired-words.py [FILE…]
default: the tracked files of the project, except the changelog and the tests

Prints FILE:LINE: 'WORD', write INSTEAD: TEXT. Of source files, only comments and string literals
are checked.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Regular expressions, and what to write instead.
RETIRED = {
    r"mend(?:s|ed|ing)?\b": "fix, remedy",
    r"behind\b": "after",
    r"so many\b": "this many, the given number of",
    r"anew\b": "again, re-",
    r"(?<!there )(?:is|are|was|were) no (?!longer|such|more|less|better|worse|faster|slower|larger"
    r"|smaller|later|newer|older)(?=\w|['`])": "is not a, are not",
    r"for ever\b": "forever",
    r"foretells?\b": "predict",
    r"the very (?!first|last)": "the same, exact",
    r"what (?:became|becomes) of\b": "the result of",
    r"how sure\b": "confidence level",
    r"(?:same )?first choices?\b": "top-1 class",
    r"(?:tells?|told) (?:\w+ )?apart\b": "distinguish",
    r"that which\b": "what, the one that",
    r"the ways to\b": "methods",
    r"(?:hands?|handed|handing) on\b": "pass on, support",
    r"useful (?:is|are)\b": "include",
    r"a (?:interpreter|operator|option|error|image|input|output)\b": "an",
    r"all that (?:was|is) \w+ed\b": "all of the output",
    r"(?:squares?|it|they|middle) (?:is|are) cut out\b": "cropped",
    r"cut out of the middle\b": "center crop",
    r"wrong accepts?\b": "damaged files that are accepted",
    r"name each lie\b": "list damaged files",
    r"outside of (?:its|their) place\b": "outside the intended location",
    r"there is no memory to\b": "not enough memory",
    r"longer than all\b": "exceeds",
    r"gives equals\b": "is identical to",
    r"makes? no sense\b": "is invalid",
    r"planned ahead\b": "analyzed before a run",
    r"takes no '": "has no setting",
}
FOLDERS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "Package.swift", "docs",
           "CShims", "Sources", "examples", "Packaging", "python", "Benchmarks", "scripts", ".ci"]
SLASHES = {".swift", ".h", ".c", ".cpp", ".inc", ".def"}
HASHES = {".py", ".sh", ".in", ".toml", ".cmake"}
GENERATED = {"onnx.pb.swift"}

STRING = r'"(?:[^"\\]|\\.)*"'
INTERPOLATION = re.compile(r"\\\([^()]*(?:\([^()]*\)[^()]*)*\)")
TOKENS = {
    "slashes": re.compile(rf'/\*.*?\*/|//[^\n]*|""".*?"""|{STRING}', re.S),
    "hashes": re.compile(rf"#[^\n]*|\"\"\".*?\"\"\"|{STRING}|'(?:[^'\\\n]|\\.)*'", re.S),
}


def prose(path: pathlib.Path, text: str):
    """The comments and string literals of a source file, the whole text of others, with offsets."""
    kind = "slashes" if path.suffix in SLASHES else (
        "hashes" if path.suffix in HASHES or path.name == "Makefile" else None)
    if kind is None:
        return [(0, text)]
    pieces = ((token.start(), token.group()) for token in TOKENS[kind].finditer(text))
    # Interpolated code counts as code.
    return [(start, INTERPOLATION.sub(lambda match: " " * len(match.group()), piece))
            for start, piece in pieces]


def tracked():
    names = subprocess.run(["git", "ls-files", "-z", "--", *FOLDERS], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split("\0")
    this = pathlib.Path(__file__).resolve()
    for name in filter(None, names):
        path = ROOT / name
        known = path.suffix in SLASHES | HASHES | {".md"} or path.name in ("Makefile", "run")
        if known and path.name not in GENERATED and path.is_file() and not path.is_symlink() \
                and path.resolve() != this:
            yield path


def main() -> int:
    pattern = re.compile(r"\b(?:" + "|".join(f"(?P<w{index}>{word})" for index, word in
                                             enumerate(RETIRED)) + ")", re.I)
    instead = list(RETIRED.values())
    found = 0
    for path in map(pathlib.Path, sys.argv[1:]) if len(sys.argv) > 1 else tracked():
        text = path.read_text(errors="replace")
        lines = text.split("\n")
        for start, piece in prose(path, text):
            for match in pattern.finditer(piece):
                found += 1
                line = text.count("\n", 0, start + match.start()) + 1
                whole = path.resolve()
                shown = whole.relative_to(ROOT) if whole.is_relative_to(ROOT) else path
                print(f"{shown}:{line}: '{' '.join(match.group().split())}', write "
                      f"{instead[int(match.lastgroup[1:])]}: {lines[line - 1].strip()[:120]}")
    if found:
        print(f"{found} retired words", file=sys.stderr)
    return 1 if found else 0


sys.exit(main())
