#!/bin/sh
# Starts the plugin whose bundle lies beside this file under the same name. Node is the one of the project being run, else
# the one of the clone that set the engine up, else whatever is on PATH: clones share the folder that this file is in.
folder=$PWD
while [ -n "$folder" ] && [ ! -x "$folder/node_modules/.bin/node" ]; do folder=${folder%/*}; done
node=$folder/node_modules/.bin/node
[ -n "$folder" ] || node=${LMSTACK_NODE:-$(command -v node)}
[ -x "$node" ] || { echo "${0##*/}: no node found; run \`npm ci\` in the project" >&2; exit 1; }
exec "$node" "$0.mjs" "$@"
