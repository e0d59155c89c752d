#!/bin/sh
# Run inside the image, without network and on a read-only root; docker/test.sh gives it to a shell there.
#
#   sh -s VERSION < check.sh
set -eu

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

id
[ "$(id -u):$(id -g)" = 10001:10001 ] || fail "the user is not 10001:10001"
awk '$2 == "/" && $4 ~ /^ro(,|$)/ { found = 1 } END { exit !found }' /proc/mounts || fail "the root is not read-only"
[ "$(ls /sys/class/net)" = lo ] || fail "there is a network, so this says nothing about doing without"

for tool in cc gcc g++ c++ clang make cmake ld cargo rustc git; do
    if command -v "$tool" > /dev/null; then fail "$tool is in the image"; fi
done
if python -c 'import pip' 2> /dev/null; then fail "pip is in the environment"; fi
for left in /build /src /run/secrets/pip.conf /run/secrets/ca.crt; do
    [ ! -e "$left" ] || fail "$left was left by the build"
done

python - << 'END' || fail "a module of betaearth has no compiled file"
import importlib.util, pathlib, sys
package = pathlib.Path(importlib.util.find_spec("betaearth").origin).parent
sys.exit(any(not pathlib.Path(importlib.util.cache_from_source(str(path))).is_file() for path in package.rglob("*.py")))
END

found=$(betaearth --version)
echo "betaearth --version: $found"
case "$found" in
    *"$1"*) ;;
    *) fail "the command is of another version than $1" ;;
esac

betaearth demo --out /tmp/demo > /tmp/demo.txt 2> /tmp/demo.log || {
    code=$?
    tail -n 20 /tmp/demo.log >&2
    fail "betaearth demo ended with exit code $code"
}
cat /tmp/demo.txt
betaearth audit --store /tmp/demo > /dev/null || fail "the demo's catalog is not as it says"

betaearth viewer /tmp/viewer > /dev/null && [ -s /tmp/viewer/index.html ] || fail "the viewer is not in the image"

# A pod's own command, on one of the demo's cells and the imagery that was painted for it.
BETAEARTH_CACHE=/tmp/demo/.cache betaearth tile 2705U_4199L 2021 --store /tmp/store --source synthetic --model demo \
    --spacing-km 2 > /dev/null || fail "betaearth tile ended with exit code $?"
[ -z "${BETAEARTH_IMAGE:-}" ] || grep -rqF "\"$BETAEARTH_IMAGE\"" --include='*.manifest.json' /tmp/store ||
    fail "the manifest does not name the image $BETAEARTH_IMAGE"
echo "all checks passed"
