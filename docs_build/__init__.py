"""What makes docs/: the reference pages from the code (`python -m docs_build`), and mkdocs' hook for links."""
