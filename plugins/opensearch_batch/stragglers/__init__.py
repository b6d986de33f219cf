"""Stragglers: rows that no batch has answered in time, answered one by one."""
