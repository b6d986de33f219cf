"""Mutants: the code of the rooms that must never pay twice, changed in one place at a time, against the fast tests."""
