"""The one-call functions: each opens a client for its call, unless it gets one.

Each does the same as the method of `Client` with its name; its docstring holds only the
differences.
"""
