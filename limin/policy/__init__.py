"""Pure decisions: time and chance are arguments, and the caller acts."""
