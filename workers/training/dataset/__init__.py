"""Rows to learn from: gathered, cleaned, split, counted."""
