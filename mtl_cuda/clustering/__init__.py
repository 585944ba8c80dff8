"""Clusters of points and instances of centroid votes."""
