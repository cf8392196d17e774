#!/bin/sh
# containerd: its runc.v2 shim, by way of ctr, with the stock runtime and ours as BinaryName.
cd "$(dirname "$0")/../.." && . tests/clients/outcome.sh && . tests/clients/daemon.sh
starting containerd containerd:containerd

image=localhost/box:latest
ctr() { timeout -k 5 "$patience" ctr -a "$containerd_socket" "$@"; }
# run OPTION... COMMAND...: in a container called $side. The root of the state is the shim's: BinaryName only.
run() { ctr run --runc-binary "$OCI" --snapshotter native --cgroup "/clients-$$-$side" "$@"; }
box() { run -d "$@" $image "$side" sleep 1000; }
status_of() { ctr task ls | awk -v name="$side" '$1 == name { print $3 }'; }
tidy_client() {
    ctr task rm -f "$side"
    ctr container rm "$side"
}
stop_client() {
    for side in stock ours; do tidy_client; done
    ended "$containerd"
}

run_prints_and_returns_the_status() { run --rm $image "$side" sh -c 'echo out; echo err >&2; exit 7' 2>&1 | sort; run --rm $image "$side" sh -c 'exit 7'; }
a_command_that_is_missing_is_an_error() { run --rm $image "$side" /no/such/program 2>&1 | grep -o 'no such file or directory' | head -n 1; }
# ctr never tells the end of its own input.
stdin_goes_through() { echo input | run --rm $image "$side" head -n 1; }
confinement_of_run_is_the_same() { run --rm $image "$side" report; }
confinement_of_a_lesser_one_is_the_same() {
    run --rm --read-only --cap-drop CAP_KILL --cap-add CAP_SYS_PTRACE --cwd /tmp --env A=B $image "$side" report
}
confinement_of_a_privileged_one_is_the_same() { run --rm --privileged --allow-new-privs $image "$side" report; }
the_default_seccomp_profile_filters() { run --rm --seccomp $image "$side" sh -c 'grep ^Seccomp: /proc/self/status; unshare -U true 2>&1'; }
a_root_directory_needs_no_image() { run --rm --rootfs "$scratch/root" "$side" /bin/ls /bin/report; }
# ctr mounts no cgroups into its containers.
limits_are_in_the_cgroup() {
    box --memory-limit 67108864 --cpus 0.5 --cpu-shares 512
    for file in memory/GROUP/memory.limit_in_bytes cpu/GROUP/cpu.cfs_quota_us cpu/GROUP/cpu.cfs_period_us cpu/GROUP/cpu.shares \
        GROUP/memory.max GROUP/cpu.max GROUP/cpu.weight; do
        path=/sys/fs/cgroup/$(echo $file | sed "s/GROUP/clients-$$-$side/")
        [ ! -e "$path" ] || echo $file $(cat "$path")
    done
}
metrics_are_there() { box; ctr task metrics "$side" | grep -c '^memory'; }
mounts_and_devices_are_there() {
    mkdir -p "$scratch/volume" && echo content >"$scratch/volume/file"
    run --rm --mount "type=bind,src=$scratch/volume,dst=/volume,options=rbind:ro" --device /dev/fuse $image "$side" \
        sh -c 'cat /volume/file; touch /volume/x 2>&1; stat -c "%F %t %T" /dev/fuse'
}
exec_runs_beside_init() {
    box
    ctr task exec --exec-id one "$side" sh -c 'echo in; exit 5'; echo "status $?"
    ctr task exec --exec-id two --cwd /tmp --user 1000:1001 "$side" sh -c 'pwd; id -u; id -g'
    ctr task exec --exec-id three "$side" /no/such/program 2>&1 | grep -o 'no such file or directory' | head -n 1
    ctr task exec --exec-id four -d "$side" touch /made && sleep 1
    ctr task exec --exec-id five "$side" ls /made
}
confinement_of_exec_is_the_same() { box --read-only; ctr task exec --exec-id one "$side" report; }
a_terminal_has_a_size() { on_a_terminal "ctr -a $containerd_socket run --rm -t --runc-binary $OCI --snapshotter native $image $side sh -c 'sleep 1; tty; stty size; exit 3'; echo status \$?"; }
exec_on_a_terminal_has_a_size() { box; on_a_terminal "ctr -a $containerd_socket task exec -t --exec-id one $side sh -c 'sleep 1; tty; stty size; exit 3'; echo status \$?"; }
pause_stops_and_resume_goes_on() { box; status_of; ctr task pause "$side"; status_of; ctr task resume "$side"; status_of; ctr task exec --exec-id one "$side" echo again; }
ps_lists_the_processes() { box; ctr task exec -d --exec-id one "$side" sleep 1000; ctr task ps "$side" | awk 'NR > 1 && $1 > 1 { count++ } END { print count }'; }
kill_reaches_init() {
    run -d $image "$side" sh -c 'trap "exit 9" USR1; while :; do sleep 0.1; done'
    sleep 1; ctr task kill -s SIGUSR1 "$side"; sleep 1; status_of
    ctr task delete "$side" 2>&1 | grep -o "exit code [0-9]*"
}
kill_all_reaches_everyone() { box; ctr task exec -d --exec-id one "$side" sleep 1000; ctr task kill -a -s SIGKILL "$side"; sleep 1; status_of; ctr task delete "$side" 2>&1 | grep -o "exit code [0-9]*"; }
a_killed_one_is_137() { box; ctr task kill -s SIGKILL "$side"; sleep 1; ctr task delete "$side" 2>&1 | grep -o "exit code [0-9]*"; }
a_namespace_of_a_process_is_joined() {
    for namespace in net ipc; do
        case $namespace in net) option=network ;; *) option=$namespace ;; esac
        joined=$(run --rm --with-ns "$option:/proc/$$/ns/$namespace" $image "$side" readlink /proc/self/ns/$namespace)
        [ "$joined" = "$(readlink /proc/$$/ns/$namespace)" ] && echo $namespace
    done
}
a_user_namespace_maps_ids() { run --rm --uidmap 0:100000:65536 --gidmap 0:200000:65536 $image "$side" sh -c 'cat /proc/self/uid_map /proc/self/gid_map; id -u; stat -c %u /etc/passwd'; }
a_pid_file_holds_the_pid() { box --pid-file "$scratch/pid"; [ "$(cat "$scratch/pid")" = "$(ctr task ls | awk -v name="$side" '$1 == name { print $2 }')" ] && echo same; }
without_pivot_root_it_runs() { run --rm --no-pivot $image "$side" echo moved; }
checkpoint_is_refused() { box; ctr task checkpoint "$side" >/dev/null 2>&1; echo "status $?"; status_of; }

own_containerd
image_archive
ctr images import --snapshotter native "$scratch/archive.tar" >/dev/null 2>"$scratch/import" || skip_client "the image cannot be imported: $(tail -n 1 "$scratch/import")"
leftovers="*/clients-$$-*"
left_over >"$scratch/before"

same run_prints_and_returns_the_status 'err?out?status 7'
same a_command_that_is_missing_is_an_error 'no such file or directory?status 0'
same stdin_goes_through 'input?status 0'
same confinement_of_run_is_the_same '*uid=0*Seccomp:*status 0'
same confinement_of_a_lesser_one_is_the_same '*A=B*status 0'
same confinement_of_a_privileged_one_is_the_same '*uid=0*status 0'
same the_default_seccomp_profile_filters 'Seccomp:?2*unshare*status *'
same a_root_directory_needs_no_image '/bin/report?status 0'
same limits_are_in_the_cgroup '*67108864*status 0'
same metrics_are_there '[1-9]*status 0'
same mounts_and_devices_are_there 'content?*Read-only*a e5?status 0'
same exec_runs_beside_init 'in?status 5?/tmp?1000?1001?no such file*?/made?status 0'
same confinement_of_exec_is_the_same '*uid=0*status 0'
same a_terminal_has_a_size '/dev/*33 99?status 3?status 0'
same exec_on_a_terminal_has_a_size '/dev/pts/*33 99?status 3?status 0'
same pause_stops_and_resume_goes_on 'RUNNING?PAUSED?RUNNING?again?status 0'
same ps_lists_the_processes '2?status 0'
same kill_reaches_init 'STOPPED?exit code 9?status 0'
same kill_all_reaches_everyone 'STOPPED?exit code 137?status 0'
same a_killed_one_is_137 'exit code 137?status 0'
same a_namespace_of_a_process_is_joined 'net?ipc?status 0'
same a_user_namespace_maps_ids '*100000*65536*200000*status 0'
same a_pid_file_holds_the_pid 'same?status 0'
same without_pivot_root_it_runs 'moved?status 0'
same checkpoint_is_refused 'status 1?RUNNING?status 0'
finish
