"""A type's JSON schema, and JSON's instance of the type.

Nothing here knows a message, a request or a server.
"""
