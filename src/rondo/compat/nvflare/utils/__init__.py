"""Small things that trainers and aggregators call."""
