"""Completions on disk, and the call that remembers them."""
