"""Many items at once: the workers that ask, and the order of their results."""
