"""Build definition (see the README for how to install it: Chainer has a build of its own)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "replicate/__init__.py").read_text())[1]

setup(
    name="word-saliency-replication",
    version=version,
    description="Word-saliency instability in a Kim-style CNN: a replication with verdicts",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    # The package holds d3, which is under the ISC licence.
    license="MIT AND ISC",
    license_files=["LICENSE", "replicate/show/templates/d3.LICENSE"],
    author="The developers of the word saliency replication package",
    keywords=[
        "replication",
        "saliency",
        "text classification",
        "convolutional neural network",
        "Chainer",
    ],
    packages=find_packages(include=["replicate", "replicate.*"]),
    package_data={"replicate": ["py.typed", "show/templates/*", "data/*"]},
    python_requires=">=3.11",
    install_requires=[
        "chainer==7.8.1",
        "click>=8.1",
        "filelock>=3.13",
        # gensim 4.4.0 neither has a wheel for Python 3.14 nor can it be built there.
        "gensim>=4.3.3; python_version < '3.14'",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "msgspec>=0.19",
        "numba>=0.59",
        "numpy>=1.26",
        "requests>=2.32.2",
        "rich>=13.7",
        "scipy>=1.11",
        "tomli-w>=1.0",
        "urllib3>=2.0.7",
    ],
    extras_require={
        "cuda12": ["cupy-cuda12x>=13,<15"],
        "cuda13": ["cupy-cuda13x>=13.6,<15"],
        "docs": ["furo", "myst-nb", "sphinx"],
        # What a formatter writes changes between its minor versions.
        "lint": ["mypy", "ruff>=0.14.14,<0.15"],
        "mpi": ["mpi4py>=4"],
        "notebooks": ["ipykernel", "jupytext", "nbclient", "nbformat", "pandas", "pillow"],
        "parquet": ["pyarrow>=15"],
        "test": [
            "hypothesis",
            "ipykernel",
            "jsonschema",
            "jupytext",
            "mpi4py>=4",
            "nbclient",
            "nbformat",
            "packaging",
            "pandas",
            "pillow",
            "pyarrow>=15",
            "pytest",
            "pytest-xdist",
            "pyyaml",
            "selenium",
        ],
    },
    entry_points={"console_scripts": ["replicate = replicate.cli:main"]},
    classifiers=[
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: ISC License (ISCL)",
        "License :: OSI Approved :: MIT License",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
