"""Pictures in run folders, and the report that evaluate.py --report writes."""
