"""JSON as a model writes it: piece by piece, perhaps fenced, perhaps cut off."""
