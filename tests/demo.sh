#!/bin/sh
# From a fresh Debian machine to a running container: sets up, builds, makes bundle/, runs it.
cd "$(dirname "$0")/.." && . tests/env.sh

choose_target
cargo build --release
cp "$BUILT" minirunc-static

busybox_root bundle/rootfs
oci_config '[ "/bin/sh", "/demo.sh" ]' >bundle/config.json
cat >bundle/rootfs/demo.sh <<'EOF'
echo "Hello from $(hostname), as process $$ of:"
ps -o pid,ppid,args
echo; echo 'Mounts:'
awk '{ print "  " $2, $3, substr($4, 1, 2) }' /proc/mounts
echo; echo 'Capabilities and privileges:'
grep -E 'CapEff|NoNewPrivs' /proc/self/status
echo; echo 'Network:'
ip -o link
echo; echo 'What is refused:'
touch /here 2>&1
cat /proc/keys 2>&1 || true
mount -t tmpfs none /tmp 2>&1
true
EOF

say './minirunc-static run bundle'
as_root ./minirunc-static run bundle
say "$(wc -c <minirunc-static) bytes of runtime"
