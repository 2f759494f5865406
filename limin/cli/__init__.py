"""The program limin: one module a command."""
