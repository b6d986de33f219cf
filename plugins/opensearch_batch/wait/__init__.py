"""Looking at jobs until they have ended."""
