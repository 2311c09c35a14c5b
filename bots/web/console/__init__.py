"""The staff console: where the company's people read, answer and set things."""
