"""Bytes to values and back. Nothing here waits, reads a clock, or draws a random number."""
