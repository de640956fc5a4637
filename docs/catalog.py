#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the DocC catalog of the module Swiftlet: its own pages, the essays of docs/ as articles,
the steps of the tutorials, and an article with the programs of examples/SwiftPackage/Sources/Tour.
Each of them has one source in the repository, of which DocC needs another form.

usage: catalog.py CATALOG.docc     the folder to write; what it contained is removed
"""

import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "examples" / "SwiftPackage" / "Sources"
TUTORIALS = ("RunAModel", "MakeAModelSmaller")
HEAD = re.compile(r"\A(?://[^\n]*SPDX[^\n]*\n\s*)")
STEP = re.compile(r"^// (\d+)\. ", re.M)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def heading(page: str, anchor: str) -> str:
    """The heading of docs/PAGE.md with an anchor, as DocC links to it."""
    for title in re.findall(r"^#+ (.*)$", (DOCS / f"{page}.md").read_text(), re.M):
        if slug(title) == anchor:
            return title.replace(" ", "-")
    sys.exit(f"docs/{page}.md: no heading has the anchor #{anchor}: correct the link to it")


def article(source: pathlib.Path, catalog: pathlib.Path) -> str:
    """An essay with the links of DocC; pictures are copied."""
    name = source.relative_to(ROOT)

    def link(match: re.Match) -> str:
        picture, text, target = match.groups()
        if ":" in target:
            return match[0]
        path, _, anchor = target.partition("#")
        file = (source.parent / path).resolve() if path else source
        if not file.is_file():
            sys.exit(f"{name}: {target} does not exist: correct the link")
        if picture:
            shutil.copy(file, catalog / "Resources" / file.name)
            return f"![{text}]({file.name})"
        if file.parent == DOCS and file.suffix == ".md":
            fragment = f"#{heading(file.stem, anchor)}" if anchor else ""
            return f"[{text}](doc:{file.stem}{fragment})"
        # The rest of the repository is not part of the archive.
        shown = f"`{file.relative_to(ROOT)}`"
        return shown if text == file.name else f"{text} ({shown})"

    text = re.sub(r"<!--.*?-->\n*", "", source.read_text(), flags=re.S)
    if not re.match(r"# [^\n]+\n\n[^\s#|!\-*>]", text):
        sys.exit(f"{name}: a title and a paragraph have to come first: DocC shows them in lists")
    return LINK.sub(link, text)


def program(path: pathlib.Path) -> str:
    """A source without the line of its licence."""
    return HEAD.sub("", path.read_text())


def steps(name: str) -> list[str]:
    """A program up to each of its numbered comments, `// 2. …`: the steps of a tutorial."""
    text = program(PACKAGE / name / "main.swift")
    starts = list(STEP.finditer(text))
    if [int(start[1]) for start in starts] != list(range(1, len(starts) + 1)) or not starts:
        sys.exit(f"{name}/main.swift: the steps have to be numbered 1, 2, 3, …, as '// 1. …'")
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return [text[:end].rstrip() + "\n" for end in ends]


def examples() -> str:
    """The programs of Tour as an article: each file's comment, then its code."""
    text = ("# Examples\n\nShort programs for each part of the library, compiled and run by "
            "`make test-swift-package`.\n\nThe folder `examples` of the repository has them, and "
            "others in C, C++ and Python.\n")
    for path in sorted((PACKAGE / "Tour").glob("*.swift")):
        if path.name == "main.swift":
            continue
        source = program(path)
        parts = re.fullmatch(r"((?:///[^\n]*\n)+)\n(.*)", source, re.S)
        if not parts:
            sys.exit(f"{path.name}: a title in '///', then an empty line have to come first")
        prose, code = re.sub(r"^/// ?", "", parts[1], flags=re.M), parts[2]
        title, _, rest = prose.partition("\n")
        text += f"\n## {title.strip().rstrip('.')}\n\n{rest}\n```swift\n{code.rstrip()}\n```\n"
    return text


def main() -> None:
    catalog = pathlib.Path(sys.argv[1])
    shutil.rmtree(catalog, ignore_errors=True)
    shutil.copytree(ROOT / "Sources" / "Swiftlet" / "Swiftlet.docc", catalog)
    (catalog / "Resources").mkdir(exist_ok=True)
    for source in sorted(DOCS.glob("*.md")):
        (catalog / source.name).write_text(article(source, catalog))
    (catalog / "examples.md").write_text(examples())
    for name in TUTORIALS:
        for number, text in enumerate(steps(name), 1):
            (catalog / "Resources" / f"{name}-{number}.swift").write_text(text)


if len(sys.argv) != 2:
    sys.exit(__doc__)
main()
