#!/bin/sh
# podman as an ordinary user with subordinate ids (subuid(5)), who is made up for this script: passwd and the like lie over
# those of the machine in a mount namespace of its own.
cd "$(dirname "$0")/../.."
[ -n "${OWN_MOUNTS:-}" ] || exec env OWN_MOUNTS=1 unshare --mount --propagation private sh tests/clients/rootless.sh
. tests/clients/outcome.sh
starting rootless podman:podman conmon:conmon newuidmap:uidmap setpriv:util-linux
[ -e /etc/subuid ] && [ -e /etc/subgid ] || skip_client 'no /etc/subuid'

home=$scratch/home
mkdir -p "$home/.config/containers" "$home/run" "$home/graph" "$home/volume" "$scratch/etc"
{ grep -v ':1000:' /etc/passwd; echo "someone:x:1000:1000::$home:/bin/sh"; } >"$scratch/etc/passwd"
{ grep -v ':1000:' /etc/group; echo 'someone:x:1000:'; } >"$scratch/etc/group"
echo 'someone:100000:65536' | tee "$scratch/etc/subuid" >"$scratch/etc/subgid"
for file in passwd group subuid subgid; do mount --bind "$scratch/etc/$file" "/etc/$file"; done
# Where the user can reach it.
cp "$RUNTIME" "$scratch/minirunc-static" && RUNTIME=$scratch/minirunc-static

containers_conf "$home/.config/containers" "runtime_supports_nocgroups = [ \"$stock\", \"$RUNTIME\" ]"
containers_storage "$home/.config/containers" vfs "$home"
echo '{ "default": [ { "type": "insecureAcceptAnything" } ] }' >"$home/.config/containers/policy.json"
echo content >"$home/volume/file"
chown -R 1000:1000 "$home"
cat >"$scratch/someone" <<EOC
#!/bin/sh
cd "$home"
exec setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all \\
    env -i HOME="$home" USER=someone XDG_RUNTIME_DIR="$home/run" PATH="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "\$@"
EOC
chmod 755 "$scratch/someone"
image=localhost/box

podman() { "$scratch/someone" timeout -k 5 "$patience" podman --runtime "$OCI" "$@"; }
box() { podman run -d --name "$side" "$@" $image sleep 1000 >/dev/null; }
tidy_client() { podman rm -af -t 0; }
# podman leaves a process that keeps its user namespace.
stop_client() {
    OCI=$stock; tidy_client; OCI=$RUNTIME; tidy_client
    kill "$(cat "$home/run/libpod/tmp/pause.pid")"
}
in_state() { podman inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$side"; }

run_prints_and_returns_the_status() { podman run --rm $image sh -c 'id -u; cat /proc/self/uid_map; exit 7'; }
# On v1 runc binds the caller's cgroups, which say nothing of the container's limits; ours shows those of its own, thus none.
confinement_of() { podman run --rm "$@" $image report | grep -v '^/sys/fs/cgroup/'; }
confinement_of_run_is_the_same() { confinement_of; }
the_network_of_the_host_is_shared() { podman run --rm --network host $image ls /sys/class/net/lo/mtu; }
no_cgroup_is_made_when_none_is_wanted() { podman run --rm --cgroups=disabled $image echo disabled; }
a_user_and_a_group_of_the_image_are_had() { podman run --rm --user 33:44 $image sh -c 'id -u; id -g'; }
groups_are_added() { podman run --rm --user 33:44 --group-add 7 $image sh -c 'id -G'; }
the_own_id_is_kept() { podman run --rm --userns keep-id $image sh -c 'id -u; id -g; cat /proc/self/uid_map'; }
a_volume_is_roots() { podman run --rm -v "$home/volume:/volume" $image sh -c "cat /volume/file; stat -c '%u %g' /volume/file; touch /volume/root"; stat -c '%u %g' "$home/volume/root"; rm "$home/volume/root"; }
a_volume_is_ones_own_with_the_id_kept() { podman run --rm --userns keep-id -v "$home/volume:/volume" $image sh -c "stat -c '%u %g' /volume/file; touch /volume/kept"; stat -c '%u %g' "$home/volume/kept"; rm "$home/volume/kept"; }
nothing_but_what_is_allowed() { confinement_of --read-only --cap-drop all --security-opt no-new-privileges --tmpfs /scratch:size=64k; }
a_privileged_one_runs() { podman run --rm --privileged $image sh -c 'id -u; grep CapEff /proc/self/status'; }
exec_runs_beside_init() { box; podman exec "$side" id -u; podman exec -u 5:6 "$side" sh -c 'id -u; id -g'; podman exec "$side" /no/such/program; echo "status $?"; }
exec_has_the_kept_id() { box --userns keep-id; podman exec "$side" id -u; podman exec -u 0 "$side" id -u; }
a_terminal_has_a_size() { on_a_terminal "$scratch/someone podman --runtime $OCI run --rm -it $image sh -c 'sleep 1; tty; stty size; exit 3'; echo status \$?"; }
exec_on_a_terminal_has_a_size() { box; on_a_terminal "$scratch/someone podman --runtime $OCI exec -it $side sh -c 'sleep 1; tty; stty size; exit 3'; echo status \$?"; }
the_user_namespace_of_another_is_joined() { box --userns keep-id; podman run --rm --userns "container:$side" $image cat /proc/self/uid_map; }
podmans_own_user_namespace_is_joined() { box; podman run --rm --userns "container:$side" $image cat /proc/self/uid_map; }
all_namespaces_of_another_are_joined() { box --userns keep-id; podman run --rm --userns "container:$side" --ipc "container:$side" --pid "container:$side" $image sh -c 'pidof sleep'; }
logs_are_kept() { podman run --name "$side" $image sh -c 'echo one; echo two >&2'; podman logs "$side" 2>&1; in_state; }
kill_reaches_init() { box; podman kill "$side" >/dev/null; podman wait "$side"; in_state; }
create_then_start_later() { podman create --name "$side" $image echo later >/dev/null; in_state; podman init "$side" >/dev/null; in_state; podman start -a "$side"; in_state; }
top_lists_processes() { box; podman top "$side" pid comm; }

OCI=$stock
podman import "$scratch/image.tar" $image >/dev/null 2>&1 || skip_client 'the image cannot be imported'
leftovers='*/libpod_parent/libpod-*'
left_over >"$scratch/before"

same run_prints_and_returns_the_status '0?*100000*status 7'
same confinement_of_run_is_the_same '*uid=0*Seccomp:*status 0'
same the_network_of_the_host_is_shared '/sys/class/net/lo/mtu?status 0'
same no_cgroup_is_made_when_none_is_wanted 'disabled?status 0'
same a_user_and_a_group_of_the_image_are_had '33?44?status 0'
same groups_are_added '44 7?status 0'
same the_own_id_is_kept '1000?1000?*status 0'
same a_volume_is_roots 'content?0 0?1000 1000?status 0'
same a_volume_is_ones_own_with_the_id_kept '1000 1000?1000 1000?status 0'
same nothing_but_what_is_allowed '*uid=0*NoNewPrivs:?1*status 0'
same a_privileged_one_runs '0?*status 0'
same exec_runs_beside_init '0?5?6?status 127?status 0'
same exec_has_the_kept_id '1000?0?status 0'
same a_terminal_has_a_size '/dev/*33 99?status 3?status 0'
same exec_on_a_terminal_has_a_size '/dev/pts/*33 99?status 3?status 0'
same the_user_namespace_of_another_is_joined '*1000*1000*status 0'
same podmans_own_user_namespace_is_joined '*1000*100000*status 0'
same all_namespaces_of_another_are_joined '1?status 0'
same logs_are_kept '*one*two*exited 0?status 0'
same kill_reaches_init '137?exited 137?status 0'
same create_then_start_later 'created 0?initialized 0?later?exited 0?status 0'
same top_lists_processes '*sleep?status 0'
finish
