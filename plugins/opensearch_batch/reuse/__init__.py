"""Vectors that are paid for: where each lies, by the hash of its text."""
