"""What a person sees: templates, style, languages, and the frame that every page stands in.

Each context's `pages.py` answers with `view.page(request, template, …)`; everything works without
JavaScript, and htmx only saves reloads.
"""

from securepc.manager.console.install import install

__all__ = ["install"]
