"""Sphinx settings; warnings are errors (make docs)."""

import definet_flows

project = "definet-flows"
author = "definet-flows developers"
copyright = "2026, definet-flows developers"  # noqa: A001 - the name Sphinx looks for
version = release = definet_flows.__version__

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_title = f"definet-flows {release}"
