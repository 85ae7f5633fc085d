"""The contract: what is sent, what is answered, what exists.

Imports pydantic alone, so a client can use these models as they are.
"""
