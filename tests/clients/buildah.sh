#!/bin/sh
# buildah: its own create, start, state, kill and delete, without conmon.
cd "$(dirname "$0")/../.." && . tests/clients/outcome.sh
starting buildah buildah:buildah

containers_conf "$scratch"
containers_storage "$scratch" overlay "$scratch"
export CONTAINERS_CONF="$scratch/containers.conf" CONTAINERS_STORAGE_CONF="$scratch/storage.conf" BUILDAH_ISOLATION=oci

buildah() { timeout -k 5 "$patience" buildah "$@"; }
limits='--ulimit nofile=1024:1024 --ulimit nproc=1024:1024'
# box OPTION...: a working container called $side, of the image's files.
box() {
    buildah from $limits --name "$side" "$@" scratch >/dev/null
    buildah add "$side" "$scratch/image.tar" / >/dev/null
    buildah config --env PATH=/bin "$side"
}
run() { buildah run --runtime "$OCI" --network none "$@"; }
tidy_client() { buildah rm -a; }
stop_client() { tidy_client; buildah rmi -af; }

run_prints_and_returns_the_status() { box; run "$side" sh -c 'echo out; echo err >&2; exit 7' 2>/dev/null; }
a_command_that_is_missing_is_an_error() { box; run "$side" /no/such/program 2>&1 | grep -o 'no such file or directory' | head -n 1; }
stdin_goes_through() { box; echo input | run "$side" cat; }
confinement_of_run_is_the_same() { box; run "$side" report; }
confinement_of_a_plain_user_is_the_same() {
    box --memory 64m --shm-size 1m
    buildah config --user 1000:1001 --workingdir /tmp --env A=B --hostname there "$side"
    run --cap-drop CAP_KILL --cap-add CAP_NET_ADMIN "$side" report
}
files_stay_for_the_next_run() { box; run "$side" sh -c 'echo kept >/kept'; run "$side" cat /kept; }
volumes_are_there() { box; mkdir -p "$scratch/volume" && echo content >"$scratch/volume/file"; run -v "$scratch/volume:/volume:ro" "$side" sh -c 'cat /volume/file; touch /volume/x 2>&1'; }
host_namespaces_are_the_hosts() {
    box
    for namespace in network ipc pid uts; do
        case $namespace in network) kind=net ;; *) kind=$namespace ;; esac
        inside=$(buildah run --runtime "$OCI" --$namespace host "$side" readlink /proc/self/ns/$kind)
        [ "$inside" = "$(readlink /proc/self/ns/$kind)" ] && echo $kind
    done
}
a_terminal_is_there() { box; on_a_terminal "buildah run --runtime $OCI --network none --terminal $side sh -c 'sleep 1; tty; stty size; exit 3'; echo status \$?"; }
a_containerfile_is_built() {
    mkdir -p "$scratch/context"
    cp "$scratch/image.tar" "$scratch/context/"
    cat >"$scratch/context/Containerfile" <<'EOF'
FROM scratch
ADD image.tar /
ENV PATH=/bin
RUN echo built >/built; chmod 1777 /tmp
USER 5:6
RUN ["sh", "-c", "id -u >/tmp/ids; id -g >>/tmp/ids"]
USER 0
RUN cat /built /tmp/ids >/all
EOF
    buildah build $limits --runtime "$OCI" --network none --layers=false -t "built-$side" "$scratch/context" >/dev/null 2>&1 || return
    buildah from $limits --name "$side" "localhost/built-$side" >/dev/null
    run "$side" cat /all
}
a_build_that_fails_says_the_status() {
    mkdir -p "$scratch/context"
    cp "$scratch/image.tar" "$scratch/context/"
    printf 'FROM scratch\nADD image.tar /\nENV PATH=/bin\nRUN exit 9\n' >"$scratch/context/Failing"
    buildah build $limits --runtime "$OCI" --network none --layers=false -f "$scratch/context/Failing" "$scratch/context" 2>&1 | grep -o 'exit status 9' | head -n 1
}
a_hostname_is_set() { box; buildah run --runtime "$OCI" --network none --isolation oci --hostname here "$side" hostname; }

leftovers='*/buildah-*'
left_over >"$scratch/before"
same run_prints_and_returns_the_status 'out?status 7'
same a_command_that_is_missing_is_an_error 'no such file or directory?status 0'
same stdin_goes_through 'input?status 0'
same confinement_of_run_is_the_same '*uid=0*Seccomp:*status 0'
same confinement_of_a_plain_user_is_the_same '*uid=1000*A=B*status 0'
same files_stay_for_the_next_run 'kept?status 0'
same volumes_are_there 'content?*Read-only*status *'
same host_namespaces_are_the_hosts 'net?ipc?pid?uts?status 0'
same a_terminal_is_there '/dev/*status 3?status 0'
same a_containerfile_is_built 'built?5?6?status 0'
same a_build_that_fails_says_the_status 'exit status 9?status 0'
same a_hostname_is_set 'here?status 0'
finish
