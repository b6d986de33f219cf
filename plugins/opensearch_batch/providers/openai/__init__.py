"""OpenAI's Batch API, and servers that speak it."""
