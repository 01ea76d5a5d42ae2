#!/usr/bin/env bash
# Keeps both queues fed, on a login node:  nohup bash @{submit_shell} > submit.log 2>&1 &
# Each waiting calculation becomes one job; there are never more in a queue at once than the numbers below. Ctrl-C or kill ends
# the feeding and leaves the queues as they are; start it again at any time.
source @{environment_shell}
gpu_jobs=@{gpu_jobs}
cpu_jobs=@{cpu_jobs}

feed() { # role, and how many jobs in its queue at most
    trap 'kill "$now" 2> /dev/null; wait "$now"; exit' TERM
    mkdir -p "$DEFINET_FLOWS_LAUNCH_DIR/$1"
    while true; do
        qlaunch -r -l "$DEFINET_FLOWS_CONFIG_DIR/my_launchpad.yaml" -w "$DEFINET_FLOWS_CONFIG_DIR/worker-$1.yaml" \
            -q "$DEFINET_FLOWS_CONFIG_DIR/qadapter-$1.yaml" --launch_dir "$DEFINET_FLOWS_LAUNCH_DIR/$1" \
            rapidfire --nlaunches infinite -m "$2" &
        now=$!
        wait "$now"
        # It ends only when it failed: the queue or the database does not answer (its message stands above). Try again later.
        sleep 60 &
        now=$!
        wait "$now"
    done
}

trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT
trap 'exit' INT TERM
feed gpu "$gpu_jobs" &
feed cpu "$cpu_jobs" &
wait
