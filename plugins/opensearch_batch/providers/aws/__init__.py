"""S3 and the session of AWS, for the vendors whose jobs read and write there."""
