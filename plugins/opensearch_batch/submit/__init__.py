"""One job a shard, once."""
