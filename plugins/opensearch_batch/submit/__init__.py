"""Every shard becomes exactly one job."""
