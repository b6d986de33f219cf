"""The indices of the cluster: documents, bulk writes, searches, points in time, aliases."""
