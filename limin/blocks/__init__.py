"""Blocks of a data set: their rows as prompts, and the answers as columns."""
