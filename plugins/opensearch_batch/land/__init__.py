"""Answers become results: joined to their rows, landed, reported; rows for a repair round are gathered."""
