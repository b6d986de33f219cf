"""Amazon Bedrock batch inference."""
