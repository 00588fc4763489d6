# What is done on the gateway's machine, as the user who connects and without root. STACK is set above, the call of a function follows below.
set -eu
umask 077
PATH="$PATH:/usr/sbin:/sbin"
XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
LMSTACK_GATEWAY="$HOME/.lmstack-gateway/$STACK"
export PATH XDG_RUNTIME_DIR LMSTACK_GATEWAY
unit="lmstack-gateway-$STACK.service"
units="$HOME/.config/systemd/user"

refuse() { echo "$1. Next: $2" >&2; exit 1; }
ask() { socat -t 10 - "UNIX-CONNECT:$LMSTACK_GATEWAY/admin.sock"; }
# Hosts that are out stay so when HAProxy starts again, whatever ended it.
keep() { echo "show servers state" | ask >"$LMSTACK_GATEWAY/new.state" && mv -f "$LMSTACK_GATEWAY/new.state" "$LMSTACK_GATEWAY/servers.state"; }
change() { ask && keep; }
program_in() { sed -n 's/^#lua //p' "$1" 2>/dev/null; }
unpack() { program_in "$1" >"$LMSTACK_GATEWAY/cut-streams.lua"; }
# HAProxy itself is asked what its configuration asks of it.
lua() { haproxy -cc "$(sed -n 's/^ *\.if //p' "$LMSTACK_GATEWAY/haproxy.cfg" | head -n 1)" >/dev/null 2>&1 || echo "HAProxy on the gateway's machine has no Lua or is older than 2.6.12: a stream whose host dies is cut there, its client gets no error of its own dialect"; }
runs() { systemctl --user is-active --quiet "$unit" 2>/dev/null; }

look() {
  if runs; then echo active; else echo stopped; fi
  cat "$LMSTACK_GATEWAY/haproxy.cfg" 2>/dev/null || :
  # Such an edit, too, breaks the seal.
  [ "$(program_in "$LMSTACK_GATEWAY/haproxy.cfg")" = "$(cat "$LMSTACK_GATEWAY/cut-streams.lua" 2>/dev/null)" ] || echo "# cut-streams.lua was edited"
}

put() {
  for program in haproxy socat; do
    command -v "$program" >/dev/null || refuse "$program is not installed on the gateway's machine" "\`sudo apt-get install haproxy socat\` there, and \`sudo systemctl disable --now haproxy\` unless it serves something else"
  done
  systemctl --user show-environment >/dev/null 2>&1 || refuse "$(id -un) has no systemd of its own on the gateway's machine" "\`sudo loginctl enable-linger $(id -un)\` there"
  [ -e "/var/lib/systemd/linger/$(id -un)" ] || loginctl enable-linger 2>/dev/null || refuse "services of $(id -un) end with the last login on the gateway's machine" "\`sudo loginctl enable-linger $(id -un)\` there"
  mkdir -p "$LMSTACK_GATEWAY" "$units"
  cat >"$LMSTACK_GATEWAY/new.cfg"
  touch "$LMSTACK_GATEWAY/servers.state"
  unpack "$LMSTACK_GATEWAY/new.cfg"
  # What runs keeps its own program.
  said="$(haproxy -c -q -f "$LMSTACK_GATEWAY/new.cfg" 2>&1)" || { unpack "$LMSTACK_GATEWAY/haproxy.cfg"; refuse "HAProxy refuses its configuration: $said" "correct the gateway in the inventory, or tell us"; }
  # Words in %h are systemd's: the user's home.
  cat >"$units/$unit" <<END
[Unit]
Description=lmstack: one endpoint for many hosts
[Service]
Type=notify
Environment=LMSTACK_GATEWAY=%h/.lmstack-gateway/$STACK
ExecStart=$(command -v haproxy) -Ws -f %h/.lmstack-gateway/$STACK/haproxy.cfg
ExecReload=$(command -v haproxy) -c -q -f %h/.lmstack-gateway/$STACK/haproxy.cfg
ExecReload=/bin/kill -USR2 \$MAINPID
KillMode=mixed
Restart=always
SuccessExitStatus=143
LimitNOFILE=infinity
[Install]
WantedBy=default.target
END
  mv -f "$LMSTACK_GATEWAY/new.cfg" "$LMSTACK_GATEWAY/haproxy.cfg"
  systemctl --user daemon-reload
  systemctl --user enable --quiet "$unit"
  # What the old process has begun it ends; the new one listens on the same sockets.
  if runs; then keep; systemctl --user reload "$unit"; else systemctl --user restart "$unit"; fi
  seal="$(sed -n 's/^  description //p' "$LMSTACK_GATEWAY/haproxy.cfg")"
  for _ in $(seq 50); do
    case "$(echo "show info" | ask 2>/dev/null)" in *"description: $seal"*) lua; return ;; esac
    sleep 0.2
  done
  refuse "HAProxy does not run with its new configuration: $(journalctl --user -u "$unit" -n 3 -o cat 2>/dev/null | tr '\n' ' ')" "\`journalctl --user -u $unit\` there"
}

remove() {
  systemctl --user disable --now --quiet "$unit" 2>/dev/null || :
  rm -rf "$units/$unit" "$LMSTACK_GATEWAY"
  # Folders that nothing is left in.
  rmdir "$HOME/.lmstack-gateway" 2>/dev/null || :
  (cd "$HOME" && rmdir -p .config/systemd/user/default.target.wants) 2>/dev/null || (cd "$HOME" && rmdir -p .config/systemd/user) 2>/dev/null || :
  systemctl --user daemon-reload 2>/dev/null || :
}
