"""Parity: a sample of the vectors in an index against the model's online answers to the same texts."""
