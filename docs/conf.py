"""The site of these pages, as Sphinx makes it: `make docs`. Whatever it warns of is an error.

Pages that are added to how-to/ or adapters/ are found; another needs a line in index.md.
"""

from sphinx.application import Sphinx
from sphinxcontrib.openapi.directive import create_directive_from_renderer
from sphinxcontrib.openapi.renderers import HttpdomainRenderer

project = "Casefile"
author = "The authors of Casefile"
extensions = ["myst_parser", "sphinxcontrib.httpdomain"]

html_theme = "furo"
html_title = "Casefile"
html_copy_source = False
html_show_sphinx = False
exclude_patterns = ["_build"]

# Links to headings as GitHub makes them; links to files of the repository become downloads.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]


def setup(app: Sphinx) -> None:
    """Name it without a colon: Sphinx takes one for that of a domain, and warns of none."""
    app.add_directive("operations", create_directive_from_renderer(HttpdomainRenderer))
