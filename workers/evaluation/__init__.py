"""Scores what the product itself would do, on JSON Lines files."""
