"""Figures: Cairn beside stock programs on the same machine in the same run, as ratios. ``python -m bench`` runs all."""
