"""Cohere: datasets, embed jobs and embeddings."""
