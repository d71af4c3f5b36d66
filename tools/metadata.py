"""Make ``codemeta.json``, ``.zenodo.json`` and ``docs/config.schema.json`` from their sources.

Usage: python tools/metadata.py [--check]

``CITATION.cff`` says who, what and which works; ``setup.py`` which Python, which packages and
which licences; ``replicate/settings.py`` what ``config.json`` may hold.  With ``--check``
nothing is written, and the exit code is 1 if a file is out of date.
"""

import ast
import json
import sys
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from replicate.io.files import save_text
from replicate.settings import config_schema

REPOSITORY = Path(__file__).resolve().parents[1]
SPDX = "https://spdx.org/licenses/"


def main(arguments):
    stale = 0
    for name, content in made().items():
        place = REPOSITORY / name
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        same = place.is_file() and place.read_text(encoding="utf-8") == text
        if same:
            continue
        stale = 1
        if "--check" in arguments:
            print(f"{name}: out of date, run `make readme`")
        else:
            save_text(place, text)
            print(f"{name}: written")
    return stale if "--check" in arguments else 0


def made():
    """File -> its content."""
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    setup = setup_arguments((REPOSITORY / "setup.py").read_text(encoding="utf-8"))
    return {
        "codemeta.json": codemeta(citation, setup),
        ".zenodo.json": zenodo(citation, setup),
        "docs/config.schema.json": config_schema(),
    }


def setup_arguments(source):
    """The arguments of ``setup(...)`` that are written as they are: name -> value."""
    (call,) = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Expr)
        and getattr(getattr(node.value, "func", None), "id", "") == "setup"
    )
    found = {}
    for word in call.keywords:
        try:
            found[word.arg] = ast.literal_eval(word.value)
        except ValueError:
            continue
    return found


def licences(setup):
    """SPDX names of the licences of what is distributed."""
    return setup["license"].split(" AND ")


def codemeta(citation, setup):
    """CodeMeta 3.0: https://codemeta.github.io/terms/"""
    return {
        "@context": "https://w3id.org/codemeta/3.0",
        "type": "SoftwareSourceCode",
        "name": citation["title"],
        "identifier": setup["name"],
        "description": citation["abstract"].strip(),
        "version": str(citation["version"]),
        "license": [SPDX + name for name in licences(setup)],
        "author": [{"type": "Organization", "name": one["name"]} for one in citation["authors"]],
        "keywords": citation["keywords"],
        "programmingLanguage": "Python",
        "runtimePlatform": f"Python {setup['python_requires']}",
        "operatingSystem": ["Linux", "macOS"],
        "softwareRequirements": [required(text) for text in setup["install_requires"]],
        "referencePublication": [publication(work) for work in dated(citation)],
    }


def required(text):
    """A package that setup.py asks for."""
    asked = Requirement(text)
    found = {"type": "SoftwareApplication", "name": asked.name, "version": str(asked.specifier)}
    if asked.marker is not None:
        found["description"] = f"where {asked.marker}"
    return found


def dated(citation):
    """The works under ``references`` whose authors and year are known."""
    return [work for work in citation["references"] if "year" in work]


def publication(work):
    """A work under ``references`` of CITATION.cff."""
    found = {
        "type": "schema:ScholarlyArticle",
        "name": work["title"],
        "author": [
            {"type": "Person", "givenName": one["given-names"], "familyName": one["family-names"]}
            for one in work["authors"]
        ],
        "datePublished": str(work["year"]),
        "description": work["scope"],
    }
    if "doi" in work:
        found["id"] = f"https://doi.org/{work['doi']}"
    return found


def zenodo(citation, setup):
    """Zenodo's metadata of a deposit."""
    return {
        "title": citation["title"],
        "description": citation["abstract"].strip(),
        "version": str(citation["version"]),
        "upload_type": "software",
        "access_right": "open",
        "license": {"id": citation["license"]},
        "creators": [{"name": one["name"]} for one in citation["authors"]],
        "keywords": citation["keywords"],
        "notes": f"Licences of all parts: {', '.join(licences(setup))}. {citation['message']}",
        "references": [reference(work) for work in dated(citation)],
        "related_identifiers": [
            {"identifier": work["doi"], "relation": "cites", "scheme": "doi"}
            for work in dated(citation)
            if "doi" in work
        ],
    }


def reference(work):
    """A work in one line, as a list of references has it."""
    names = ", ".join(f"{one['family-names']} {one['given-names'][0]}." for one in work["authors"])
    doi = f" doi:{work['doi']}" if "doi" in work else ""
    return f"{names} ({work['year']}). {work['title']}. {work['collection-title']}.{doi}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
