"""The OpenSearch REST API as values: calls, replies, versions, the hook, connector and model."""
