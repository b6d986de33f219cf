"""S3 and the session of AWS, for vendors with jobs over S3."""
