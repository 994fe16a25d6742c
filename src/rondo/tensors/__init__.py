"""Named arrays in safetensors files: dtypes, layout, segments, digests, and the check of a file as it arrives.

The file format is safetensors (https://github.com/huggingface/safetensors): eight bytes of little-endian header
length, a JSON header, the raw little-endian values. Nothing here needs a file to fit into memory.
"""
