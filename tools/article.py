"""Make the article, PDF and HTML, from ``article/article.md``.

Usage: python tools/article.py FOLDER

pandoc reads the text and its references and writes HTML, in one file with its pictures and
with MathML, and Typst's markup; Typst makes the PDF.  The fonts are Typst's own and, for
Japanese, IPAex Gothic of the package matplotlib-fontja.  ``make article`` installs all of
them.  Numbers stand in the text; ``tools/readme.py`` fills them in from ``results/``.
"""

import importlib.util
import os
import re
import sys
from pathlib import Path

import pypandoc
import typst

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "article" / "article.md"
#: A line that ends in Japanese goes on without a blank.
FORMAT = "markdown+east_asian_line_breaks"
#: What Typst reads before the text.
HEAD = """
#set page(paper: "a4", margin: (x: 2.6cm, y: 2.4cm), numbering: "1")
#set text(font: ("Libertinus Serif", "IPAexGothic"), size: 10pt)
#set par(justify: true, leading: 0.6em)
#show figure: set block(breakable: false)
#show figure.caption: set text(size: 9pt)
#show link: set text(fill: rgb("#1b4f8a"))
#show table: set par(justify: false)
#show table: set text(size: 9pt, hyphenate: false)
#show heading: set text(weight: "semibold")
"""


def main(folder):
    """Write ``article.html`` and ``article.pdf`` into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = prose(SOURCE.read_text(encoding="utf-8"))
    here = SOURCE.parent
    reading = [f"--resource-path={here}", "--citeproc", f"--bibliography={here / 'references.bib'}"]
    html = pypandoc.convert_text(
        text, "html5", format=FORMAT,
        extra_args=[*reading, "--standalone", "--embed-resources", "--mathml",
                    f"--css={here / 'article.css'}"],
    )  # fmt: skip
    (folder / "article.html").write_text(html, encoding="utf-8")
    head = folder / "head.typ"
    head.write_text(HEAD, encoding="utf-8")
    markup = pypandoc.convert_text(
        text, "typst", format=FORMAT,
        extra_args=[*reading, "--standalone", f"--include-in-header={head}"],
    )  # fmt: skip
    head.unlink()
    # Typst reads pictures by their place below its root.
    markup = markup.replace('image("../results/', 'image("/results/')
    (folder / "article.typ").write_text(markup, encoding="utf-8")
    place = Path(importlib.util.find_spec("matplotlib_fontja").origin).parent / "fonts"
    pdf = typst.compile(
        os.fsencode(markup), root=str(REPOSITORY), font_paths=[str(place)], format="pdf"
    )
    (folder / "article.pdf").write_bytes(pdf)
    print(f"{folder / 'article.pdf'}\n{folder / 'article.html'}")
    return 0


def prose(text):
    """The text without the comments that say where its numbers come from."""
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    return re.sub(r"(?:^\|.*\|\n)+", lambda found: shaped(found[0]), text, flags=re.MULTILINE)


def shaped(table):
    """A Markdown table whose rule says how wide each column is."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    widths = [max(map(len, column)) for column in zip(*rows[:1], *rows[2:])]
    # A narrow column must still hold its longest word.
    words = [
        max(len(word) for cell in column for word in cell.split(" "))
        for column in zip(*rows[:1], *rows[2:])
    ]
    dashes = ("-" * max(3, min(w, 60), word) for w, word in zip(widths, words))
    rule = "|:" + "|:".join(dashes) + "|"
    lines = table.splitlines()
    return "\n".join([lines[0], rule, *lines[2:]]) + "\n"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
