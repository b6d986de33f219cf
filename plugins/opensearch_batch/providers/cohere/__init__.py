"""Cohere embed jobs."""
