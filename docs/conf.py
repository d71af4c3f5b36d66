"""Settings of Sphinx.  `make docs` builds the site in out/docs from the pages where they lie.

The source folder is the repository, so a link works on the site as it works in a checkout.
No page asks the network for anything: equations are MathML, which browsers draw themselves.
"""

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import replicate  # noqa: E402

project = "Word saliency while a CNN learns"
version = release = replicate.__version__
author = "The developers of the word saliency replication package"
project_copyright = "2026, " + author

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]

# --- Pages -----------------------------------------------------------------------

#: The contents in order: title -> pages.  A page of docs/ or results/ that is not named here
#: comes last.
CONTENTS = {
    "Start": ("docs/concepts", "docs/usage", "docs/data", "docs/faq"),
    "Results": ("docs/results", "results/README", "results/PLAN", "docs/kim"),
    "Method": ("docs/readings", "docs/statistics"),
    "Notebooks": tuple(
        f"notebooks/{place.stem}" for place in sorted(REPOSITORY.glob("notebooks/*.ipynb"))
    ),
    "Reference": ("docs/api", "docs/files", "docs/artifact"),
    "Machines": (
        "docs/containers",
        "docs/cluster",
        "docs/speed",
        "docs/versions",
        "docs/reliability",
    ),
    "日本語": ("README.ja", "docs/usage.ja", "docs/results.ja"),
    "Project": ("CONTRIBUTING", "CHANGELOG"),
}
_named = {page for pages in CONTENTS.values() for page in pages}
CONTENTS["More"] = tuple(
    sorted(
        {
            place.relative_to(REPOSITORY).with_suffix("").as_posix()
            for pattern in ("docs/*.md", "results/*.md")
            for place in REPOSITORY.glob(pattern)
        }
        - _named
    )
)

root_doc = "README"
include_patterns = [
    "README.md", "README.ja.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md",
    "docs/generated/*.rst", "notebooks/*.ipynb", "results/*.md",
]  # fmt: skip
exclude_patterns = [".*", "out", "data", "build", "dist", "tests", "replicate"]
templates_path = [str(REPOSITORY / "docs" / "theme")]
autosummary_generate = True


def with_contents(app, docname, source):
    """The contents stand below the first page, where the README has none."""
    if docname == root_doc:
        for title, pages in CONTENTS.items():
            if pages:
                listed = "\n".join(pages)
                source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{listed}\n```\n"


def in_its_language(app, pagename, templatename, context, doctree):
    """Browsers choose fonts and voices by the language of a page."""
    if pagename.endswith(".ja"):
        context["language"] = "ja"


def finish(app, error):
    """The first page is also the folder's, and no page loads anything from the network."""
    if error or app.builder.name != "html":
        return
    page = Path(app.outdir, f"{root_doc}.html").read_text(encoding="utf-8")
    Path(app.outdir, "index.html").write_text(page, encoding="utf-8")
    loads = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*(?:src|href)="(?:https?:)?//""")
    for place in Path(app.outdir).rglob("*.html"):
        if found := loads.search(place.read_text(encoding="utf-8")):
            raise ValueError(f"{place}: asks the network: {found[0]}")


# --- Markdown and notebooks --------------------------------------------------------

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"

# --- Docstrings --------------------------------------------------------------------

default_role = "code"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # fields of a NamedTuple are described once
# Names of this package must be found.  Types of other packages are not looked up, nor are
# methods of Chainer's classes, constants, and names that begin with a low line.
nitpicky = True
nitpick_ignore_regex = [
    ("py:(class|obj)", r"(?!replicate\.).*|.*\.FusedAdamRule"),
    ("py:.*", r"(numpy|np|scipy|chainer|chainermn|cupy|gensim|json)\..*"),
    ("py:(attr|meth)", r"(RowParameter\.)?\w+"),
    ("py:(data|func)", r"(_\w+|[A-Z_]+)"),
]

# --- Looks -------------------------------------------------------------------------

html_theme = "furo"
html_title = project
html_static_path = ["theme/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False


def equation(self, node):
    """An equation in a line, or one that stands alone, as MathML."""
    from docutils.nodes import SkipNode
    from docutils.utils.math.latex2mathml import tex2mathml

    if node.tagname == "math_block":
        made = tex2mathml(node.astext(), as_block=True)
        self.body.append(f'<div class="equation">{made}</div>')
    else:
        self.body.append(tex2mathml(node.astext()))
    raise SkipNode


def short_types(app, what, name, obj, options, signature, returned):
    """`NDArray[float32]`, as the code has it, and not what it stands for."""
    array = (
        r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[~?(?:numpy\.)?(\w+)\]\]"
    )
    kind = r"type\[~typing\.Any\] \| ~numpy\.dtype\[~typing\.Any\] \|.*?_DTypeDict(?: \| str)?"

    def shorter(text):
        return text and re.sub(kind, "DTypeLike", re.sub(array, r"NDArray[\1]", text))

    return shorter(signature), shorter(returned)


def no_list(app, what, name, obj, options, lines):
    """Napoleon takes "n_words: V." for the fifth item of a list: it is a letter."""
    lines[:] = [re.sub(r"^(\s+\w[^:]*: )([A-Z]\.)$", r"\1\\\2", line) for line in lines]


def by_last_name(app, env, node, missing):
    """Docstrings write `InputError` for `replicate.io.errors.InputError`, where only one is named so."""
    domain, name = env.get_domain("py"), node.get("reftarget", "").rpartition(".")[2]
    found = [full for full in domain.objects if full.rpartition(".")[2] == name]
    if node.get("refdomain") == "py" and len(found) == 1:
        return domain.resolve_xref(
            env, node["refdoc"], app.builder, node["reftype"], found[0], node, missing
        )


def setup(app):
    from sphinx.ext import autosummary

    # A summary is the first sentence of a docstring, and these do not end one.
    autosummary.WELL_KNOWN_ABBREVIATIONS += ("eq.", "eqs.", "Fig.", "Figs.")
    app.add_html_math_renderer("mathml", (equation, None), (equation, None))
    app.connect("missing-reference", by_last_name)
    app.connect("autodoc-process-signature", short_types)
    app.connect("autodoc-process-docstring", no_list, priority=400)  # before Napoleon
    app.connect("source-read", with_contents)
    app.connect("html-page-context", in_its_language)
    app.connect("build-finished", finish)


html_math_renderer = "mathml"
