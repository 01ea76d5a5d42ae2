"""Sphinx settings; warnings are errors (make docs)."""

import sys
from pathlib import Path

import definet_flows

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "definet-flows"
author = "definet-flows developers"
copyright = "2026, definet-flows developers"  # noqa: A001 - the name Sphinx looks for
version = release = definet_flows.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "generated_reference"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "signature"
default_role = "py:obj"
exclude_patterns = ["_build"]
html_title = f"definet-flows {release}"
