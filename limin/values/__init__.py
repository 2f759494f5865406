"""What users write and get: no I/O, no clock."""
