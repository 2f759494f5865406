"""Between bytes and values. Nothing here waits, reads a clock, or draws chance."""
