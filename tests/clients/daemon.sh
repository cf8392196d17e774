# Sourced after outcome.sh: a containerd of our own, which dockerd shares. Root, state and sockets are below $scratch.

# own_containerd: sets $containerd (its process) and $containerd_socket.
own_containerd() {
    containerd_socket=$scratch/containerd.sock
    cat >"$scratch/containerd.toml" <<EOF
version = 2
root = "$scratch/containerd"
state = "$scratch/containerd-state"
disabled_plugins = [ "io.containerd.grpc.v1.cri" ]
[grpc]
  address = "$containerd_socket"
EOF
    containerd --config "$scratch/containerd.toml" >"$scratch/containerd.log" 2>&1 </dev/null &
    containerd=$!
    within 20 ctr -a "$containerd_socket" version || skip_client "containerd does not answer: $(tail -n 1 "$scratch/containerd.log")"
}

# within SECONDS COMMAND...: tried until it succeeds.
within() {
    seconds=$1 && shift
    for _ in $(seq "$((seconds * 5))"); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    return 1
}

# ended PID: asked to go, and waited for.
ended() {
    [ -n "${1:-}" ] || return 0
    kill "$1" 2>/dev/null && wait "$1" 2>/dev/null
    true
}

# image_archive: the tar as `docker save` writes it, which ctr imports and docker loads.
image_archive() {
    mkdir -p "$scratch/archive"
    cp "$scratch/image.tar" "$scratch/archive/layer.tar"
    layer=$(sha256sum "$scratch/image.tar" | cut -d' ' -f1)
    case $(uname -m) in aarch64) architecture=arm64 ;; *) architecture=amd64 ;; esac
    cat >"$scratch/archive/config.json" <<EOF
{ "architecture": "$architecture", "os": "linux", "config": { "Env": [ "PATH=/bin" ], "Cmd": [ "sh" ] },
  "rootfs": { "type": "layers", "diff_ids": [ "sha256:$layer" ] } }
EOF
    echo '[ { "Config": "config.json", "RepoTags": [ "localhost/box:latest" ], "Layers": [ "layer.tar" ] } ]' >"$scratch/archive/manifest.json"
    tar -C "$scratch/archive" -cf "$scratch/archive.tar" config.json manifest.json layer.tar
}
