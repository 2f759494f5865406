"""For the eye: terminal, HTML and progress. The only importer of rich."""
