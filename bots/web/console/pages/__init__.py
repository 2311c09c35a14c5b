"""What stands behind the doors of the console, a module a page."""
