"""What models made of other models share: parts, stacking, a saved blend."""
