#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what no formatter does, in the files that git knows: lines of at most 100 columns, a
licence in the head of each file, and a comment on each public declaration in Swift.

What is not there yet is counted by target in lint-limits.json, and may only fall: `lint.py --lower`
writes the counts of today where they are lower. `lint.py --licence` adds the heads.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMITS = ROOT / "scripts" / "lint-limits.json"
COLUMNS = 100
SOURCES = {".swift", ".c", ".h", ".inc", ".def", ".cpp", ".py", ".sh"}
LICENCE = "SPDX-License-Identifier: Apache-2.0"
DECLARATION = re.compile(
    r"\s*(?:@\w+(?:\([^)]*\))?\s+)*public (?:(?:static|final|mutating|indirect|convenience"
    r"|override|nonisolated|borrowing|consuming|class|unsafe|(?:private|package|internal)\(set\))"
    r"\s+)*"
    r"(?:let|var|func|init|subscript|struct|enum|class|actor|protocol|typealias|associatedtype)\b")


# Declarations that the standard library documents.
INHERITED = {
    "description", "==", "<", "hash", "encode", "init(from decoder", "init(arrayLiteral",
    "allCases", "init(integerLiter",
}


def sources():
    """Text files with code, as paths from the root; generated ones are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
        capture_output=True, text=True).stdout.splitlines()
    for name in listed:
        path = ROOT / name
        if path.suffix not in SOURCES or name.endswith(".pb.swift") or not path.is_file():
            continue
        if not path.is_symlink():
            yield name


def name_of(line):
    """What a line declares: `infer`, `shape`, or `init(_ node: Node` for initialisers."""
    match = re.search(
        r"\b(?:let|var|func|subscript|struct|enum|class|actor|protocol|typealias|associatedtype)"
        r" +(`?\w+`?|\S+)|\b(init)\??(?:<[^>]*>)?\((.{0,12})", line)
    return (match[1] or f"init({match[3]}").strip("`") if match else None


def requirements(files):
    """What protocols ask for: the comment stands there, not at each of those that conform."""
    names = set(INHERITED)
    for lines in files:
        inside = False
        for line in lines:
            if re.match(r"(public|package) protocol ", line):
                inside = True
            elif line.startswith("}"):
                inside = False
            elif inside and re.match(r"  (static |mutating )?(func|var|init)\b", line):
                names.add(name_of(line))
    return names


def undocumented(lines, inherited):
    """The numbers of lines that declare something public without a comment before them."""
    result = []
    for number, line in enumerate(lines):
        if not DECLARATION.match(line) or line.startswith(" ") and name_of(line) in inherited:
            continue
        before = number - 1
        # Attributes stand between a comment and its declaration, and may take several lines.
        while before >= 0 and re.match(r"\s*(@|#if\b|\)$)", lines[before]):
            before -= 1
        if before < 0 or not re.match(r"\s*(///|\*/)", lines[before]):
            result.append(number + 1)
    return result


def group(name):
    """The target of a file, `Sources/SwiftletCore`, or the folder that it lies in."""
    return "/".join(name.split("/")[:2]) if "/" in name else name


def add_licences(files):
    """Puts the licence into the first line that may hold it: shebangs and SwiftPM's come before."""
    for name, lines in files.items():
        if any(LICENCE in line for line in lines[:3]):
            continue
        first = int(bool(lines) and lines[0].startswith(("#!", "// swift-tools-version")))
        suffix = pathlib.Path(name).suffix
        head = {".swift": f"// {LICENCE}", ".py": f"# {LICENCE}", ".sh": f"# {LICENCE}"}.get(
            suffix, f"/* {LICENCE} */")
        blank = [""] if first == 0 and suffix != ".py" else []
        text = "\n".join(lines[:first] + [head] + blank + lines[first:]) + "\n"
        (ROOT / name).write_text(text, encoding="utf-8")


def main():
    counts = {"longLines": {}, "undocumented": {}, "withoutLicence": {}}
    places = {kind: {} for kind in counts}

    def add(kind, name, number):
        counts[kind][group(name)] = counts[kind].get(group(name), 0) + 1
        places[kind].setdefault(group(name), []).append(f"{name}:{number}")

    files = {name: (ROOT / name).read_text(encoding="utf-8").splitlines() for name in sources()}
    if "--licence" in sys.argv[1:]:
        add_licences(files)
        return 0
    library = [name for name in files if name.startswith("Sources/") and name.endswith(".swift")]
    inherited = requirements(files[name] for name in library)
    for name, lines in files.items():
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS:
                add("longLines", name, number)
        if not any(LICENCE in line for line in lines[:3]):
            add("withoutLicence", name, 1)
        # What C calls is documented in swiftlet.h.
        if name in library and not name.startswith("Sources/SwiftletC/"):
            for number in undocumented(lines, inherited):
                add("undocumented", name, number)

    limits = json.loads(LIMITS.read_text()) if LIMITS.exists() else counts
    what = {
        "longLines": f"lines of more than {COLUMNS} columns",
        "undocumented": "public declarations without a comment",
        "withoutLicence": f"files without '{LICENCE}' in their first three lines",
    }
    failed = False
    for kind, found in counts.items():
        for place in sorted(found):
            limit = limits[kind].get(place, 0)
            if found[place] > limit:
                failed = True
                print(f"{place}: {found[place]} {what[kind]}, at most {limit} are allowed:")
                print("".join(f"  {line}\n" for line in places[kind][place]), end="")
        for place, limit in sorted(limits[kind].items()):
            if found.get(place, 0) < limit:
                print(f"{place}: {found.get(place, 0)} {what[kind]}; the limit of {limit} can be "
                      "lowered: scripts/lint.py --lower")
    if "--lower" in sys.argv[1:]:
        lowered = {
            kind: {
                place: min(count, limits[kind].get(place, 0))
                for place, count in sorted(found.items()) if limits[kind].get(place, 0) > 0
            }
            for kind, found in counts.items()
        }
        LIMITS.write_text(json.dumps(lowered, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
