"""Files and web pages to documents."""
