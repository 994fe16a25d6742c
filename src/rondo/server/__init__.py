"""The server: answers clients and admins, decides with pure machines, crunches numbers in workers."""
