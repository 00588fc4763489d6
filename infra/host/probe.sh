# Facts of a host in one go, as lines `key<TAB>value`. Read-only, POSIX, and fit for a bare box. The caller puts variables in front:
# PORTS (hexadecimal ports for /proc/net/tcp, decimal for others), BECOME, DOCKER, HASH_LIMIT (bytes), DOCUMENT (for hostctl), and calls of `model`.
PATH="$PATH:/usr/local/bin:/usr/sbin:/sbin"
say() { printf '%s\t%s\n' "$1" "$2"; }

system="$(uname -s)"
say system "$system"
say machine "$(uname -m)"
say uid "$(id -u)"
say gid "$(id -g)"
say user "$(id -un)"
say home "$HOME"
say free "$(df -Pk "$HOME" | awk 'NR == 2 { printf "%.0f", $4 * 1024 }')"
say glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ print $2 }')"
say libatomic "$(ldconfig -p 2>/dev/null | grep -c 'libatomic\.so\.1')"

if [ "$BECOME" = sudo ] && [ "$(id -u)" != 0 ]; then
  case "$system" in Darwin) set -- launchctl enable system/dev.lmstack.proxy ;; *) set -- systemctl daemon-reload ;; esac
  sudo -n -l "$@" >/dev/null 2>&1 && say sudo yes || say sudo no
fi
if [ "$DOCKER" = 1 ]; then
  if ! command -v docker >/dev/null 2>&1; then say docker_error "no docker command"
  elif version="$(docker version --format '{{.Server.Version}}' 2>&1)"; then say docker "$version"
  else say docker_error "$(printf '%s' "$version" | tail -n 1)"; fi
fi
gpu="$(nvidia-smi --query-gpu=driver_version,memory.total,name --format=csv,noheader,nounits 2>/dev/null | head -n 1)" && say gpu "$gpu"

# Who listens: uid and, where it may be seen, the program; `ours` when it belongs to LM Studio, to lmstack or to the ancestor's script.
listener() {
  pid="${3:-}"; ours=no; comm=
  if [ -n "$pid" ]; then
    comm="$(ps -o comm= -p "$pid" 2>/dev/null)"
    # A program may rename itself, so its file is asked too.
    said="$(readlink "/proc/$pid/exe" 2>/dev/null) $(ps -o args= -ww -p "$pid" 2>/dev/null)"
    case "$said" in *"$HOME/.lmstudio/"* | *"$HOME/.lmstack/"* | *lms-no-think-proxy* | *" /app/proxy.mjs "*) ours=yes ;; esac
  fi
  say listens "$1 $2 $ours $comm"
}
for port in $PORTS; do
  if [ -r /proc/net/tcp ]; then
    hex="$(printf '%04X' "$port")"
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$hex" '$4 == "0A" && $2 ~ (":" port "$") { print $8, $10 }' | sort -u |
    while read -r uid inode; do
      found="$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n 1)"
      found="${found#/proc/}"
      listener "$port" "$uid" "${found%%/*}"
    done
  else
    lsof -nP -iTCP:"$port" -sTCP:LISTEN -Fpu 2>/dev/null | tr '\n' ' ' | sed 's/ p/\np/g' | while read -r pid uid _; do
      [ -n "$pid" ] && listener "$port" "${uid#u}" "${pid#p}"
    done
  fi
done

say runtime "$(readlink "$HOME/.lmstack/current" 2>/dev/null)"
say stack "$(cat "$HOME/.lmstack/stack" 2>/dev/null)"
for file in "$HOME"/.lmstack/tokens/*; do
  [ -f "$file" ] && say token "${file##*/} $(cat "$file")"
done

size() { [ -e "$1" ] && { stat -Lc %s "$1" 2>/dev/null || stat -Lf %z "$1"; }; }
digest() { { sha256sum "$1" 2>/dev/null || shasum -a 256 "$1"; } | cut -d' ' -f1; }
# model INDEX PATH DOCUMENT_HASH WANTS_DIGEST ID: a file that the host has verified for this very document is not read again.
model() {
  if [ ! -e "$2" ]; then say model "$1 absent"; return; fi
  if [ ! -f "$2" ]; then say model "$1 nofile"; return; fi
  if [ ! -r "$2" ]; then say model "$1 unreadable"; return; fi
  size="$(size "$2")"
  magic="$(head -c 4 "$2" | tr -dc 'A-Z')"
  token="$(cat "$HOME/.lmstack/tokens/model-file-$5" 2>/dev/null)"
  sum=-
  case "$token" in "$3".*) ;; *) [ "$4" = 1 ] && [ "$size" -le "$HASH_LIMIT" ] && sum="$(digest "$2")" ;; esac
  say model "$1 file $size ${magic:--} $sum"
}
# remote NAME URL FILE: how many bytes a download would need, and how many of them lie on the host already, as FILE, in the store or as its part;
# silent when nobody can tell. The URL of a file is not encoded.
remote() {
  case "$2" in
    file://*) path="${2#file://}"; if [ -f "$path" ]; then bytes="$(size "$path")"; else say remote "$1 absent"; fi ;;
    *) bytes="$(curl -fsSIL --max-time 5 "$2" 2>/dev/null | awk 'tolower($1) == "content-length:" { print $2 + 0 }' | tail -n 1)" ;;
  esac
  [ -n "${bytes:-}" ] && say remote "$1 $bytes $(size "$HOME/.lmstack/downloads/$3" || size "$HOME/.lmstack/store/sha256/$3" || size "$HOME/.lmstack/downloads/$3.part" || echo 0)"
  bytes=
}
# release VERSION URL: whether there is an LM Studio, whether lmstack installed it, and whether the declared version is among what it installed.
release() {
  lms=absent
  [ ! -x "$HOME/.lmstudio/bin/lms" ] || lms=foreign
  [ $lms = absent ] || [ ! -f "$HOME/.lmstack/state/installed.json" ] || lms=own
  [ $lms != own ] || [ ! -e "$HOME/.lmstudio/llmster/$1/llmster" ] || lms=declared
  say lms $lms
  case $lms in absent | own) remote lmstudio "$2" "llmster-$1.tar.gz" ;; esac
}

observe() {
  [ -x "$HOME/.lmstack/current/node" ] && [ -f "$HOME/.lmstack/current/hostctl.mjs" ] || return
  say observed "$(printf '%s' "$DOCUMENT" | "$HOME/.lmstack/current/node" "$HOME/.lmstack/current/hostctl.mjs" observe)"
}
