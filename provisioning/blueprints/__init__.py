"""Blueprints: documents with parameters, of which jobs make accounts with all that belongs to them."""
