"""Many items at once: who asks, and in which order the results come."""
