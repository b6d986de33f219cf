"""A stand-in for the parts of AWS that batch inference touches: S3, STS, SageMaker, Bedrock."""
