"""Copyright recall: find the reference inside the upload, and say which seconds."""
