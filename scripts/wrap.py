#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wraps comments in Swift and shell that have a line of over 100 columns; `make format` runs it.

Paragraphs and items of lists are wrapped as a whole. Tables, headings and code in comments stay.

usage: wrap.py FILE…
"""

import pathlib
import re
import sys
import textwrap

COLUMNS = 100
COMMENTS = {".swift": re.compile(r"(\s*)(///|//)(?: (.*))?$"),
            ".sh": re.compile(r"(\s*)(#) (.*)$")}
ITEM = re.compile(r"(\s*)(?:[-*]|\d+\.) ")


def is_text(body, item=None):
    """Whether a comment's line belongs to a paragraph, or to an item of a list."""
    if item and body and body.startswith(" " * len(item[0])):
        body = body[len(item[0]):]
    return bool(body and body.strip()) and not (
        body.startswith(("|", "#", "    ", "MARK")) or "```" in body)


def wrapped(block, head):
    """The lines of one paragraph or item of a list, whose comment begins with `head`."""
    item = ITEM.match(block[0])
    lead = item[0] if item else block[0][:len(block[0]) - len(block[0].lstrip())]
    text = " ".join([block[0][len(lead):].strip()] + [line.strip() for line in block[1:]])
    return textwrap.wrap(
        text, COLUMNS, initial_indent=f"{head} {lead}",
        subsequent_indent=f"{head} {' ' * len(lead)}", break_long_words=False,
        break_on_hyphens=False)


def wrap(lines, comment):
    """The lines with what is too long wrapped."""
    result = []
    index = 0
    while index < len(lines):
        match = comment.match(lines[index])
        if not match or not is_text(match[3]):
            result.append(lines[index])
            index += 1
            continue
        head = match[1] + match[2]
        block = [match[3]]
        item = ITEM.match(block[0])
        end = index + 1
        while end < len(lines):
            more = comment.match(lines[end])
            if not more or more[1] + more[2] != head or not is_text(more[3], item):
                break
            if ITEM.match(more[3]):
                break
            block.append(more[3])
            end += 1
        old = lines[index:end]
        result += wrapped(block, head) if any(len(line) > COLUMNS for line in old) else old
        index = end
    return result


def main():
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        if path.is_symlink() or path.suffix not in COMMENTS or name.endswith(".pb.swift"):
            continue
        text = path.read_text(encoding="utf-8")
        new = "\n".join(wrap(text.split("\n"), COMMENTS[path.suffix]))
        if new != text:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
