"""Tests. A regular package, because installed distributions bring a top-level ``tests`` of their own."""
