"""Rows become shards and a plan."""
