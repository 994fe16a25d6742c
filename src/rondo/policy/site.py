"""A site's own policy: where it is written, and what an empty one with every key in it looks like.

What the keys mean, and who reads them: ``rondo.client.policy``, and docs/site-policy.md for people.
"""

from __future__ import annotations

FILE = "site_policy.toml"

EXAMPLE = """\
# What this site allows, whatever a job or an admin asks for: docs/site-policy.md tells all of it.
# Save this file as site_policy.toml beside the folder startup/ and take the # off what you want to say.
# Check it with: rondo client policy WORKSPACE. A change counts from the next job or command on; a file that
# cannot be read allows nothing. What is not said here is as the comments say.

# Packages that bring code of their own: "allow" (as without this file), "refuse", or only those that are signed by
# one of these admins, or are one of these packages.
# code = ["lead@hub.org", "blake3:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]

# What leaves this site goes through these filters after the job's own. None without this file.
# [[filters]]
# name = "percentile"
# percentile = 10

# What one run may take; without a limit, as much as there is. A run that takes more is ended.
# [limits]
# gpus = 1
# cpus = 8
# memory = "32 GiB"
# disk = "100 GiB"
# run_time = "12 h"

# Which commands of admins are answered: all but those that look around in the workspace (cat, env, grep, head, ls,
# pwd, tail), these only with shell = true; or only those in answer; in either case not those in refuse.
# [commands]
# shell = true
# refuse = ["sys_info"]

# Where the data lies. The first is what trainers get where the client is started without --data.
# [data]
# folders = ["/data/project"]

# What stands around the process that runs a job's code: "none", or "bubblewrap" (no network, data read-only, nothing
# else of this machine; needs the Debian or RHEL package bubblewrap).
# [worker]
# sandbox = "bubblewrap"

# Cross-site validation: "refuse" keeps local models here, and so this site out of it.
# [validation]
# local_models = "refuse"
"""
