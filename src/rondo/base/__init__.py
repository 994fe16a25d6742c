"""Ground floor: errors, options, clock, ids, atomic files, listing of extension rooms. Imports nothing above."""
