"""From recipe to image: components, lock, build, inspect, diff."""
