"""What models made of other models share: parts, stacking, EASE beside a decoder."""
