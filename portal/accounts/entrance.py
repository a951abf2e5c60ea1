"""The doors by which somebody signs in and out."""
