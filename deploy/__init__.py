"""How the desk is run: images, manifests, units, and the same process list without containers."""
