"""Gives a sentence encoder words of other languages."""
