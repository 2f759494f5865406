"""The program limin: one module for each command."""
