"""Jobs at the provider that no run owns."""
