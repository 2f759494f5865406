"""For the eye: terminal and progress. The only importer of rich."""
