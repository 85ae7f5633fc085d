"""Stores to compare: each module has an `open_store`, in an environment of its own."""
