"""One HTTP exchange. The only importer of httpx."""
