"""OpenAI's Batch API, and servers of the same API."""
