"""Sphinx settings; warnings are errors (make docs)."""

import sys
from pathlib import Path

import definet_flows

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "definet-flows"
author = "definet-flows developers"
copyright = "2026, definet-flows developers"  # noqa: A001 - the name Sphinx looks for
version = release = definet_flows.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated_reference", "mathml"]
myst_enable_extensions = ["dollarmath"]
# Notebooks are kept without their outputs, and carried out at every build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_output_stderr = "remove"
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "signature"
default_role = "py:obj"
exclude_patterns = ["_build"]
html_math_renderer = "mathml"
html_theme_options = {"body_max_width": "none", "page_width": "1200px", "sidebar_width": "260px"}
html_title = f"definet-flows {release}"
