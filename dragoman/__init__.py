"""The front door: command line, settings and composition."""

__version__ = "0.1.0"
