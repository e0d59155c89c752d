#!/bin/sh
# Check an image: its labels from outside; inside, without network, on a read-only root, docker/check.sh.
#
#   docker/test.sh docker|podman|buildah IMAGE VERSION
#
# RUN_FLAGS: further flags of `docker run` or `podman run`. With buildah it needs root, or `buildah unshare docker/test.sh ...`.
set -eu

builder=$1
image=$2
version=$3
here=$(dirname "$0")

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

label() {
    case "$builder" in
        buildah) buildah inspect --type image --format "{{index .OCIv1.Config.Labels \"$1\"}}" "$image" ;;
        *) "$builder" image inspect --format "{{index .Config.Labels \"$1\"}}" "$image" ;;
    esac
}

config() {
    buildah inspect --type image --format "$1" "$image"
}

# buildah runs commands to build, not to try: the runtime that it builds with takes the image's root and configuration.
with_buildah() {
    runtime=$(command -v crun || command -v runc) || fail "neither crun nor runc is here to run what buildah built"
    bundle=$(mktemp -d)
    container=$(buildah from --pull-never "$image")
    trap 'buildah rm "$container" > /dev/null; rm -rf "$bundle"' EXIT
    user=$(config '{{.OCIv1.Config.User}}')
    cat > "$bundle/config.json" << END
{
  "ociVersion": "1.0.0",
  "root": {"path": "$(buildah mount "$container")", "readonly": true},
  "process": {
    "user": {"uid": ${user%%:*}, "gid": ${user##*:}},
    "args": ["sh", "-s", "$version"],
    "env": [$(config '{{range $i, $it := .OCIv1.Config.Env}}{{if $i}}, {{end}}{{printf "%q" $it}}{{end}}')],
    "cwd": "$(config '{{.OCIv1.Config.WorkingDir}}')",
    "noNewPrivileges": true
  },
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "nodev", "mode=1777"]},
    {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
    {"destination": "/cache", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}
  ],
  "linux": {"namespaces": [
    {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}
  ]}
}
END
    # crun refuses hosts that have cgroups of both versions; in a mount namespace of its own it sees one.
    case "$runtime" in */crun) set -- --cgroup-manager=disabled ;; *) set -- ;; esac
    unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2> /dev/null || true; exec "$@"' sh \
        "$runtime" "$@" run --bundle "$bundle" "betaearth-test-$$" < "$here/check.sh"
}

for name in title description version licenses; do
    value=$(label "org.opencontainers.image.$name")
    [ -n "$value" ] && [ "$value" != "<no value>" ] || fail "there is no label org.opencontainers.image.$name"
done
[ "$(label org.opencontainers.image.version)" = "$version" ] || fail "the label is of another version than $version"

case "$builder" in
    buildah) with_buildah ;;
    *)
        # shellcheck disable=SC2086  # several flags
        "$builder" run --rm --interactive --read-only --network none --cap-drop ALL \
            --security-opt no-new-privileges --tmpfs /tmp --tmpfs /cache ${RUN_FLAGS:-} \
            "$image" sh -s "$version" < "$here/check.sh"
        ;;
esac
