"""Agent frameworks keep their conversations in Casefile: one module for each, with its extra."""
