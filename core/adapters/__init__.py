"""The core's ports over SQL, HTTP and model files."""
