#!/bin/sh
# podman, through conmon: its everyday commands under the stock runtime and ours.
cd "$(dirname "$0")/../.." && . tests/clients/outcome.sh
starting podman podman:podman conmon:conmon

containers_conf "$scratch" "tmp_dir = \"$scratch/libpod\""
containers_storage "$scratch" overlay "$scratch"
export CONTAINERS_CONF="$scratch/containers.conf" CONTAINERS_STORAGE_CONF="$scratch/storage.conf"
image=localhost/box

podman() { timeout -k 5 "$patience" podman --runtime "$OCI" "$@"; }
# box OPTION...: a container that waits, called $side.
box() { podman run -d --name "$side" "$@" $image sleep 1000 >/dev/null; }
tidy_client() { podman pod rm -af -t 0; podman rm -af -t 0; }
stop_client() { OCI=$stock; tidy_client; OCI=$RUNTIME; tidy_client; }
in_state() { podman inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$side"; }

run_prints_and_returns_the_status() { podman run --rm $image sh -c 'echo out; echo err >&2; exit 7' 2>&1; }
a_command_that_is_missing_is_127() { podman run --rm $image /no/such/program; }
a_file_that_may_not_be_executed_is_126() { podman run --rm $image /etc/passwd; }
stdin_goes_through() { echo input | podman run --rm -i $image cat; }
# Not by itself: an init takes no signal of its own namespace that it does not handle.
a_signalled_process_is_128_and_more() { box; podman kill -s TERM "$side" >/dev/null; podman kill -s KILL "$side" >/dev/null; podman wait "$side"; }
confinement_of_run_is_the_same() { podman run --rm $image report; }
confinement_of_a_plain_user_is_the_same() {
    podman run --rm --user 1000:1001 --group-add 7 --cap-drop all --cap-add net_raw --read-only --security-opt no-new-privileges \
        --workdir /var/tmp --env A=B --hostname there --shm-size 1m --tmpfs /scratch:size=64k --oom-score-adj 100 $image report
}
confinement_of_a_privileged_one_is_the_same() { podman run --rm --privileged $image report | grep -v '^[bc]'; } # the host's devices
host_namespaces_are_the_hosts() {
    for namespace in net pid ipc uts; do
        inside=$(podman run --rm --$namespace host $image readlink /proc/self/ns/$namespace)
        [ "$inside" = "$(readlink /proc/self/ns/$namespace)" ] && echo "$namespace"
    done
}
volumes_and_devices_are_there() {
    mkdir -p "$scratch/volume" && echo content >"$scratch/volume/file"
    podman run --rm -v "$scratch/volume:/volume:ro" --device /dev/null:/dev/nothing --sysctl kernel.msgmax=4242 $image \
        sh -c 'cat /volume/file; touch /volume/x 2>&1; stat -c "%F %t %T" /dev/nothing; cat /proc/sys/kernel/msgmax'
}
hooks_run_in_their_order() {
    mkdir -p "$scratch/hooks"
    for stage in prestart createRuntime createContainer poststart poststop; do
        printf '{ "version": "1.0.0", "hook": { "path": "/bin/sh", "args": [ "sh", "-c", "cat >/dev/null; echo %s >>%s" ] },
            "when": { "always": true }, "stages": [ "%s" ] }\n' $stage "$scratch/hooks.$side" $stage >"$scratch/hooks/$stage.json"
    done
    podman --hooks-dir "$scratch/hooks" run --rm $image true
    cat "$scratch/hooks.$side"
}
limits_are_read_back_inside() {
    podman run --rm --memory 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 33 $image sh -c '
        cd /sys/fs/cgroup
        for file in memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares \
            cpuset/cpuset.cpus pids/pids.max memory.max memory.low cpu.max cpu.weight cpuset.cpus pids.max; do
            [ ! -e $file ] || echo $file $(cat $file)
        done'
}
too_much_memory_is_killed() { podman run --rm --memory 16m --memory-swap 16m $image dd if=/dev/zero of=/dev/null bs=64M count=1; }
too_many_processes_are_refused() { podman run --rm --pids-limit 5 $image sh -c 'for i in 1 2 3 4 5 6 7; do sleep 9 & done; wait' 2>&1 | grep -o "can't fork"; }
logs_are_kept() { podman run --name "$side" $image sh -c 'echo one; echo two >&2'; podman logs "$side" 2>&1; in_state; }
exec_runs_beside_init() {
    box
    podman exec "$side" sh -c 'echo in; exit 5'; echo "status $?"
    podman exec -w /tmp -e A=B -u 1000:1001 "$side" sh -c 'pwd; echo $A; id -u; id -g'
    echo input | podman exec -i "$side" cat
    podman exec "$side" /no/such/program; echo "status $?"
    podman exec -d "$side" touch /made >/dev/null; sleep 1
    podman exec "$side" ls /made
}
confinement_of_exec_is_the_same() { box --cap-drop all --cap-add kill --read-only; podman exec "$side" report; podman exec --privileged "$side" report; }
a_terminal_has_a_size() { on_a_terminal "podman --runtime $OCI run --rm -it $image sh -c 'sleep 1; tty; stty size; exit 3'; echo status \$?"; }
exec_on_a_terminal_has_a_size() { box; on_a_terminal "podman --runtime $OCI exec -it $side sh -c 'sleep 1; tty; stty size; exit 3'; echo status \$?"; }
pause_stops_and_unpause_goes_on() {
    box
    podman pause "$side" >/dev/null; in_state
    podman exec "$side" true; echo "status $?"
    podman unpause "$side" >/dev/null; in_state
    podman exec "$side" echo again
}
stats_count_processes() { box; podman exec -d "$side" sleep 1000 >/dev/null; sleep 1; podman stats --no-stream --format '{{.Name}} {{.PIDS}}' "$side" | sed "s/$side/name/"; }
top_lists_processes() { box; podman top "$side" pid comm; }
kill_reaches_init() {
    podman run -d --name "$side" $image sh -c 'trap "echo got; exit 9" USR1; echo ready; while :; do sleep 0.1; done' >/dev/null
    sleep 1
    podman kill -s USR1 "$side" >/dev/null; podman wait "$side"; podman logs "$side"; in_state
}
stop_kills_who_does_not_listen() { podman run -d --name "$side" $image sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null; podman stop -t 1 "$side" >/dev/null 2>&1; in_state; }
a_container_can_be_started_again() { podman run --name "$side" $image sh -c 'echo once >>/log; cat /log'; podman start -a "$side"; in_state; }
create_then_start_later() { podman create --name "$side" $image echo later >/dev/null; in_state; podman init "$side" >/dev/null; in_state; podman start -a "$side"; in_state; }
remove_of_a_running_one_ends_it() { box; podman rm -f -t 0 "$side" >/dev/null; podman ps -aq; }
a_root_directory_needs_no_image() { podman run --rm --rootfs "$scratch/root" sh -c 'echo rootfs; ls /bin/report'; }
a_pod_shares_namespaces() {
    podman pod create --name "pod-$side" --share ipc,net,uts,pid --infra-image $image --infra-command 'sleep 1000' --hostname shared >/dev/null
    podman run -d --pod "pod-$side" --name "$side" $image sleep 777 >/dev/null
    podman run --rm --pod "pod-$side" $image sh -c 'hostname; pidof sleep | wc -w; readlink /proc/self/ns/ipc' >"$scratch/one"
    podman exec "$side" readlink /proc/self/ns/ipc >"$scratch/two"
    sed '$d' "$scratch/one"; [ "$(tail -n 1 "$scratch/one")" = "$(cat "$scratch/two")" ] && echo 'one ipc namespace'
}
a_namespace_of_another_container_is_joined() {
    box --ipc shareable
    for namespace in net ipc pid; do
        joined=$(podman run --rm --$namespace "container:$side" $image readlink /proc/self/ns/$namespace)
        [ "$joined" = "$(podman exec "$side" readlink /proc/self/ns/$namespace)" ] && echo $namespace
    done
}
a_user_namespace_maps_ids() { podman run --rm --uidmap 0:100000:65536 --gidmap 0:200000:65536 $image sh -c 'cat /proc/self/uid_map /proc/self/gid_map; id -u; stat -c %u /etc/passwd'; }
exec_joins_the_user_namespace() { box --uidmap 0:100000:65536; podman exec -u 5:5 "$side" sh -c 'cat /proc/self/uid_map; id -u; id -g'; }
descriptors_are_preserved() { podman run --rm --preserve-fds 1 $image cat /proc/self/fd/3 3<"$scratch/storage.conf" | head -n 1; }
an_update_reaches_the_cgroup() { box --memory 64m; podman update --memory 32m "$side" >/dev/null; podman exec "$side" sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null'; true; }

OCI=$stock
podman import "$scratch/image.tar" $image >/dev/null 2>&1 || skip_client 'the image cannot be imported'
leftovers='*/libpod_parent/libpod-*'
left_over >"$scratch/before"

same run_prints_and_returns_the_status 'out?err?status 7'
same a_command_that_is_missing_is_127 'status 127'
same a_file_that_may_not_be_executed_is_126 'status 126'
same stdin_goes_through 'input?status 0'
same a_signalled_process_is_128_and_more '137?status 0'
same confinement_of_run_is_the_same '*uid=0*Seccomp:*status 0'
same confinement_of_a_plain_user_is_the_same '*uid=1000*NoNewPrivs:?1*status 0'
same confinement_of_a_privileged_one_is_the_same '*uid=0*status 0'
same host_namespaces_are_the_hosts 'net?pid?ipc?uts?status 0'
same volumes_and_devices_are_there 'content?*Read-only*1 3?4242?status 0'
same hooks_run_in_their_order 'prestart?createRuntime?createContainer?poststart?poststop?status 0'
same limits_are_read_back_inside '*67108864*33?status 0'
same too_much_memory_is_killed 'status 137'
same too_many_processes_are_refused "can't fork?*status 0"
same logs_are_kept '*one*two*exited 0?status 0'
same exec_runs_beside_init 'in?status 5?/tmp?B?1000?1001?input?status 127?/made?status 0'
same confinement_of_exec_is_the_same '*uid=0*status 0'
same a_terminal_has_a_size '/dev/*33 99?status 3?status 0'
same exec_on_a_terminal_has_a_size '/dev/pts/*33 99?status 3?status 0'
same pause_stops_and_unpause_goes_on 'paused 0?status 255?running 0?again?status 0'
same stats_count_processes 'name 2?status 0'
same top_lists_processes '*sleep?status 0'
same kill_reaches_init '9?ready?got?exited 9?status 0'
same stop_kills_who_does_not_listen 'exited 137?status 0'
same a_container_can_be_started_again 'once?once?once?exited 0?status 0'
same create_then_start_later 'created 0?initialized 0?later?exited 0?status 0'
same remove_of_a_running_one_ends_it 'status 0'
same a_root_directory_needs_no_image 'rootfs?/bin/report?status 0'
same a_pod_shares_namespaces 'shared?*one ipc namespace?status 0'
same a_namespace_of_another_container_is_joined 'net?ipc?pid?status 0'
same a_user_namespace_maps_ids '*100000*65536*200000*status 0'
same exec_joins_the_user_namespace '*100000*5?5?status 0'
same descriptors_are_preserved '[[]storage]?status 0'
same an_update_reaches_the_cgroup '33554432?status 0'
finish
