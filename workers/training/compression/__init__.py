"""Make a model smaller without training it anew."""
