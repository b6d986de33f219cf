"""Erasure: a document's text, vector, rows and files are removed wherever they lie; a proof says where was looked."""
