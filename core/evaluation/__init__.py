"""Measurements: of speed, of loss, of pictures, of copying."""
