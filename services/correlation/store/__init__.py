"""What correlation keeps."""
