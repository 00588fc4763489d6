# Runs hostctl, or brings it, as the owner of LM Studio on the host. Started by Command resources in the folder `infra`, so that their text holds
# neither a path of this machine nor shell quoting:
#   on-host.sh ssh|local STACK OWNER|- converge|remove|prove [PART]     the document on stdin
#   on-host.sh ssh|local STACK OWNER|- upload HASH NODE TOKEN           from ../.lmstack/cache
set -eu
how=$1 stack=$2 owner=$3 verb=$4
shift 4
config="../.lmstack/$stack/ssh_config"
cache=../.lmstack/cache

if [ "$how" = ssh ] && [ ! -f "$config" ]; then
  echo ".lmstack/$stack/ssh_config is missing in this clone: run \`pulumi preview\` once, which writes it, then the same command again" >&2
  exit 1
fi

quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

on_host() {
  # By this path, as the sudoers file of a prepared host has it.
  line="/bin/sh -c $(quoted "$1")"
  [ "$owner" = - ] || line="sudo -n -u $owner -H -- $line"
  if [ "$how" = local ]; then sh -c "exec $line"; else ssh -F "$config" lmstack "$line"; fi
}

if [ "$verb" != upload ]; then
  case "$verb" in
    remove) absent='echo "nothing of lmstack is left on the host" >&2; exit 0' ;;
    *) absent='echo "the runtime of lmstack is missing on the host: run pulumi up again, which brings it" >&2; exit 1' ;;
  esac
  on_host "cd; [ -x .lmstack/current/node ] && [ -f .lmstack/current/hostctl.mjs ] || { $absent; }
exec \"\$HOME/.lmstack/current/node\" \"\$HOME/.lmstack/current/hostctl.mjs\" $verb ${1:-}"
  exit
fi

hash=$1 node=$2 token=$3
have="$(on_host "cd; umask 077; mkdir -p .lmstack/runtime .lmstack/tokens; [ -x .lmstack/runtime/$node ] && echo node; [ -d .lmstack/runtime/$hash ] && echo bundles; :")"
need() { case "$have" in *"$1"*) return 1 ;; esac; [ -f "$2" ] || { echo "$2 is missing in this clone: run \`pulumi up\` again" >&2; exit 1; }; }

# Staging name, digest, mode, then the final name: what has the final name is whole.
if need node "$cache/$node.gz"; then
  echo "uploading Node ($(wc -c <"$cache/$node.gz" | awk '{ printf "%.0f", $1 / 1000000 }') MB, once)" >&2
  on_host "cd \"\$HOME/.lmstack/runtime\"; set -e; new=.$node.\$\$; trap 'rm -f \$new' EXIT
gzip -dc >\$new; sum=\$({ sha256sum \$new 2>/dev/null || shasum -a 256 \$new; } | cut -d' ' -f1)
[ \$sum = $(cat "$cache/$node.sha256") ] || { echo \"Node arrived damaged (sha256 \$sum): run pulumi up again\" >&2; exit 1; }
chmod 0755 \$new; mv -f \$new $node" <"$cache/$node.gz"
fi
if need bundles "$cache/runtime-$hash.tar"; then
  echo "uploading hostctl and the proxy" >&2
  on_host "cd \"\$HOME/.lmstack/runtime\"; set -e; new=.$hash.\$\$; trap 'rm -rf \$new' EXIT; umask 022; mkdir \$new
cat >\$new/bundles.tar; sum=\$({ sha256sum \$new/bundles.tar 2>/dev/null || shasum -a 256 \$new/bundles.tar; } | cut -d' ' -f1)
[ \$sum = $(cat "$cache/runtime-$hash.sha256") ] || { echo \"the bundles arrived damaged (sha256 \$sum): run pulumi up again\" >&2; exit 1; }
tar -xf \$new/bundles.tar -C \$new; rm \$new/bundles.tar; ln $node \$new/node
[ -d $hash ] || mv \$new $hash" <"$cache/runtime-$hash.tar"
fi

# The link is replaced in one step; runtimes older than the one before are cleared away, and what a killed upload left, which ends in its pid.
on_host "cd \"\$HOME/.lmstack\"; set -e; before=\$(readlink current 2>/dev/null || :); before=\${before##*/}
rm -f .current.\$\$; ln -s runtime/$hash .current.\$\$; { mv -T .current.\$\$ current 2>/dev/null || mv -fh .current.\$\$ current; }
printf %s $stack >.stack.\$\$; mv -f .stack.\$\$ stack
printf %s $token >tokens/.runtime.\$\$; mv -f tokens/.runtime.\$\$ tokens/runtime
for old in runtime/*; do case \"\${old#runtime/}\" in $hash|\"\$before\"|$node) ;; *) rm -rf \"\$old\" ;; esac; done
for left in runtime/.*.[0-9]* .current.[0-9]* .stack.[0-9]* tokens/.runtime.[0-9]*; do
  kill -0 \"\${left##*.}\" 2>/dev/null || rm -rf \"\$left\"
done
printf '{\"ok\":true,\"changed\":[],\"token\":\"%s\"}\n' $token" </dev/null
