"""Waits for submitted jobs: looks, pauses, progress."""
