#!/usr/bin/env bash
# Regenerates ../src/generated from BuildKit's own .proto files, which come from the Go module cache (checksummed by Go).
# Needs go, cargo and rustfmt. Usage: generate/run.sh [VERSION]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:-v0.32.2}
source=$(cd "$(mktemp -d)" && go mod download -json "github.com/moby/buildkit@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
include=$(mktemp -d)
trap 'rm -rf "$include"' EXIT
mkdir -p "$include/github.com/moby"
ln -s "$source" "$include/github.com/moby/buildkit"
cargo run --quiet --manifest-path "$here/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-$here/../../../target}/generate" \
  -- "$here/../src/generated" "$version" "$include" "$here/proto"
find "$here/../src/generated" -name mod.rs -exec rustfmt --edition 2024 --config skip_children=true {} + 2>/dev/null || find "$here/../src/generated" -name mod.rs -exec rustfmt --edition 2024 {} +
find "$here/../src/generated" -type f | xargs ls -l
