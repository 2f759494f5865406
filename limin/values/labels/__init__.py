"""How probable each label is, from the tokens that a server lists: no I/O, no clock."""
