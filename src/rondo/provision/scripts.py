"""The shell scripts of a kit: POSIX sh, no bashisms, paths may contain blanks.

``sub_start.sh`` is the supervisor of spec 2.7, with the same state files in the workspace: ``pid.fl``,
``daemon_pid.fl``, ``shutdown.fl``, ``restart.fl``, ``log.txt``. It waits for the process instead of looking for it
every ten seconds, so a crash is noticed at once; a process that ends with exit code 0 wanted to end.
"""

from __future__ import annotations

import shlex

from rondo.pki.certificates import Role

DEFAULT_IMAGE = "rondo-fl:latest"

_HEAD = """#!/bin/sh
# {what}
# Made by rondo provision for {name}; part of a signed kit, so do not edit it: variables are read from the environment.
DIR=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
WORKSPACE=$(dirname -- "$DIR")
"""

_ALIVE = r"""
# Is the process that file $1 names alive, another than this one, and is $2 in its command line? A process number
# may since belong to somebody else. Leaves the number in $pid.
alive() {
    [ -f "$1" ] || return 1
    pid=$(cat "$1")
    [ "$pid" != $$ ] && kill -0 "$pid" 2>/dev/null || return 1
    [ -r "/proc/$pid/cmdline" ] || return 0
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$2"
}

cd -- "$WORKSPACE" || exit 1
"""

_START = """
if alive daemon_pid.fl sub_start.sh; then
    echo "There seems to be one instance, pid=$pid, running already: $DIR/stop_fl.sh ends it." >&2
    exit 1
fi
nohup "$DIR/sub_start.sh" >/dev/null 2>&1 &
echo "{role} {name} starts in the background; its log is $WORKSPACE/log.txt"
"""

_SUPERVISE = r"""
# Exit codes: 0 the {role} ended on its own wish or was stopped, 1 it cannot be kept running.
RONDO=${{RONDO:-rondo}}
GRACE=${{RONDO_STOP_GRACE:-15}}
PAUSE=${{RONDO_RESTART_PAUSE:-2}}
{environment}
if alive daemon_pid.fl sub_start.sh; then
    echo "There seems to be one instance, pid=$pid, running already." >&2
    exit 1
fi
echo $$ >daemon_pid.fl
rm -f shutdown.fl restart.fl
task=

say() {{
    echo "$(date '+%Y-%m-%d %H:%M:%S') - supervisor - $1" >>log.txt
}}

leave() {{
    rm -f pid.fl daemon_pid.fl shutdown.fl restart.fl
    say "$2"
    exit "$1"
}}

# Asks process $1 to end, and ends it when it does not within the grace.
end() {{
    kill -TERM "$1" 2>/dev/null
    left=$GRACE
    while [ "$left" -gt 0 ] && kill -0 "$1" 2>/dev/null; do
        sleep 1
        left=$((left - 1))
    done
    kill -KILL "$1" 2>/dev/null
}}

# Ends process $1 once shutdown.fl or restart.fl is there.
watch_files() {{
    while kill -0 "$1" 2>/dev/null; do
        if [ -f shutdown.fl ] || [ -f restart.fl ]; then
            end "$1"
            return
        fi
        sleep 1
    done
}}

# A wait that a signal cuts short is taken up again, so that the exit code is the process's own.
wait_for() {{
    while :; do
        wait "$1"
        code=$?
        kill -0 "$1" 2>/dev/null || return
    done
}}

trap 'touch shutdown.fl; [ -n "$task" ] && kill -TERM "$task" 2>/dev/null' TERM INT HUP

if alive pid.fl "{role} start $WORKSPACE"; then
    say "process $pid was left by a supervisor that was killed: it is ended"
    end "$pid"
fi

quick=0
while :; do
    [ -f shutdown.fl ] && leave 0 "stopped"
    began=$(date +%s)
    "$RONDO" {role} start "$WORKSPACE" >>log.txt 2>&1 &
    task=$!
    echo "$task" >pid.fl
    watch_files "$task" &
    watch=$!
    wait_for "$task"
    kill "$watch" 2>/dev/null
    wait "$watch" 2>/dev/null
    rm -f pid.fl
    [ -f shutdown.fl ] && leave 0 "stopped"
    if [ -f restart.fl ] || [ "$code" -eq 75 ]; then  # 75: an admin's restart
        rm -f restart.fl
        say "restarted as asked"
        continue
    fi
    [ "$code" -eq 0 ] && leave 0 "the {role} ended by itself"
    if [ $(($(date +%s) - began)) -lt 300 ]; then quick=$((quick + 1)); else quick=0; fi
    say "the {role} ended with exit code $code"
    if [ "$quick" -ge 5 ]; then
        leave 1 "System is in trouble and unable to start the task!!!!! (ended $quick times within 300 s of its start)"
    fi
    # The first restart is at once; a process that keeps failing is given more time each time.
    [ "$quick" -gt 1 ] && sleep $((PAUSE * (quick - 1)))
done
"""

_STOP = r"""
# Waits until the {role} has ended (its supervisor kills it after RONDO_STOP_GRACE seconds, 15 unless set).
if alive daemon_pid.fl sub_start.sh; then
    touch shutdown.fl
elif alive pid.fl "{role} start $WORKSPACE"; then
    kill -TERM "$pid"
else
    echo "{role} {name} is not running" >&2
    exit 0
fi
while kill -0 "$pid" 2>/dev/null; do
    sleep 1
done
echo "{role} {name} has ended"
"""

_ADMIN = """
mkdir -p -- "$WORKSPACE/transfer" || exit 1
exec "${RONDO:-rondo}" admin "$WORKSPACE" "$@"
"""

_DOCKER_SERVER = """
# Environment: DOCKER_IMAGE, MY_DATA_DIR (seen as /data), NETWORK (default: the host's).
IMAGE={image}
IMAGE=${{DOCKER_IMAGE:-$IMAGE}}
set -- --rm -it --ipc=host -v "$WORKSPACE:/workspace" -w /workspace
[ -n "$MY_DATA_DIR" ] && set -- "$@" -v "$MY_DATA_DIR:/data"
# shellcheck disable=SC2086 # NETWORK is a list of options, such as: {ports}
exec docker run "$@" ${{NETWORK:---net=host}} "$IMAGE" /workspace/startup/sub_start.sh
"""

_DOCKER_CLIENT = """
# Environment: DOCKER_IMAGE, MY_DATA_DIR (seen as /data, read-only), GPU2USE (default: all; none: "").
IMAGE={image}
IMAGE=${{DOCKER_IMAGE:-$IMAGE}}
set -- --rm -it --ipc=host --net=host -u "$(id -u):$(id -g)" -v "$WORKSPACE:/workspace" -w /workspace
[ -n "${{GPU2USE-all}}" ] && set -- "$@" --gpus "${{GPU2USE-all}}"
[ -n "$MY_DATA_DIR" ] && set -- "$@" -v "$MY_DATA_DIR:/data:ro"
exec docker run "$@" "$IMAGE" /workspace/startup/sub_start.sh
"""

_DOCKER_ADMIN = """
# Environment: DOCKER_IMAGE.
IMAGE={image}
IMAGE=${{DOCKER_IMAGE:-$IMAGE}}
exec docker run --rm -it --net=host -u "$(id -u):$(id -g)" -v "$WORKSPACE:/workspace" -w /workspace \\
    "$IMAGE" /workspace/startup/fl_admin.sh
"""

# A server uses no GPU even where the machine has one; a strict site keeps reviewed code in /local/custom.
_ENVIRONMENT = {
    Role.SERVER: "CUDA_VISIBLE_DEVICES=\nexport CUDA_VISIBLE_DEVICES",
    Role.CLIENT: "PYTHONPATH=/local/custom${PYTHONPATH:+:$PYTHONPATH}\nexport PYTHONPATH",
}


def scripts(role: Role, name: str, image: str, ports: tuple[int, ...]) -> dict[str, bytes]:
    """The scripts of one kit: file name -> content. ``image``: the container image that docker.sh starts."""
    quoted = shlex.quote(image)
    if role == Role.ADMIN:
        texts = {
            "fl_admin.sh": _head("Opens the admin console.", name) + _ADMIN,
            "docker.sh": _head("Opens the admin console in a container.", name) + _DOCKER_ADMIN.format(image=quoted),
        }
    else:
        words = {"role": role.value, "name": name}
        docker = _DOCKER_SERVER if role == Role.SERVER else _DOCKER_CLIENT
        published = " ".join(f"-p {port}:{port}" for port in ports)
        texts = {
            "start.sh": _head(f"Starts the {role} in the background.", name) + _ALIVE + _START.format(**words),
            "sub_start.sh": _head(f"Keeps the {role} running.", name)
            + _ALIVE
            + _SUPERVISE.format(environment=_ENVIRONMENT[role], **words),
            "stop_fl.sh": _head(f"Stops the {role}.", name) + _ALIVE + _STOP.format(**words),
            "docker.sh": _head(f"Runs the {role} in a container.", name) + docker.format(image=quoted, ports=published),
        }
    return {file: text.encode() for file, text in texts.items()}


def _head(what: str, name: str) -> str:
    return _HEAD.format(what=what, name=name)
