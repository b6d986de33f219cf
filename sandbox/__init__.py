"""A stand-in for the cloud on one loopback port: OpenAI's files and batches, ML Commons' REST API, a control API."""
