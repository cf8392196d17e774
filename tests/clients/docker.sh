#!/bin/sh
# docker: a dockerd of our own on a containerd of our own, that knows the stock runtime and ours by name. No network.
cd "$(dirname "$0")/../.." && . tests/clients/outcome.sh && . tests/clients/daemon.sh
starting docker dockerd:docker.io docker:docker.io containerd:containerd

image=localhost/box:latest
docker() { timeout -k 5 "$patience" docker -H "unix://$scratch/docker.sock" "$@"; }
run() { docker run --runtime "$side" --network none "$@"; }
box() { run -d --name "$side" "$@" $image sleep 1000 >/dev/null; }
tidy_client() { docker rm -f $(docker ps -aq); }
stop_client() {
    tidy_client
    ended "${dockerd:-}"
    ended "${containerd:-}"
}
in_state() { docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$side"; }
tty_run() { on_a_terminal "docker -H unix://$scratch/docker.sock $1; echo status \$?"; }

run_prints_and_returns_the_status() { run --rm $image sh -c 'echo out; exit 7'; }
a_command_that_is_missing_is_127() { run --rm $image /no/such/program; }
a_file_that_may_not_be_executed_is_126() { run --rm $image /etc/passwd; }
stdin_goes_through() { echo input | run --rm -i $image cat; }
confinement_of_run_is_the_same() { run --rm $image report; }
confinement_of_a_plain_user_is_the_same() {
    run --rm --user 1000:1001 --group-add 7 --cap-drop all --cap-add net_raw --read-only --security-opt no-new-privileges \
        --workdir /tmp --env A=B --hostname there --shm-size 1m --tmpfs /scratch:size=64k --oom-score-adj 100 $image report
}
confinement_of_a_privileged_one_is_the_same() { run --rm --privileged $image report | grep -v '^[bc]'; }
host_namespaces_are_the_hosts() {
    for namespace in net pid ipc uts; do
        case $namespace in net) option='--network host' ;; *) option="--network none --$namespace host" ;; esac
        inside=$(docker run --runtime "$side" --rm $option $image readlink /proc/self/ns/$namespace)
        [ "$inside" = "$(readlink /proc/self/ns/$namespace)" ] && echo "$namespace"
    done
}
volumes_and_devices_are_there() {
    mkdir -p "$scratch/volume" && echo content >"$scratch/volume/file"
    run --rm -v "$scratch/volume:/volume:ro" --device /dev/null:/dev/nothing --sysctl kernel.msgmax=4242 $image \
        sh -c 'cat /volume/file; touch /volume/x 2>&1; stat -c "%F %t %T" /dev/nothing; cat /proc/sys/kernel/msgmax'
}
limits_are_read_back_inside() {
    run --rm --memory 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 33 $image sh -c '
        cd /sys/fs/cgroup
        for file in memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares \
            cpuset/cpuset.cpus pids/pids.max memory.max memory.low cpu.max cpu.weight cpuset.cpus pids.max; do
            [ ! -e $file ] || echo $file $(cat $file)
        done'
}
# After a second, since the shim listens for the event only once start has returned.
too_much_memory_is_killed() { run --memory 16m --memory-swap 16m --name "$side" $image sh -c 'sleep 1; dd if=/dev/zero of=/dev/null bs=64M count=1'; docker inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}}' "$side"; }
logs_are_kept() { run --name "$side" $image sh -c 'echo one; echo two' >/dev/null; docker logs "$side"; in_state; }
exec_runs_beside_init() {
    box
    docker exec "$side" sh -c 'echo in; exit 5'; echo "status $?"
    docker exec -w /tmp -e A=B -u 1000:1001 "$side" sh -c 'pwd; echo $A; id -u; id -g'
    echo input | docker exec -i "$side" cat
    docker exec "$side" /no/such/program >/dev/null; echo "status $?"
    docker exec -d "$side" touch /made && sleep 1
    docker exec "$side" ls /made
}
confinement_of_exec_is_the_same() { box --cap-drop all --cap-add kill --read-only; docker exec "$side" report; docker exec --privileged "$side" report; }
a_terminal_has_a_size() { tty_run "run --runtime $side --network none --rm -it $image sh -c 'sleep 1; tty; stty size; exit 3'"; }
exec_on_a_terminal_has_a_size() { box; tty_run "exec -it $side sh -c 'sleep 1; tty; stty size; exit 3'"; }
pause_stops_and_unpause_goes_on() {
    box
    docker pause "$side" >/dev/null; in_state
    docker exec "$side" true; echo "status $?"
    docker unpause "$side" >/dev/null; in_state
    docker exec "$side" echo again
}
stats_count_processes() { box; docker exec -d "$side" sleep 1000; sleep 1; docker stats --no-stream --format '{{.PIDs}}' "$side"; }
top_lists_processes() { box; docker exec -d "$side" sleep 777; sleep 1; docker top "$side" -o pid,args | awk 'NR > 1 { print $2, $3 }' | sort; }
kill_reaches_init() {
    run -d --name "$side" $image sh -c 'trap "echo got; exit 9" USR1; echo ready; while :; do sleep 0.1; done' >/dev/null
    sleep 1; docker kill -s USR1 "$side" >/dev/null; docker wait "$side"; docker logs "$side"; in_state
}
stop_kills_who_does_not_listen() { run -d --name "$side" $image sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null; docker stop -t 1 "$side" >/dev/null; in_state; }
a_container_can_be_started_again() { run --name "$side" $image sh -c 'echo once >>/log; cat /log'; docker start -a "$side"; docker restart -t 0 "$side" >/dev/null; docker wait "$side"; docker logs "$side" | wc -l; }
an_update_reaches_the_cgroup() { box --memory 64m --memory-swap 64m; docker update --memory 32m --memory-swap 32m --cpu-shares 300 --pids-limit 44 "$side" >/dev/null; docker exec "$side" sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.shares pids/pids.max memory.max pids.max 2>/dev/null'; true; }
a_namespace_of_another_container_is_joined() {
    box --ipc shareable
    for namespace in network ipc pid; do
        case $namespace in network) kind=net ;; *) kind=$namespace ;; esac
        joined=$(docker run --runtime "$side" --network none --$namespace "container:$side" --rm $image readlink /proc/self/ns/$kind)
        [ "$joined" = "$(docker exec "$side" readlink /proc/self/ns/$kind)" ] && echo $kind
    done
}
files_are_copied_in_and_out() { box; docker cp "$scratch/image.tar" "$side:/copy" >/dev/null 2>&1; docker exec "$side" sh -c 'echo more >/out; wc -c </copy' | grep -qx "$(wc -c <"$scratch/image.tar")" && docker cp "$side:/out" - | tar -xO; }
health_is_looked_after() { box --health-cmd 'true' --health-interval 1s; sleep 3; docker inspect --format '{{.State.Health.Status}}' "$side"; }

own_containerd
dockerd --host "unix://$scratch/docker.sock" --containerd "$containerd_socket" --data-root "$scratch/docker" --exec-root "$scratch/docker-run" \
    --pidfile "$scratch/docker.pid" --bridge none --iptables=false --ip6tables=false --oom-score-adjust 0 \
    --add-runtime "stock=$stock" --add-runtime "ours=$RUNTIME" >"$scratch/dockerd.log" 2>&1 </dev/null &
dockerd=$!
within 30 docker version || skip_client "dockerd does not answer: $(tail -n 1 "$scratch/dockerd.log")"
docker import -c 'CMD sh' "$scratch/image.tar" $image >/dev/null 2>"$scratch/import" || skip_client "the image cannot be imported: $(tail -n 1 "$scratch/import")"
leftovers='*/docker/*'
left_over >"$scratch/before"

same run_prints_and_returns_the_status 'out?status 7'
same a_command_that_is_missing_is_127 'status 127'
same a_file_that_may_not_be_executed_is_126 'status 126'
same stdin_goes_through 'input?status 0'
same confinement_of_run_is_the_same '*uid=0*Seccomp:*status 0'
same confinement_of_a_plain_user_is_the_same '*uid=1000*NoNewPrivs:?1*status 0'
same confinement_of_a_privileged_one_is_the_same '*uid=0*status 0'
same host_namespaces_are_the_hosts 'net?pid?ipc?uts?status 0'
same volumes_and_devices_are_there 'content?*Read-only*1 3?4242?status 0'
same limits_are_read_back_inside '*67108864*33?status 0'
same too_much_memory_is_killed 'true 137?status 0'
same logs_are_kept 'one?two?exited 0?status 0'
same exec_runs_beside_init 'in?status 5?/tmp?B?1000?1001?input?status 12?*/made?status 0'
same confinement_of_exec_is_the_same '*uid=0*status 0'
same a_terminal_has_a_size '/dev/*33 99?status 3?status 0'
same exec_on_a_terminal_has_a_size '/dev/pts/*33 99?status 3?status 0'
same pause_stops_and_unpause_goes_on 'paused 0?*status 1?running 0?again?status 0'
same stats_count_processes '2?status 0'
same top_lists_processes 'sleep 1000?sleep 777?status 0'
same kill_reaches_init '9?ready?got?exited 9?status 0'
same stop_kills_who_does_not_listen 'exited 137?status 0'
same a_container_can_be_started_again 'once?once?once?0?6?status 0'
same an_update_reaches_the_cgroup '33554432*44?status 0'
same a_namespace_of_another_container_is_joined '*ipc?pid?status 0'
same files_are_copied_in_and_out 'more?status 0'
same health_is_looked_after 'healthy?status 0'
finish
